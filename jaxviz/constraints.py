r"""C: the sets that an image must stay in: norm balls, the box of displayable colors, and intersections.

A norm knows three things: the direction of steepest ascent within its unit ball, the nearest point of a ball,
and how to draw from one.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._checks import concrete, known, number
from jaxviz._typing import Constraint, Key, Number, static, symbol

Vector = Float[Array, "..."]


class Linf:
    r"""The maximum norm :math:`\max_i |v_i|`."""

    def project(self, v: Vector, radius: Number) -> Vector:
        """Returns the nearest vector of norm at most `radius`."""
        return jnp.clip(v, -radius, radius)

    def direction(self, g: Vector) -> Vector:
        """Returns the vector of norm 1 whose product with `g` is largest; 0 where `g` is."""
        return jnp.sign(g)

    def sample(self, key: Key, shape: tuple[int, ...], radius: Number) -> Vector:
        """Returns a vector drawn uniformly from the ball of `radius`."""
        return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0) * radius


class L2:
    r"""The Euclidean norm :math:`\sqrt{\sum_i v_i^2}`."""

    def project(self, v: Vector, radius: Number) -> Vector:
        """Returns the nearest vector of norm at most `radius`."""
        length = _length(v)
        return v * jnp.where(length > radius, radius / jnp.where(length > 0, length, 1), 1)

    def direction(self, g: Vector) -> Vector:
        """Returns the vector of norm 1 whose product with `g` is largest; 0 where `g` is."""
        length = _length(g)
        return g / jnp.where(length > 0, length, 1)

    def sample(self, key: Key, shape: tuple[int, ...], radius: Number) -> Vector:
        """Returns a vector drawn uniformly from the ball of `radius`."""
        along, out = jax.random.split(key)
        v = self.direction(jax.random.normal(along, shape))
        return v * radius * jax.random.uniform(out) ** (1 / v.size)


class L1:
    r"""The sum norm :math:`\sum_i |v_i|`."""

    def project(self, v: Vector, radius: Number) -> Vector:
        """Returns the nearest vector of norm at most `radius` (Duchi et al., ICML 2008, figure 1)."""
        flat = jnp.abs(v).ravel()
        descending = -jnp.sort(-flat)
        excess = jnp.cumsum(descending) - radius
        rank = jnp.arange(1, flat.size + 1)
        last = jnp.sum(descending * rank > excess) - 1
        threshold = jnp.maximum(excess[last] / (last + 1), 0)
        inside = flat.sum() <= radius
        return jnp.where(inside, v, jnp.sign(v) * jnp.maximum(jnp.abs(v) - threshold, 0))

    def direction(self, g: Vector) -> Vector:
        """Returns the vector of norm 1 whose product with `g` is largest; 0 where `g` is."""
        flat = g.ravel()
        largest = jnp.argmax(jnp.abs(flat))
        return jnp.zeros_like(flat).at[largest].set(jnp.sign(flat[largest])).reshape(g.shape)

    def sample(self, key: Key, shape: tuple[int, ...], radius: Number) -> Vector:
        """Returns a vector drawn uniformly from the ball of `radius`."""
        along, signs, out = jax.random.split(key, 3)
        v = jax.random.exponential(along, shape)
        v = v / v.sum() * jax.random.rademacher(signs, shape, v.dtype)
        return v * radius * jax.random.uniform(out) ** (1 / v.size)


def _length(v: Vector) -> Float[Array, ""]:
    return jnp.sqrt(jnp.sum(v**2))


NORMS: dict[str, Linf | L2 | L1] = {"linf": Linf(), "l2": L2(), "l1": L1()}


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
