"""Means over samples, such as pictures with noise, in one compiled program and the memory of a few."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz.batching import AT_ONCE, AT_ONCE_ELSEWHERE


def at_once(samples: int) -> int:
    """Returns how many samples are computed under one `vmap`: as many as are fastest, at most all."""
    return min(samples, AT_ONCE.get(jax.default_backend(), AT_ONCE_ELSEWHERE))


def total(function: Callable[[Any], Any], items: Any, weights: Float[Array, " n"]) -> Any:
    r"""Returns :math:`\sum_i w_i f(x_i)` over items stacked along their first axis, a few at a time.

    Example:
      >>> float(total(jnp.square, jnp.array([1.0, 2.0, 3.0, 4.0, 5.0]), jnp.full(5, 0.2)))
      11.0
    """
    count = len(weights)
    size = at_once(count)
    turns = -(-count // size)
    # The last turn is filled up with the first items, which weigh nothing there.
    order = jnp.arange(turns * size) % count
    weights = jnp.where(jnp.arange(turns * size) < count, weights[order], 0)
    turned = jax.tree.map(lambda leaf: leaf[order].reshape(turns, size, *leaf.shape[1:]), items)

    def turn(sums: Any, part: Any) -> tuple[Any, None]:
        some, share = part
        found = jax.vmap(function)(some)
        return jax.tree.map(lambda s, f: s + _weighted(share, f), sums, found), None

    one = jax.eval_shape(function, jax.tree.map(lambda leaf: leaf[0], items))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), one)
    return jax.lax.scan(turn, zeros, (turned, weights.reshape(turns, size)))[0]


def _weighted(share: Array, values: Array) -> Array:
    return jnp.tensordot(share, values, 1, precision="highest")


def mean_of_random(function: Callable[[Array], Any], key: Array, samples: int) -> Any:
    """Returns the mean of a function of a key over `samples` keys, the k-th of which is `fold_in(key, k)`.

    Example:
      >>> draw = lambda key: jax.random.uniform(key)
      >>> bool(jnp.allclose(mean_of_random(draw, jax.random.key(0), 1000), 0.5, atol=0.05))
      True
    """

    def one(k: Array) -> Any:
        return function(jax.random.fold_in(key, k))

    return total(one, jnp.arange(samples), jnp.full(samples, 1 / samples, jnp.float32))
