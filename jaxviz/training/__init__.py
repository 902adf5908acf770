"""How networks for stylization are trained: recipes, data, one loop for all, its checkpoints and reports.

    recipe = jaxviz.training.perceptual(network, {"wave": painting}, jaxviz.training.FAST["default"].values)
    photos = jaxviz.jobs.open_source("photos/")
    trained = jaxviz.training.train(recipe, photos, "run/", steps=2000, batch=4, size=256)

A new method is its file, with a recipe, and its entry in `METHODS`.
"""

import dataclasses
from collections.abc import Callable, Mapping

from jaxviz.training.adaptive import AdaptiveRecipe, arbitrary, tap_scales
from jaxviz.training.contrastive import Contrastive, contrastive
from jaxviz.training.data import first_squares
from jaxviz.training.keeping import read_log
from jaxviz.training.loop import Step, Trained, TrainingError, train
from jaxviz.training.perceptual import Perceptual, perceptual
from jaxviz.training.presets import ADAIN, CAST, DUMOULIN, FAST, HUANG, JOHNSON, MULTI, ZHANG
from jaxviz.training.recipe import Preset, Recipe
from jaxviz.training.solved import solved

__all__ = [
    "ADAIN",
    "CAST",
    "FAST",
    "METHODS",
    "MULTI",
    "AdaptiveRecipe",
    "Contrastive",
    "Method",
    "Perceptual",
    "Preset",
    "Recipe",
    "Step",
    "Trained",
    "TrainingError",
    "arbitrary",
    "contrastive",
    "first_squares",
    "perceptual",
    "read_log",
    "solved",
    "tap_scales",
    "train",
]


@dataclasses.dataclass(frozen=True)
class Method:
    """What a way of training declares of itself.

    Attributes:
      function: What makes its recipe.
      title: What is trained, in a few words.
      paper: Authors, title, venue.
      presets: Name → preset; the first is the usual one.
      styles: "one", "several" or "stream": how many paintings it needs, as targets or as data.
      least_styles: How many there must be.
    """

    function: Callable[..., Recipe]
    title: str
    paper: str
    presets: Mapping[str, Preset]
    styles: str
    least_styles: int = 1


METHODS = {
    "fast": Method(perceptual, "a network for one style", JOHNSON, FAST, "one"),
    "multi": Method(perceptual, "a network for many styles", DUMOULIN, MULTI, "several"),
    "adain": Method(arbitrary, "a decoder for any style", HUANG, ADAIN, "stream"),
    "cast": Method(
        contrastive, "a decoder for any style, by contrast", ZHANG, CAST, "stream", Contrastive.least_styles
    ),
}
