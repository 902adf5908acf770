"""Convolution and max pooling whose derivatives stay fast inside a compiled loop.

XLA runs a convolution's automatic gradient on the CPU 4 to 10 times slower inside `while`, `scan` and `cond`
than outside: only convolutions in the canonical layout take the fast path there (jax issue 12868), and the
automatic gradient is not one. The rules below state the same derivatives in forms that are. On other
accelerators the automatic rules already map to the vendor's kernels, and are used.

Both functions have reverse-mode derivatives only (`jax.custom_vjp`): `jax.jvp` of them raises TypeError.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int8

LAYOUT = ("NHWC", "HWIO", "NHWC")
Padding = tuple[tuple[int, int], tuple[int, int]]
Pair = tuple[int, int]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def conv2d(
    x: Float[Array, "n h w c"],
    kernel: Float[Array, "kh kw c d"],
    strides: Pair = (1, 1),
    padding: Padding = ((0, 0), (0, 0)),
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> Float[Array, "n h2 w2 d"]:
    r"""Returns the cross-correlation of images with a kernel.

    .. math:: y_{pd} = \sum_{k, c} x_{(s p + k) c} \, W_{k c d}

    with :math:`s` the `strides`, :math:`p` an output position and :math:`k` running over the kernel. The
    derivative with respect to `x` is again such a sum, over the spatially flipped kernel with its channel
    axes exchanged, and is computed as that forward convolution.

    Args:
      x: Images, zero outside.
      kernel: W.
      strides: Vertical and horizontal step, in pixels.
      padding: Zeros put (above, below), (left, right).
      precision: Arithmetic of the products on accelerators that offer several.

    Returns:
      y, of height `(h + above + below - kh) // strides[0] + 1` and width likewise.
    """
    return lax.conv_general_dilated(
        x, kernel, strides, padding, dimension_numbers=LAYOUT, precision=precision
    )


def _conv2d_forward(x, kernel, strides, padding, precision):
    # Of a frozen network's kernels no derivative is wanted: tracing it would take longer than all the rest.
    saved = (x.value if kernel.perturbed else x.value.shape[1:3], kernel.value)
    return conv2d(x.value, kernel.value, strides, padding, precision), saved


def _conv2d_input_gradient(g, kernel, size, strides, padding, precision):
    extents = []
    for axis in (0, 1):
        reach = kernel.shape[axis] - 1
        covered = (g.shape[axis + 1] - 1) * strides[axis] + 1
        before = reach - padding[axis][0]
        extents.append((before, size[axis] + reach - before - covered))
    return lax.conv_general_dilated(
        g,
        jnp.flip(kernel, (0, 1)).swapaxes(2, 3),
        (1, 1),
        extents,
        lhs_dilation=strides,
        dimension_numbers=LAYOUT,
        precision=precision,
    )


def _conv2d_backward(strides, padding, precision, saved, g):
    x, kernel = saved
    size = x if isinstance(x, tuple) else x.shape[1:3]
    automatic = functools.partial(
        lax.conv_general_dilated,
        window_strides=strides,
        padding=padding,
        dimension_numbers=LAYOUT,
        precision=precision,
    )
    blank = jax.ShapeDtypeStruct((g.shape[0], *size, kernel.shape[2]), g.dtype)
    x_gradient = lax.platform_dependent(
        g,
        kernel,
        cpu=lambda g, kernel: _conv2d_input_gradient(g, kernel, size, strides, padding, precision),
        default=lambda g, kernel: jax.linear_transpose(lambda x: automatic(x, kernel), blank)(g)[0],
    )
    if isinstance(x, tuple):
        return x_gradient, None
    return x_gradient, jax.linear_transpose(lambda kernel: automatic(x, kernel), kernel)(g)[0]


conv2d.defvjp(_conv2d_forward, _conv2d_backward, symbolic_zeros=True)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def max_pool(
    x: Float[Array, "n h w c"], window: int, stride: int, ceil: bool = False
) -> Float[Array, "n h2 w2 c"]:
    r"""Returns the maximum over square windows; of equal maxima the first in reading order has the derivative.

    .. math:: y_{pc} = \max_{k} x_{(s p + k) c}

    Args:
      x: Images.
      window: Side of the window, in pixels.
      stride: :math:`s`, in pixels.
      ceil: Whether windows that reach over the lower and right border count (Caffe's rounding). Those that
        would lie wholly outside never do.

    Returns:
      y, of height `(h - window) / stride + 1`, rounded down, or up for `ceil`.
    """
    return _pool(x, window, stride, ceil)


def _overhang(size: int, window: int, stride: int, ceil: bool) -> int:
    steps = (size - window) / stride
    steps = math.ceil(steps) if ceil else math.floor(steps)
    if steps * stride >= size:
        steps -= 1
    return max(0, steps * stride + window - size)


def _pool(x, window, stride, ceil):
    padding = [(0, 0), *((0, _overhang(n, window, stride, ceil)) for n in x.shape[1:3]), (0, 0)]
    return lax.reduce_window(
        x,
        np.asarray(-np.inf, x.dtype),
        lax.max,
        (1, window, window, 1),
        (1, stride, stride, 1),
        padding,
    )


def _pool_with_winner(x, window, stride, ceil) -> tuple[Array, Int8[Array, "n h2 w2 c"]]:
    overhang = [_overhang(n, window, stride, ceil) for n in x.shape[1:3]]
    padding = [(0, 0, 0), (0, overhang[0], 0), (0, overhang[1], 0), (0, 0, 0)]
    padded = lax.pad(x, jnp.asarray(-jnp.inf, x.dtype), padding)
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


def _max_pool_forward(x, window, stride, ceil):
    def plain(x):
        y = _pool(x, window, stride, ceil)
        return y, jnp.zeros(y.shape, jnp.int8)

    y, winner = lax.platform_dependent(
        x, cpu=lambda x: _pool_with_winner(x, window, stride, ceil), default=plain
    )
    return y, (x, winner)


def _scatter_to_winner(g, winner, size, window, stride):
    rows, columns = g.shape[1:3]
    zero = jnp.zeros((), g.dtype)
    total = jnp.zeros((), g.dtype)
    for k in range(window * window):
        i, j = divmod(k, window)
        below = size[0] - i - ((rows - 1) * stride + 1)
        right = size[1] - j - ((columns - 1) * stride + 1)
        spread = [(0, 0, 0), (i, below, stride - 1), (j, right, stride - 1), (0, 0, 0)]
        total = total + lax.pad(jnp.where(winner == k, g, zero), zero, spread)
    return total


def _max_pool_backward(window, stride, ceil, residuals, g):
    x, winner = residuals
    return (
        lax.platform_dependent(
            x,
            winner,
            g,
            cpu=lambda x, winner, g: _scatter_to_winner(g, winner, x.shape[1:3], window, stride),
            default=lambda x, winner, g: jax.vjp(lambda x: _pool(x, window, stride, ceil), x)[1](g)[0],
        ),
    )


max_pool.defvjp(_max_pool_forward, _max_pool_backward)


def average_pool(
    x: Float[Array, "n h w c"], window: int, stride: int, ceil: bool = False
) -> Float[Array, "n h2 w2 c"]:
    """Returns the mean over square windows, of the pixels that lie inside the image.

    Arguments and result as for `max_pool`.
    """
    padding = [(0, 0), *((0, _overhang(n, window, stride, ceil)) for n in x.shape[1:3]), (0, 0)]
    window_shape, strides = (1, window, window, 1), (1, stride, stride, 1)
    zero = np.zeros((), x.dtype)
    total = lax.reduce_window(x, zero, lax.add, window_shape, strides, padding)
    ones = jnp.ones((1, *x.shape[1:3], 1), x.dtype)
    return total / lax.reduce_window(ones, zero, lax.add, window_shape, strides, padding)
