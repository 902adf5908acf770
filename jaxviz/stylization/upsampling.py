"""A convolution of features of twice the sides, without making these where that is faster."""

import functools

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxviz.networks.borders import padded
from jaxviz.networks.convolution import Padding, conv2d

AROUND: Padding = ((1, 1), (1, 1))


def upsampled(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
    """Returns features of twice the height and width, each repeated: with a convolution after it, no checkerboard.

    References:
      Odena, Dumoulin, Olah. Deconvolution and Checkerboard Artifacts. Distill 2016.
    """
    n, h, w, c = x.shape
    return jnp.broadcast_to(x[:, :, None, :, None], (n, h, 2, w, 2, c)).reshape(n, 2 * h, 2 * w, c)


def upsampled_conv2d(
    x: Float[Array, "n h w c"],
    kernel: Float[Array, "3 3 c d"],
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> Float[Array, "n h2 w2 d"]:
    r"""Returns the 3×3 convolution, with mirrored borders, of `upsampled(x)`.

    A window of 3×3 covers 2×2 different features, so each of the four pixels that a feature becomes is a 2×2
    convolution of `x`, of which kernels are sums of W's rows and columns: :math:`(W_1, W_2 + W_3)` for the upper,
    :math:`(W_1 + W_2, W_3)` for the lower one. That is 4/9 of the products. Mirrored, the border of what is
    repeated is the border of `x` once more. On other platforms than the CPU the features are made.

    Args:
      x: Features.
      kernel: W.
      precision: As of `conv2d`.
    """
    return lax.platform_dependent(
        x,
        kernel,
        cpu=functools.partial(_in_quarters, precision=precision),
        default=functools.partial(_as_told, precision=precision),
    )


def _as_told(x, kernel, precision):
    return conv2d(padded(upsampled(x), AROUND, "reflect"), kernel, precision=precision)


def _in_quarters(x, kernel, precision):
    n, h, w, _ = x.shape
    d = kernel.shape[-1]
    kernels = [columns for rows in _halves(kernel, 0) for columns in _halves(rows, 1)]
    # All four in one, over one row and column more than each needs.
    y = conv2d(padded(x, AROUND, "edge"), jnp.concatenate(kernels, -1), precision=precision)
    y = y.reshape(n, h + 1, w + 1, 2, 2, d)
    quarters = [[y[:, i : i + h, j : j + w, i, j] for j in range(2)] for i in range(2)]
    return jnp.stack([jnp.stack(row, 3) for row in quarters], 2).reshape(n, 2 * h, 2 * w, d)


def _halves(kernel, axis):
    """Returns what a kernel is, along an axis, for the first and for the second of two equal features."""
    first, second, third = (lax.slice_in_dim(kernel, k, k + 1, axis=axis) for k in range(3))
    return (
        jnp.concatenate([first, second + third], axis),
        jnp.concatenate([first + second, third], axis),
    )
