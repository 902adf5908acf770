"""Several processes of one run, on one machine or many, on JAX's distributed runtime.

    with jaxviz.distributed.joined("10.0.0.1:8476", processes=2, process=0):
        jaxviz.jobs.run(task, "photos/", out="run/")

Each process works on devices of its own. What they have to say to each other goes through JAX's coordinator, which
lives in process 0.
"""

from jaxviz.distributed.group import Alone, Group, GroupError
from jaxviz.distributed.joining import WAIT, is_said, joined, present

__all__ = ["WAIT", "Alone", "Group", "GroupError", "is_said", "joined", "present"]
