"""Max and average pooling; the derivative of max pooling stays fast inside a compiled loop.

XLA runs its automatic gradient many times slower than a sum over the members of the windows on the CPU, and slower
on GPUs. On other accelerators the automatic rule is used. It has reverse-mode derivatives only (`jax.custom_vjp`):
`jax.jvp` raises TypeError.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int8

from jaxviz.networks.convolution import Pair


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4))
def max_pool(
    x: Float[Array, "n h w c"], window: int, stride: int, ceil: bool = False, padding: int = 0
) -> Float[Array, "n h2 w2 c"]:
    r"""Returns the maximum over square windows; of equal maxima the first in reading order has the derivative.

    .. math:: y_{pc} = \max_{k} x_{(s p + k) c}

    Args:
      x: Images.
      window: Side of the window, in pixels.
      stride: :math:`s`, in pixels.
      ceil: Whether windows that reach over the lower and right border count (Caffe's rounding). Those that
        would lie wholly outside never do.
      padding: Pixels, all smaller than any other, put on each side.

    Returns:
      y, of height `(h + 2 padding - window) / stride + 1`, rounded down, or up for `ceil`.
    """
    return _pool(x, window, stride, ceil, padding)


def _margins(x, window, stride, ceil, padding) -> tuple[Pair, Pair]:
    def margin(size):
        steps = (size + 2 * padding - window) / stride
        steps = math.ceil(steps) if ceil else math.floor(steps)
        if steps * stride >= size + padding:
            steps -= 1
        return padding, max(padding, steps * stride + window - size - padding)

    return margin(x.shape[1]), margin(x.shape[2])


def _pool(x, window, stride, ceil, padding):
    return lax.reduce_window(
        x,
        np.asarray(-np.inf, x.dtype),
        lax.max,
        (1, window, window, 1),
        (1, stride, stride, 1),
        [(0, 0), *_margins(x, window, stride, ceil, padding), (0, 0)],
    )


def _pool_with_winner(x, window, stride, ceil, padding) -> tuple[Array, Int8[Array, "n h2 w2 c"]]:
    margins = [(*margin, 0) for margin in _margins(x, window, stride, ceil, padding)]
    padded = lax.pad(x, jnp.asarray(-jnp.inf, x.dtype), [(0, 0, 0), *margins, (0, 0, 0)])
    n, h, w, c = padded.shape
    rows, columns = (h - window) // stride + 1, (w - window) // stride + 1

    def candidates(k):
        i, j = divmod(k, window)
        limits = (n, i + (rows - 1) * stride + 1, j + (columns - 1) * stride + 1, c)
        return lax.slice(padded, (0, i, j, 0), limits, (1, stride, stride, 1))

    best, winner = candidates(0), jnp.zeros((n, rows, columns, c), jnp.int8)
    for k in range(1, window * window):
        candidate = candidates(k)
        winner = jnp.where(candidate > best, jnp.int8(k), winner)
        best = lax.max(candidate, best)
    return best, winner


def _made_once(function, x):
    """XLA's CPU backend repeats cheap work in every loop that reads its result; not so a condition's branch."""
    blank = [jnp.zeros(y.shape, y.dtype) for y in jax.eval_shape(function, x)]
    return lax.cond(lax.optimization_barrier(jnp.asarray(True)), function, lambda x: tuple(blank), x)


def _max_pool_forward(x, window, stride, ceil, padding):
    def plain(x):
        y = _pool(x, window, stride, ceil, padding)
        return y, jnp.zeros(y.shape, jnp.int8)

    def pooled(x):
        return _pool_with_winner(x, window, stride, ceil, padding)

    once = functools.partial(_made_once, pooled)
    y, winner = lax.platform_dependent(x, cpu=once, cuda=pooled, rocm=pooled, default=plain)
    return y, (x, winner)


def _scatter_to_winner(g, winner, shape, window, stride, padding):
    # Positions of one remainder modulo the stride take from the same members of the windows: each remainder is
    # a sum of small arrays, and together they interleave to the image.
    rows, columns = g.shape[1:3]
    reach = (window - 1) // stride
    high = max(-(-(shape[1] + padding) // stride), rows + reach)
    wide = max(-(-(shape[2] + padding) // stride), columns + reach)
    zero = jnp.zeros((), g.dtype)

    def remainder(a, b):
        total = jnp.zeros((shape[0], high, wide, shape[3]), g.dtype)
        for i in range(a, window, stride):
            for j in range(b, window, stride):
                above, left = i // stride, j // stride
                spread = [(above, high - rows - above, 0), (left, wide - columns - left, 0)]
                won = jnp.where(winner == i * window + j, g, zero)
                total += lax.pad(won, zero, [(0, 0, 0), *spread, (0, 0, 0)])
        return total

    lines = [jnp.stack([remainder(a, b) for b in range(stride)], 3) for a in range(stride)]
    whole = jnp.stack(lines, 2).reshape(shape[0], high * stride, wide * stride, shape[3])
    return whole[:, padding : padding + shape[1], padding : padding + shape[2]]


def _max_pool_backward(window, stride, ceil, padding, residuals, g):
    x, winner = residuals

    def automatic(x, winner, g):
        return jax.vjp(lambda x: _pool(x, window, stride, ceil, padding), x)[1](g)[0]

    def by_winner(x, winner, g):
        return _scatter_to_winner(g, winner, x.shape, window, stride, padding)

    by_platform = {"cpu": by_winner, "cuda": by_winner, "rocm": by_winner, "default": automatic}
    return (lax.platform_dependent(x, winner, g, **by_platform),)


max_pool.defvjp(_max_pool_forward, _max_pool_backward)


def average_pool(
    x: Float[Array, "n h w c"], window: int, stride: int, ceil: bool = False, padding: int = 0
) -> Float[Array, "n h2 w2 c"]:
    """Returns the mean over square windows, of the pixels that lie inside the image.

    Arguments and result as for `max_pool`.
    """
    margins = [(0, 0), *_margins(x, window, stride, ceil, padding), (0, 0)]
    window_shape, strides = (1, window, window, 1), (1, stride, stride, 1)
    # Sums of 16-bit numbers would be rounded at each term.
    kind = jnp.promote_types(x.dtype, jnp.float32)
    zero = np.zeros((), kind)
    total = lax.reduce_window(x.astype(kind), zero, lax.add, window_shape, strides, margins)
    ones = jnp.ones((1, *x.shape[1:3], 1), kind)
    return (total / lax.reduce_window(ones, zero, lax.add, window_shape, strides, margins)).astype(x.dtype)
