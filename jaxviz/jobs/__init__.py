"""Techniques over folders and data sets: read ahead, batched, written in shards, resumable.

    task = jaxviz.jobs.classify(jaxviz.load("squeezenet1_1"))
    report = jaxviz.jobs.run(task, "photos/", out="run/")

`run` writes a folder; `iterate` yields the same results to those who write nothing.
"""

from jaxviz.jobs.manifest import RunError
from jaxviz.jobs.patches import Patches, Strongest, cut_patches, read_features, read_strongest
from jaxviz.jobs.run import Progress, Report, iterate, run
from jaxviz.jobs.sizes import Longer, Square
from jaxviz.jobs.sources import Item, Source, is_many, open_source
from jaxviz.jobs.summary import read_robustness
from jaxviz.jobs.tasks import (
    Result,
    Task,
    attack,
    classify,
    dream,
    features,
    inversion,
    saliency,
    strongest,
    style_codes,
    stylize,
)

__all__ = [
    "Item",
    "Longer",
    "Patches",
    "Progress",
    "Report",
    "Result",
    "RunError",
    "Source",
    "Square",
    "Strongest",
    "Task",
    "attack",
    "classify",
    "cut_patches",
    "dream",
    "features",
    "inversion",
    "is_many",
    "iterate",
    "open_source",
    "read_features",
    "read_robustness",
    "read_strongest",
    "run",
    "saliency",
    "strongest",
    "style_codes",
    "stylize",
]
