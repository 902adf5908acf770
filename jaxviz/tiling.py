"""Large images seen through windows, one after the other, with the value and gradient of the whole.

An objective of features is a function of sums over positions (`objectives.Additive`). A first pass adds up the
sums of all windows; the objective's derivative by the sums then gives, in a second pass, the gradient of each
window, and these add up to that of the image. Windows overlap by what the network sees beyond a position, so that
every position is counted once, in a window that holds all it depends on: there are no seams. Memory is that of one
window.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from jaxviz._typing import Image, Key, Objective, Scalar, Taps, static, symbol
from jaxviz.networks import Network
from jaxviz.networks.structure import structure
from jaxviz.objectives import Part, Summary
from jaxviz.objectives.moments import Summing, summarized
from jaxviz.problem import Problem


@dataclasses.dataclass(frozen=True)
class Axis:
    """The windows along one axis of an image.

    Attributes:
      size: Of every window, in pixels.
      starts: The first pixel of each window.
      cores: Of each the pixels that are its own, from the first to the one after the last; they cover the image.
    """

    size: int
    starts: tuple[int, ...]
    cores: tuple[tuple[int, int], ...]


def axis(length: int, core: int, stride: int, before: int, after: int) -> Axis:
    """Returns windows along an axis.

    Args:
      length: Of the image, in pixels.
      core: Pixels that a window owns, or more; those at the ends own more, having nothing to overlap there.
      stride: Of the deepest layer: windows start at multiples of it, so that poolings fall alike.
      before: Pixels that a position sees before its own.
      after: Pixels that it sees after.

    Example:
      >>> axis(300, 32, 16, 20, 20)
      Axis(size=92, starts=(0, 32, 64, 96, 128, 160, 192, 208), cores=((0, 64), (64, 96), ..., (256, 300)))
      >>> axis(80, 32, 16, 20, 20)
      Axis(size=80, starts=(0,), cores=((0, 80),))
    """
    before = math.ceil(before / stride) * stride
    size = before + max(1, math.ceil(core / stride)) * stride + after
    # The last window ends where the image does: as much of a stride must be left over in it.
    size += (length - size) % stride
    if size >= length:
        return Axis(length, (0,), ((0, length),))
    starts, cores, first = [], [], 0
    while first < length:
        start = min(max(first - before, 0), length - size)
        reached = start + size - after
        stop = length if start + size == length else reached // stride * stride
        starts.append(start)
        cores.append((first, stop))
        first = stop
    return Axis(size, tuple(starts), tuple(cores))


@dataclasses.dataclass(frozen=True)
class Layout:
    """All windows of an image for some layers.

    Attributes:
      rows: Windows down the image.
      columns: Windows across it.
      strides: Layer → pixels from one position to the next.
      shapes: Layer → [h', w', c] in the whole image.
    """

    rows: Axis
    columns: Axis
    strides: dict[str, tuple[int, int]]
    shapes: dict[str, tuple[int, ...]]

    @property
    def count(self) -> int:
        """How many windows there are."""
        return len(self.rows.starts) * len(self.columns.starts)


def layout(network: Network, size: tuple[int, ...], core: int, layers: Sequence[str]) -> Layout:
    """Returns how an image is divided so that each window owns at most core × core pixels, or a little more.

    Raises:
      ValueError: If a layer has no positions, or the network's convolutions look around the image's borders.
    """
    borders = {getattr(network.architecture, name, "") for name in ("borders", "first_borders")}
    if "circular" in borders:
        raise ValueError("an image whose borders meet cannot be seen through windows")
    parts = structure(network.architecture).parts
    fields = {layer: parts[layer].field for layer in layers}
    for layer, field in fields.items():
        if not all(field.stride):
            raise ValueError(f"layer {layer!r} has no positions, so it cannot be seen through windows")
    axes = []
    for i in (0, 1):
        first = {layer: math.floor(f.center[i] - f.size[i] / 2) for layer, f in fields.items()}
        before = max(0, *(-start for start in first.values()))
        after = max(0, *(first[layer] + f.size[i] - 1 for layer, f in fields.items()))
        stride = math.lcm(*(f.stride[i] for f in fields.values()))
        axes.append(axis(size[i], core, stride, before, after))
    image = jax.ShapeDtypeStruct((*size, 3), jnp.float32)
    taps = jax.eval_shape(lambda x: network.features(x, list(layers)), image)
    shapes = {layer: tap.shape for layer, tap in taps.items()}
    return Layout(axes[0], axes[1], {layer: f.stride for layer, f in fields.items()}, shapes)


@symbol
class Tiled:
    """A problem whose image is seen through windows; made by `tiled`."""

    problem: Problem
    core: int = static()

    @property
    def random(self) -> bool:
        """Whether the loss depends on the key."""
        return False

    def loss(self, z: Any, key: Key) -> Scalar:
        """Returns the problem's loss at unknowns `z`."""
        problem = self.problem
        image = problem.parameterization.decode(z)
        data = _streamed(image, problem.network, problem.objective, self.core)
        return data if problem.prior is None else data + problem.prior(image)

    def project(self, z: Any) -> Any:
        """Returns the unknowns in C that are nearest to `z`."""
        return self.problem.project(z)


