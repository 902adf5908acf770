"""What textures can be compared by: the distances that texture synthesis and style transfer choose from."""

from collections.abc import Callable

from jaxviz._typing import Objective
from jaxviz.objectives import match_gaussian, match_gram, match_moments, match_nearest

LOSSES: dict[str, Callable[..., Objective]] = {
    "gram": match_gram,
    "covariance": lambda *target, **more: match_gram(*target, centered=True, **more),
    "moments": match_moments,
    "wasserstein": match_gaussian,
}
"""Of statistics, whose targets may be summaries."""
STYLE_LOSSES: dict[str, Callable[..., Objective]] = {**LOSSES, "nearest": match_nearest}
"""Those, and of features position by position, whose target is all of an exemplar's."""
