"""What textures can be compared by: the distances that texture synthesis and style transfer choose from."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp

from jaxviz._checks import concrete, number
from jaxviz._typing import Array, Number, Objective
from jaxviz.objectives import match_gaussian, match_gram, match_moments

LOSSES: dict[str, Callable[..., Objective]] = {
    "gram": match_gram,
    "covariance": lambda *target, **more: match_gram(*target, centered=True, **more),
    "moments": match_moments,
    "wasserstein": match_gaussian,
}


def checked_shares(shares: Sequence[Number] | None, count: int, what: str) -> Array:
    """Returns how much of each example is wanted, of sum 1.

    Args:
      shares: At least 0, not all of them; None for equal ones.
      count: How many examples there are.
      what: What an example is called in an error, such as "style".

    Raises:
      ValueError: If there is not one share for each, one is negative, or all are zero.

    Example:
      >>> checked_shares([3, 1], 2, "style").tolist()
      [0.75, 0.25]
    """
    given = [1.0] * count if shares is None else list(shares)
    if len(given) != count:
        raise ValueError(f"there are {len(given)} shares for {count} {what}s")
    parts = jnp.stack([number(share, f"share of {what} {k}", 0) for k, share in enumerate(given)])
    if concrete(parts) and not float(parts.sum()):
        raise ValueError("all shares are zero; give one above zero")
    return parts / parts.sum()
