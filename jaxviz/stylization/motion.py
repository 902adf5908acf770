r"""Where things of one picture are in another: optical flow by matching blocks, coarse to fine, in one program."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxviz._checks import image as checked_image
from jaxviz._checks import whole
from jaxviz._typing import AnyImage, Image
from jaxviz.stylization.warping import Flow, warped

COARSEST, FINER = 4, 2
"""Pixels that a block is moved by in each direction, where pictures are smallest, and at each size after it."""
REFINEMENTS = 3
INERTIA = 2e-5
"""Mean squared difference of brightness that a pixel of movement must gain, or there is no such movement."""
RIDGE = 1e-5
LIGHT = (0.299, 0.587, 0.114)


def flow(previous: AnyImage, current: AnyImage, *, block: int = 8, reach: int = 32) -> Flow:
    r"""Returns where each pixel of a picture was in the one before: current(p) is previous(p + w(p)).

    .. math:: w(b) = \arg\min_{|d|_\infty \le r} \sum_{p \in b} (x_{t-1}(p + \hat w(p) + d) - x_t(p))^2

    over blocks b that overlap by half [1], from a small picture, where r is 4, to the whole one, where it is 2,
    each with ŵ of the one before. Each w(b) becomes the median of 3×3 blocks. At the end it is refined to parts
    of a pixel, by steps of least squares on the linearized difference [2], and interpolated between the centers of
    blocks. Where nothing differs w is 0.

    Args:
      previous: RGB, [h, w, 3], in [0, 1].
      current: Of the same size.
      block: Pixels of a block's side, a multiple of 4: larger ones are surer, smaller ones follow finer movement.
      reach: Pixels of the largest movement that is looked for, at least 1.

    Returns:
      w: [h, w, 2], in pixels, down and to the right.

    Raises:
      ValueError: If a picture is none, they differ in size, or `block` or `reach` is out of range.

    References:
      [1] Jain, Jain. Displacement Measurement and Its Application in Interframe Image Coding. IEEE Transactions on
          Communications, 1981: matching of blocks.
      [2] Lucas, Kanade. An Iterative Image Registration Technique with an Application to Stereo Vision. IJCAI 1981.

    Example:
      >>> from jaxviz import stylization
      >>> before = jax.random.uniform(jax.random.key(0), (48, 64, 3))
      >>> found = stylization.flow(before, jnp.roll(before, (2, -3), (0, 1)))
      >>> jnp.round(found[24, 32], 1)
      Array([-2.,  3.], dtype=float32)
    """
    before, now = checked_image(previous, "previous"), checked_image(current, "current")
    if before.shape != now.shape:
        raise ValueError(
            f"previous has {before.shape[1]}×{before.shape[0]} pixels, current {now.shape[1]}×{now.shape[0]}; "
            "expected the same"
        )
    if whole(block, "block", 4) % 4:
        raise ValueError(f"block is {block}; expected a multiple of 4, at least that")
    return _flow(before, now, int(block), whole(reach, "reach"))


@functools.partial(jax.jit, static_argnums=(2, 3))
def _flow(before: Image, now: Image, block: int, reach: int) -> Flow:
    h, w = before.shape[:2]
    levels = max(math.ceil(math.log2(max(reach / COARSEST, 1))), 0) + 1
    levels = max(1, min(levels, int(math.log2(max(min(h, w) / (2 * block), 1))) + 1))
    unit = block // 2 * 2 ** (levels - 1)
    pad = (0, -h % unit), (0, -w % unit)
    pyramid = [tuple(jnp.pad(x @ jnp.asarray(LIGHT), pad, mode="edge") for x in (before, now))]
    for _ in range(levels - 1):
        pyramid.append(tuple(_halved(x) for x in pyramid[-1]))
    rows, columns = (side // (block // 2) for side in pyramid[-1][0].shape)
    found = jnp.zeros((rows, columns, 2))
    for level, (a, b) in reversed(list(enumerate(pyramid))):
        found = _matched(a, b, found, COARSEST if level == levels - 1 else FINER, block)
        if level:
            found = 2 * _enlarged(found, 2)
    for _ in range(REFINEMENTS):
        found = _refined(pyramid[0][0], pyramid[0][1], found, block)
    return _enlarged(found, block // 2)[:h, :w]


def _matched(
    before: Float[Array, "h w"],
    now: Float[Array, "h w"],
    guess: Float[Array, "r c 2"],
    radius: int,
    block: int,
) -> Float[Array, "r c 2"]:
    """Returns the movement of blocks, as the guess and what is best within `radius` of it."""
    moved = warped(before[..., None], _enlarged(guess, block // 2))[..., 0]
    around = jnp.pad(moved, radius, mode="edge")
    side = range(2 * radius + 1)

    def cost(shift: Array) -> Array:
        there = lax.dynamic_slice(around, (shift[0], shift[1]), now.shape)
        return _summed(jnp.square(there - now), block)

    shifts = jnp.asarray(list(itertools.product(side, side)))
    far = jnp.sum(jnp.square(shifts - radius), -1)[:, None, None]
    costs = jax.vmap(cost)(shifts) + INERTIA * block**2 * far
    best = jnp.argmin(costs, 0)
    return _median(guess + shifts[best] - radius)


def _refined(
    before: Float[Array, "h w"], now: Float[Array, "h w"], guess: Float[Array, "r c 2"], block: int
) -> Float[Array, "r c 2"]:
    """Returns the movement of blocks after a step of least squares, which stays where nothing differs."""
    moved = warped(before[..., None], _enlarged(guess, block // 2))[..., 0]
    slopes = jnp.gradient(moved)
    (yy, yx, xx), (y, x) = (
        [_summed(a * b, block) for a, b in pairs]
        for pairs in (
            itertools.combinations_with_replacement(slopes, 2),
            [(slope, now - moved) for slope in slopes],
        )
    )
    yy, xx = yy + RIDGE * block**2, xx + RIDGE * block**2
    below = yy * xx - yx * yx
    found = jnp.stack([xx * y - yx * x, yy * x - yx * y], -1) / below[..., None]
    return _median(guess + jnp.clip(found, -1, 1))


def _summed(x: Float[Array, "h w"], block: int) -> Float[Array, "r c"]:
    """Returns sums over blocks that overlap by half, their centers in those of squares of half their side."""
    step = block // 2
    edges = (step // 2, step - step // 2)
    return lax.reduce_window(x, 0.0, lax.add, (block, block), (step, step), (edges, edges))


def _median(x: Float[Array, "r c 2"]) -> Float[Array, "r c 2"]:
    """Returns the median of 3 columns of 3, ordered: of the largest low, the middle and the smallest high."""
    r, c = x.shape[:2]
    around = jnp.pad(x, ((1, 1), (1, 1), (0, 0)), mode="edge")

    def ordered(a: Array, b: Array, c: Array) -> tuple[Array, Array, Array]:
        low, high = jnp.minimum(a, b), jnp.maximum(a, b)
        return jnp.minimum(low, c), jnp.maximum(low, jnp.minimum(high, c)), jnp.maximum(high, c)

    low, middle, high = ordered(*(around[i : i + r] for i in range(3)))
    lows, middles, highs = ([part[:, j : j + c] for j in range(3)] for part in (low, middle, high))
    return ordered(ordered(*lows)[2], ordered(*middles)[1], ordered(*highs)[0])[1]


def _halved(x: Float[Array, "h w"]) -> Float[Array, "_ _"]:
    h, w = x.shape
    return x.reshape(h // 2, 2, w // 2, 2).mean((1, 3))


def _enlarged(x: Float[Array, "r c 2"], times: int) -> Float[Array, "_ _ 2"]:
    return jax.image.resize(x, (x.shape[0] * times, x.shape[1] * times, 2), "bilinear")


@jax.jit
def both(previous: Image, current: Image) -> tuple[Flow, Flow]:
    """Returns the movement from a picture to the one before and back, by one program for two."""
    pictures = jnp.stack([previous, current])
    moved, back = jax.vmap(flow)(pictures, pictures[::-1])
    return moved, back