def tiled(problem: Problem, core: int) -> Tiled:
    """Returns a problem that sees its image through windows, to be minimized in its place.

    The loss and its gradient are those of `problem`, up to the rounding of sums; the memory is that of one window,
    and a step takes about one and a half times as long, and longer the smaller the windows are against what
    a position sees beyond its own.

    Args:
      problem: One with an objective of features, and without a transform.
      core: About how many pixels, down and across, a window has for its own; at least 1.

    Raises:
      ValueError: If `core` is below 1, or the problem has a transform.
      TypeError: If its objective is no function of sums over positions.

    Example:
      >>> from jaxviz.tiling import tiled
      >>> picture = jax.random.uniform(jax.random.key(0), (80, 64, 3))
      >>> problem, z = jaxviz.texture.problem(jaxviz.load("vgg16"), picture, weights={"relu2_1": 1})
      >>> loss = jax.jit(lambda problem: problem.loss(z, jax.random.key(0)))
      >>> bool(jnp.allclose(loss(problem), loss(tiled(problem, 32)), rtol=1e-4))
      True
    """
    if core < 1:
        raise ValueError(f"core is {core}; expected at least 1 pixel")
    if problem.transform is not None:
        raise ValueError("a problem with a transform cannot be seen through windows")
    if not hasattr(problem.objective, "sums"):
        raise TypeError(f"{type(problem.objective).__name__} is no function of sums over positions")
    return Tiled(problem, int(core))


def features(network: Network, image: Image, layers: Sequence[str], core: int) -> Taps:
    """Returns `network.features(image, layers)`, computed window by window."""
    return _features(network, image, tuple(layers), core)


def summary(network: Network, image: Image, layers: Sequence[str], core: int) -> Summary:
    """Returns the statistics of an image's features, computed window by window."""
    return _summary(network, image, tuple(layers), core)


def terms(problem: Tiled, image: Image) -> dict[str, Scalar]:
    """Returns what each layer contributes to a problem's objective at an image, window by window."""
    made: Any = problem.problem.objective
    return _terms(image, problem.problem.network, made, problem.core)


def _windows(plan: Layout) -> tuple[Int[Array, "n 2"], Int[Array, "n 2 2"]]:
    """Returns of each window its first row and column, and first and last own row and column."""
    pairs = [(i, j) for i in range(len(plan.rows.starts)) for j in range(len(plan.columns.starts))]
    starts = [(plan.rows.starts[i], plan.columns.starts[j]) for i, j in pairs]
    cores = [(plan.rows.cores[i], plan.columns.cores[j]) for i, j in pairs]
    return jnp.asarray(starts, jnp.int32), jnp.asarray(cores, jnp.int32)


def _seen(plan: Layout, image: Array, start: Array) -> Array:
    return jax.lax.dynamic_slice(image, (start[0], start[1], 0), (plan.rows.size, plan.columns.size, 3))


