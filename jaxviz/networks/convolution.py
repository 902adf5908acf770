"""Convolution whose derivative stays fast inside a compiled loop.

XLA runs a convolution's automatic gradient on the CPU 4 to 10 times slower inside `while`, `scan` and `cond`
than outside: only convolutions in the canonical layout take the fast path there (jax issue 12868), and the
automatic gradient is not one. The rule below states the same derivative in forms that are. On other
accelerators the automatic rule already maps to the vendor's kernels, and is used.

It has reverse-mode derivatives only (`jax.custom_vjp`): `jax.jvp` raises TypeError, except for 1×1 kernels.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

LAYOUT = ("NHWC", "HWIO", "NHWC")
SMALL_PLANE, FEW_CHANNELS = 64 * 64, 32
"""Pixels and channels of the feature maps on which XLA's CPU backend chooses the slower of its kernels."""
COLORS, LARGE_WINDOW = 4, 5
"""Channels before or after which a convolution is slow there; sides of windows from which those before matter."""
Padding = tuple[tuple[int, int], tuple[int, int]]
Pair = tuple[int, int]
UNPADDED: Padding = ((0, 0), (0, 0))


def conv2d(
    x: Float[Array, "n h w c"],
    kernel: Float[Array, "kh kw c d"],
    strides: Pair = (1, 1),
    padding: Padding = UNPADDED,
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
    if kernel.shape[:2] == (1, 1) and padding == UNPADDED:
        return lax.platform_dependent(
            x[:, :: strides[0], :: strides[1]],
            kernel,
            # One product of matrices, which XLA makes two to three times faster than the convolution it is.
            cpu=lambda x, kernel: jnp.matmul(x, kernel[0, 0], precision=precision),
            # Of a product it tries many kernels for each size on a GPU, and compiles far longer.
            default=functools.partial(_canonical, strides=(1, 1), padding=UNPADDED, precision=precision),
        )
    plain = functools.partial(_convolve, strides=strides, padding=padding, precision=precision)
    own = None
    window, few, single = min(kernel.shape[:2]), [n <= COLORS for n in kernel.shape[2:]], strides == (1, 1)
    if single and few[0] and window >= LARGE_WINDOW:
        own = _in_blocks
    elif single and few[1] and not few[0] and window > 1:
        own = _by_rows
    elif _is_stem(kernel, strides):
        own = functools.partial(_strided, stride=strides[0])
    if own is None:
        return plain(x, kernel)
    return lax.platform_dependent(
        x, kernel, cpu=functools.partial(own, padding=padding, precision=precision), default=plain
    )


def _strided(x, kernel, stride, padding, precision):
    return _convolve(*_folded(x, kernel, stride, padding), (1, 1), UNPADDED, precision)


def _in_blocks(x, kernel, padding, precision):
    """Each 2×2 pixels are one, with all their channels, before and after: 3 channels are slow, 12 are not."""
    kh, kw, c, d = kernel.shape
    rows, columns = _extent(x, kernel, padding)
    shifted = [jnp.pad(kernel, ((i, 1 - i), (j, 1 - j), (0, 0), (0, 0))) for i in range(2) for j in range(2)]
    wide = jnp.stack(shifted, 3).reshape(kh + 1, kw + 1, c, 4 * d)
    (above, below), (left, right) = padding
    filled = ((above, below + rows % 2), (left, right + columns % 2))
    y = _convolve(*_folded(x, wide, 2, filled), (1, 1), UNPADDED, precision)
    n, half_rows, half_columns, _ = y.shape
    y = y.reshape(n, half_rows, half_columns, 2, 2, d).transpose(0, 1, 3, 2, 4, 5)
    return y.reshape(n, 2 * half_rows, 2 * half_columns, d)[:, :rows, :columns]


def _by_rows(x, kernel, padding, precision):
    """Returns the convolution as one by each row of the kernel, all in one, whose results are then summed.

    Two columns are one, with all their channels. So colors, of which XLA's CPU backend makes 3 channels at a tenth
    of the pace of 32, become 6 for each row of the kernel.
    """
    kh, kw, c, d = kernel.shape
    rows, columns = _extent(x, kernel, padding)
    blocks = kw // 2 + 1
    x = _padded(
        x, padding[0], (padding[1][0], 2 * (-(-columns // 2) - 1 + blocks) - x.shape[2] - padding[1][0])
    )
    flat = kernel.transpose(1, 2, 0, 3)
    shifted = [jnp.pad(flat, ((j, 2 * blocks - kw - j), (0, 0), (0, 0), (0, 0))) for j in range(2)]
    wide = jnp.stack(shifted, 2).reshape(1, blocks, 2 * c, 2 * kh * d)
    x = x.reshape(*x.shape[:2], x.shape[2] // 2, 2 * c)
    y = _convolve(x, wide, (1, 1), UNPADDED, precision)
    y = y.reshape(*y.shape[:3], 2, kh, d)
    total = sum(y[:, i : i + rows, :, :, i] for i in range(kh))
    return total.reshape(x.shape[0], rows, -1, d)[:, :, :columns]


def _extent(x, kernel, padding) -> Pair:
    """Returns height and width of the convolution of stride 1."""
    return tuple(x.shape[i + 1] + sum(padding[i]) - kernel.shape[i] + 1 for i in (0, 1))


def _padded(x, vertical, horizontal):
    """Returns images with zeros around them, or less of them where a number is negative."""
    config = [(0, 0, 0), (*vertical, 0), (*horizontal, 0), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def _is_stem(kernel, strides) -> bool:
    """Returns whether a convolution is like the first of many networks: large strided windows over colors."""
    stride = strides[0]
    whole = [-(-extent // stride) * stride for extent in kernel.shape[:2]]
    # A window of 3 with stride 2 would become one of 4, with almost twice the products.
    return (
        strides == (stride, stride) and stride > 1 and kernel.shape[2] <= COLORS and min(whole) > 2 * stride
    )


def _folded(x, kernel, stride, padding):
    """Returns images and kernel with each block of stride × stride pixels as channels of one, so of stride 1.

    XLA's CPU backend convolves 3 channels at a third of the pace of 12, and takes up to five times as long for
    the derivative of a strided convolution, whose terms are mostly zeros.
    """
    (above, below), (left, right) = padding
    kh, kw, c, d = kernel.shape
    blocks_h, blocks_w = -(-kh // stride), -(-kw // stride)
    rows = (x.shape[1] + above + below - kh) // stride + blocks_h
    columns = (x.shape[2] + left + right - kw) // stride + blocks_w
    down, across = rows * stride - x.shape[1] - above, columns * stride - x.shape[2] - left
    x = _padded(x, (above, down), (left, across))
    x = x.reshape(-1, rows, stride, columns, stride, c).transpose(0, 1, 3, 2, 4, 5)
    spare = ((0, blocks_h * stride - kh), (0, blocks_w * stride - kw), (0, 0), (0, 0))
    kernel = jnp.pad(kernel, spare).reshape(blocks_h, stride, blocks_w, stride, c, d)
    kernel = kernel.transpose(0, 2, 1, 3, 4, 5).reshape(blocks_h, blocks_w, -1, d)
    return x.reshape(-1, rows, columns, stride * stride * c), kernel


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _convolve(x, kernel, strides, padding, precision):
    plain = functools.partial(_canonical, strides=strides, padding=padding, precision=precision)
    if not _wants_spare_row(x, kernel, strides, padding):
        return plain(x, kernel)
    return lax.platform_dependent(
        x,
        kernel,
        cpu=lambda x, kernel: _cpu_convolution(x, kernel, padding, precision),
        default=plain,
    )


def _canonical(x, kernel, strides, padding, precision, dilation=(1, 1)):
    return lax.conv_general_dilated(
        x, kernel, strides, padding, lhs_dilation=dilation, dimension_numbers=LAYOUT, precision=precision
    )


def _wants_spare_row(x, kernel, strides, padding) -> bool:
    slow = x.shape[1] * x.shape[2] <= SMALL_PLANE or x.shape[3] <= FEW_CHANNELS
    # With borders made beforehand a convolution takes three times as long as with zeros that it adds itself.
    slow |= any(sum(padding[i]) < kernel.shape[i] - 1 for i in (0, 1))
    return strides == (1, 1) and slow and kernel.shape[3] > 8


def _cpu_convolution(x, kernel, padding, precision):
    """XLA's CPU backend has two kernels; the one that it prefers is up to two times slower on small planes.

    It is not chosen where the result has more rows than the images, so one more is made, and dropped.
    """
    (above, below), sides = padding
    rows = x.shape[1] + above + below - kernel.shape[0] + 1
    spare = max(0, x.shape[1] + 1 - rows)
    y = _canonical(x, kernel, (1, 1), ((above, below + spare), sides), precision)
    return y[:, :rows]


def _convolve_forward(x, kernel, strides, padding, precision):
    # Of a frozen network's kernels no derivative is wanted: tracing it would take longer than all the rest.
    saved = (x.value if kernel.perturbed else x.value.shape[1:3], kernel.value)
    return _convolve(x.value, kernel.value, strides, padding, precision), saved


def _input_gradient(g, kernel, size, strides, padding, precision):
    # Flipped and transposed in one, a kernel is copied four times slower than transposed alone (XLA's CPU
    # backend); to flip the images on both sides instead is the same sum, and cheap where they are small.
    flips_images = kernel.size > g.size
    extents = []
    for axis in (0, 1):
        reach = kernel.shape[axis] - 1
        covered = (g.shape[axis + 1] - 1) * strides[axis] + 1
        before = reach - padding[axis][0]
        extent = (before, size[axis] + reach - before - covered)
        extents.append(extent[::-1] if flips_images else extent)
    g = jnp.flip(g, (1, 2)) if flips_images else g
    kernel = (kernel if flips_images else jnp.flip(kernel, (0, 1))).swapaxes(2, 3)
    if _wants_spare_row(g, kernel, strides, extents):
        x_gradient = _cpu_convolution(g, kernel, extents, precision)
    else:
        x_gradient = _canonical(g, kernel, (1, 1), extents, precision, dilation=strides)
    return jnp.flip(x_gradient, (1, 2)) if flips_images else x_gradient


def _convolve_backward(strides, padding, precision, saved, g):
    x, kernel = saved
    size = x if isinstance(x, tuple) else x.shape[1:3]
    automatic = functools.partial(_canonical, strides=strides, padding=padding, precision=precision)
    blank = jax.ShapeDtypeStruct((g.shape[0], *size, kernel.shape[2]), g.dtype)
    x_gradient = lax.platform_dependent(
        g,
        kernel,
        cpu=lambda g, kernel: _input_gradient(g, kernel, size, strides, padding, precision),
        default=lambda g, kernel: jax.linear_transpose(lambda x: automatic(x, kernel), blank)(g)[0],
    )
    if isinstance(x, tuple):
        return x_gradient, None
    return x_gradient, jax.linear_transpose(lambda kernel: automatic(x, kernel), kernel)(g)[0]


_convolve.defvjp(_convolve_forward, _convolve_backward, symbolic_zeros=True)
