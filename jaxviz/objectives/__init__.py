"""L: objectives, from the taps of one image to a scalar that is to become small.

Each is a frozen record that is a pytree: its targets and weights may vary without compiling. The functions
with small names make them.
"""

from jaxviz.objectives.classes import CrossEntropy, Logit, Margin, cross_entropy, logit, margin
from jaxviz.objectives.contrast import Contrast, contrast
from jaxviz.objectives.energy import Energy, Resemble, energy, resemble
from jaxviz.objectives.features import MatchFeatures, match_features
from jaxviz.objectives.moments import Summary, gram_matrix, summarize
from jaxviz.objectives.nearest import MatchNearest, match_nearest
from jaxviz.objectives.parts import Additive, Part
from jaxviz.objectives.perceptual import MatchPerceptual, match_perceptual
from jaxviz.objectives.statistics import (
    MatchGram,
    MatchMoments,
    match_gaussian,
    match_gram,
    match_moments,
)
from jaxviz.objectives.sums import Floored, WeightedSum, floored, weighted_sum
from jaxviz.objectives.units import Direction, Unit, direction, unit

__all__ = [
    "Additive",
    "Contrast",
    "CrossEntropy",
    "Direction",
    "Energy",
    "Floored",
    "Logit",
    "Margin",
    "MatchFeatures",
    "MatchGram",
    "MatchMoments",
    "MatchNearest",
    "MatchPerceptual",
    "Part",
    "Resemble",
    "Summary",
    "Unit",
    "WeightedSum",
    "contrast",
    "cross_entropy",
    "direction",
    "energy",
    "floored",
    "gram_matrix",
    "logit",
    "margin",
    "match_features",
    "match_gaussian",
    "match_gram",
    "match_moments",
    "match_nearest",
    "match_perceptual",
    "resemble",
    "summarize",
    "unit",
    "weighted_sum",
]
