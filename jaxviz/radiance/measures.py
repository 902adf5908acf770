"""How like two pictures are, pixel by pixel: PSNR and SSIM."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxviz._typing import Image, Scalar

SIGMA, REACH = 1.5, 5
"""Of SSIM's Gaussian window: its deviation, and how many pixels it goes to each side."""


def psnr(image: Image, to: Image) -> Scalar:
    r"""Returns the peak signal-to-noise ratio, :math:`-10 \log_{10} \overline{(x - y)^2}`, in decibels.

    Example:
      >>> round(float(psnr(jnp.zeros((2, 2, 3)), jnp.full((2, 2, 3), 0.1))), 3)
      20.0
    """
    return -10 * jnp.log10(jnp.maximum(jnp.mean(jnp.square(jnp.asarray(image) - jnp.asarray(to))), 1e-12))


def ssim(image: Image, to: Image) -> Scalar:
    r"""Returns the mean structural similarity, at most 1, over windows that lie in the pictures, and channels.

    .. math:: \frac{(2 \mu_x \mu_y + c_1) (2 \sigma_{xy} + c_2)}
                   {(\mu_x^2 + \mu_y^2 + c_1) (\sigma_x^2 + \sigma_y^2 + c_2)}, \quad c_1 = 0.01^2, \; c_2 = 0.03^2

    with means, variances and covariance under a Gaussian window of deviation 1.5, 11 pixels wide, as in [1].

    Args:
      image: x, [h, w, 3], in [0, 1], of at least 11 pixels a side.
      to: y, of the same size.

    Raises:
      ValueError: If the sizes differ or a side is too short.

    References:
      [1] Wang, Bovik, Sheikh, Simoncelli. Image Quality Assessment: From Error Visibility to Structural Similarity.
          IEEE Transactions on Image Processing 2004.

    Example:
      >>> x = jax.random.uniform(jax.random.key(0), (16, 16, 3))
      >>> round(float(ssim(x, x)), 4)
      1.0
    """
    x, y = jnp.asarray(image), jnp.asarray(to)
    if x.shape != y.shape or min(x.shape[:2]) < 2 * REACH + 1:
        raise ValueError(
            f"the pictures have shapes {list(x.shape)} and {list(y.shape)}; expected equal ones of at least "
            f"{2 * REACH + 1} pixels a side"
        )
    return _ssim(x, y)


@jax.jit
def _ssim(x: jax.Array, y: jax.Array) -> Scalar:
    bell = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / SIGMA) ** 2)
    window = jnp.asarray(bell / bell.sum(), jnp.float32)

    def blurred(values: jax.Array) -> jax.Array:
        for axis in (0, 1):
            count = values.shape[axis] - 2 * REACH
            parts = (jax.lax.slice_in_dim(values, k, k + count, axis=axis) for k in range(2 * REACH + 1))
            values = sum(w * part for w, part in zip(window, parts, strict=True))
        return values

    mx, my = blurred(x), blurred(y)
    xx, yy, xy = blurred(x * x) - mx * mx, blurred(y * y) - my * my, blurred(x * y) - mx * my
    like = (2 * mx * my + 1e-4) * (2 * xy + 9e-4)
    return jnp.mean(like / ((mx * mx + my * my + 1e-4) * (xx + yy + 9e-4)))
