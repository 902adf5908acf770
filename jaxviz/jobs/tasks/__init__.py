"""What a run does with a batch of pictures: classes, features, every method of saliency, attacks, inversion,
strongest units, stylizing networks, codes of styles.

A task's compiled programs take the network and all numbers as arguments, and serve batches of any length.
"""

from jaxviz.jobs.tasks.attack import attack
from jaxviz.jobs.tasks.base import Mapped, Result, Task
from jaxviz.jobs.tasks.classes import classify
from jaxviz.jobs.tasks.codes import style_codes
from jaxviz.jobs.tasks.dream import dream
from jaxviz.jobs.tasks.features import features
from jaxviz.jobs.tasks.inversion import inversion
from jaxviz.jobs.tasks.saliency import saliency
from jaxviz.jobs.tasks.strongest import strongest
from jaxviz.jobs.tasks.stylize import stylize

__all__ = [
    "Mapped",
    "Result",
    "Task",
    "attack",
    "classify",
    "dream",
    "features",
    "inversion",
    "saliency",
    "strongest",
    "style_codes",
    "stylize",
]