def _part(plan: Layout, taps: Taps, start: Array, core: Array) -> Part:
    inside, starts = {}, {}
    for layer, tap in taps.items():
        stride = np.asarray(plan.strides[layer], np.int32)
        starts[layer] = start // stride
        own = []
        for i in (0, 1):
            at = (starts[layer][i] + jnp.arange(tap.shape[i])) * stride[i]
            # Positions belong to the window that owns the first pixel of their stride; what the last leaves is its.
            last = core[i, 1] >= (plan.rows, plan.columns)[i].cores[-1][1]
            own.append((at >= core[i, 0]) & ((at < core[i, 1]) | last))
        inside[layer] = (own[0][:, None] & own[1][None, :]).astype(jnp.float32)
    return Part(inside, starts)


def _sums(network, objective, plan, window, start, core):
    taps = network.features(window, list(plan.strides))
    return objective.sums(taps, _part(plan, taps, start, core))


def _total(image, network, objective, plan):
    def body(total, where):
        found = _sums(network, objective, plan, _seen(plan, image, where[0]), *where)
        return jax.tree.map(jnp.add, total, found), None

    windows = _windows(plan)
    one = jax.eval_shape(
        functools.partial(_sums, network, objective, plan),
        jax.ShapeDtypeStruct((plan.rows.size, plan.columns.size, 3), image.dtype),
        *(jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype) for leaf in windows),
    )
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), one)
    return jax.lax.scan(body, zero, windows)[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _streamed(image: Image, network: Network, objective: Objective, core: int) -> Scalar:
    made: Any = objective
    plan = layout(network, image.shape[:2], core, made.layers)
    return made.of_sums(_total(image, network, made, plan))


def _streamed_forward(image, network, objective, core):
    plan = layout(network, image.shape[:2], core, objective.layers)
    value, slopes = jax.value_and_grad(objective.of_sums)(_total(image, network, objective, plan))

    def body(gradient, where):
        start, own = where

        def part(window):
            return _sums(network, objective, plan, window, start, own)

        mine = jax.vjp(part, _seen(plan, image, start))[1](slopes)[0]
        corner = (start[0], start[1], 0)
        there = jax.lax.dynamic_slice(gradient, corner, mine.shape)
        return jax.lax.dynamic_update_slice(gradient, there + mine, corner), None

    return value, jax.lax.scan(body, jnp.zeros_like(image), _windows(plan))[0]


def _streamed_backward(core, gradient, g):
    return g * gradient, None, None


_streamed.defvjp(_streamed_forward, _streamed_backward)


@functools.partial(jax.jit, static_argnames="core")
def _terms(image: Image, network: Network, objective: Any, core: int) -> dict[str, Scalar]:
    plan = layout(network, image.shape[:2], core, objective.layers)
    return objective.terms_of(_total(image, network, objective, plan))


@functools.partial(jax.jit, static_argnames=("layers", "core"))
def _features(network: Network, image: Image, layers: tuple[str, ...], core: int) -> Taps:
    plan = layout(network, image.shape[:2], core, layers)

    def body(found, where):
        start, own = where
        taps = network.features(_seen(plan, image, start), list(layers))
        part = _part(plan, taps, start, own)
        written = {}
        for layer, tap in taps.items():
            row, column = part.starts[layer]
            corner = (row, column, jnp.zeros_like(row))
            before = jax.lax.dynamic_slice(found[layer], corner, tap.shape)
            mine = part.inside[layer][..., None] > 0
            written[layer] = jax.lax.dynamic_update_slice(
                found[layer], jnp.where(mine, tap.astype(jnp.float32), before), corner
            )
        return written, None

    blank = {layer: jnp.zeros(shape, jnp.float32) for layer, shape in plan.shapes.items()}
    return jax.lax.scan(body, blank, _windows(plan))[0]


@functools.partial(jax.jit, static_argnames=("layers", "core"))
def _summary(network: Network, image: Image, layers: tuple[str, ...], core: int) -> Summary:
    plan = layout(network, image.shape[:2], core, layers)
    return summarized(_total(image, network, Summing(layers), plan))
