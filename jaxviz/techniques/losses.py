"""What textures can be compared by: the distances that texture synthesis and style transfer choose from."""

from collections.abc import Callable

from jaxviz._typing import Objective
from jaxviz.objectives import match_gaussian, match_gram, match_moments

LOSSES: dict[str, Callable[..., Objective]] = {
    "gram": match_gram,
    "covariance": lambda *target, **more: match_gram(*target, centered=True, **more),
    "moments": match_moments,
    "wasserstein": match_gaussian,
}
