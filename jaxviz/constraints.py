r"""C: the sets that an image must stay in: norm balls, the box of displayable colors, and intersections."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from jaxviz._checks import concrete, known, number
from jaxviz._typing import Constraint, Number, static, symbol
from jaxviz.norms import NORMS


@symbol
class Box:
    """Made by `box`."""

    low: Array
    high: Array

    def project(self, image: Any) -> Any:
        """Returns the nearest image in the set."""
        return jnp.clip(image, self.low, self.high)


@symbol
class Ball:
    """Made by `ball`."""

    center: Array
    radius: Array
    norm: str = static()

    def project(self, image: Any) -> Any:
        """Returns the nearest image in the set."""
        return self.center + NORMS[self.norm].project(image - self.center, self.radius)


@symbol
class Both:
    """Made by `both`."""

    first: Constraint
    second: Constraint

    def project(self, image: Any) -> Any:
        """Returns an image in the set: the first projection, then the second."""
        return self.second.project(self.first.project(image))


def box(low: Number = 0.0, high: Number = 1.0) -> Box:
    """Returns the images whose values lie in [`low`, `high`].

    Raises:
      ValueError: If `low` is above `high`.

    Example:
      >>> box().project(jnp.array([-0.5, 0.25, 2.0])).tolist()
      [0.0, 0.25, 1.0]
    """
    lowest = number(low, "low")
    return Box(lowest, number(high, "high", float(lowest) if concrete(lowest) else -jnp.inf))


def ball(center: Number, radius: Number, *, norm: str = "linf") -> Ball:
    r"""Returns the images at most `radius` from `center`: :math:`\lVert x - x_0 \rVert_p \le \epsilon`.

    Args:
      center: x₀, an image.
      radius: ε, at least 0, in units of [0, 1] pixels.
      norm: "linf", "l2" or "l1".

    Raises:
      KeyError: If the norm is unknown.
      ValueError: If `radius` is negative.

    Example:
      >>> ball(jnp.zeros(2), 0.5).project(jnp.array([0.25, -3.0])).tolist()
      [0.25, -0.5]
    """
    known(norm, NORMS, "norm")
    return Ball(jnp.asarray(center, jnp.float32), number(radius, "radius", 0), norm)


def both(first: Constraint, second: Constraint) -> Both:
    """Returns the images that one projection after the other leads to.

    For a ball of the maximum norm and a box that is the nearest image in both; for other pairs it is an image
    in `second`, near to `first`, which stays in the ball when the ball's center is in the box.

    Example:
      >>> both(ball(jnp.zeros(2), 0.5), box()).project(jnp.array([-3.0, 3.0])).tolist()
      [0.0, 0.5]
    """
    return Both(first, second)
