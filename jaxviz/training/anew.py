"""Weights drawn at random: of any architecture, and of a VGG that goes no further than it is read."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxviz._typing import Key
from jaxviz.networks import Network, parameter_shapes

DEVIATION = 0.02
"""Of kernels where a published program draws them so, whatever their size."""


def drawn(key: Key, shapes: Any, deviation: float | None = None) -> Any:
    """Returns weights of a tree of shapes: kernels normal, biases zero.

    Args:
      key: Seeds them.
      shapes: As `jax.eval_shape` gives them.
      deviation: Of kernels; None for He's, which keeps the size of features.
    """
    leaves, tree = jax.tree.flatten(shapes)
    return jax.tree.unflatten(tree, _drawn(key, tuple(leaf.shape for leaf in leaves), deviation))


@functools.partial(jax.jit, static_argnums=(1, 2))
def _drawn(key: Key, shapes: tuple[tuple[int, ...], ...], deviation: float | None) -> list[Any]:
    # All at once: a program that draws each kernel by itself takes a minute to compile.
    numbers = jax.random.normal(key, (sum(map(math.prod, shapes)),))
    ends = itertools.accumulate(map(math.prod, shapes))
    parts = [
        numbers[end - math.prod(shape) : end].reshape(shape) for end, shape in zip(ends, shapes, strict=True)
    ]
    return [
        jnp.zeros_like(part)
        if part.ndim < 2
        else part * (deviation or (2 / math.prod(part.shape[:-1])) ** 0.5)
        for part in parts
    ]


def shallow(network: Network, layers: Sequence[str]) -> Network:
    """Returns a VGG without weights and name that ends where the last of some layers is, its weights as shapes."""
    architecture: Any = network.architecture
    stage, depth = max(tuple(map(int, layer.removeprefix("relu").split("_"))) for layer in layers)
    depths = (*architecture.depths[: stage - 1], depth, *(0,) * (len(architecture.depths) - stage))
    ended = architecture.clone(depths=depths, classes=None)
    return dataclasses.replace(
        network, params=parameter_shapes(ended), architecture=ended, name="", labels=()
    )
