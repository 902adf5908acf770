r"""The norms that perturbations are measured in, which symbols share.

Each knows four things: how long a vector is, the direction of steepest ascent within its unit ball, the nearest
point of a ball, and how to draw from one.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._typing import Key, Number

Vector = Float[Array, "..."]


class Linf:
    r"""The maximum norm :math:`\max_i |v_i|`."""

    def measure(self, v: Vector) -> Float[Array, ""]:
        """Returns the norm of a vector."""
        return jnp.abs(v).max()

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

    def measure(self, v: Vector) -> Float[Array, ""]:
        """Returns the norm of a vector."""
        return _length(v)

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

    def measure(self, v: Vector) -> Float[Array, ""]:
        """Returns the norm of a vector."""
        return jnp.abs(v).sum()

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

    def spread(self, g: Vector, share: float) -> Vector:
        """Returns a vector of norm 1 along the signs of the largest entries of `g`: this share of them, equally."""
        flat = g.ravel()
        least = jax.lax.top_k(jnp.abs(flat), max(1, math.ceil(share * flat.size)))[0][-1]
        chosen = jnp.where(jnp.abs(flat) >= least, jnp.sign(flat), 0)
        count = jnp.abs(chosen).sum()
        return (chosen / jnp.where(count > 0, count, 1)).reshape(g.shape)

    def sample(self, key: Key, shape: tuple[int, ...], radius: Number) -> Vector:
        """Returns a vector drawn uniformly from the ball of `radius`."""
        along, signs, out = jax.random.split(key, 3)
        v = jax.random.exponential(along, shape)
        v = v / v.sum() * jax.random.rademacher(signs, shape, v.dtype)
        return v * radius * jax.random.uniform(out) ** (1 / v.size)


def _length(v: Vector) -> Float[Array, ""]:
    return jnp.sqrt(jnp.sum(v**2))


NORMS: dict[str, Linf | L2 | L1] = {"linf": Linf(), "l2": L2(), "l1": L1()}


def ascent(norm: str, g: Vector, share: float = 0.0) -> Vector:
    """Returns the direction of a norm; for the sum norm spread over a share of the entries, where one is given."""
    kind = NORMS[norm]
    return kind.spread(g, share) if isinstance(kind, L1) and share else kind.direction(g)
