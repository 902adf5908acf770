"""R: priors, from one image to a scalar that is small for likely images."""

import jax.numpy as jnp
from jaxtyping import Array

from jaxviz._checks import number
from jaxviz._typing import Image, Number, Prior, Scalar, symbol

FLOOR = 1e-6


@symbol
class TotalVariation:
    """Made by `total_variation`."""

    beta: Array
    weight: Array

    def __call__(self, image: Image) -> Scalar:
        """Returns the value for one image."""
        down = jnp.diff(image, axis=0, append=image[-1:])
        right = jnp.diff(image, axis=1, append=image[:, -1:])
        return self.weight * jnp.sum(_power(down**2 + right**2, self.beta / 2))


@symbol
class AlphaNorm:
    """Made by `alpha_norm`."""

    alpha: Array
    center: Array
    weight: Array

    def __call__(self, image: Image) -> Scalar:
        """Returns the value for one image."""
        return self.weight * jnp.sum(_power((jnp.asarray(image) - self.center) ** 2, self.alpha / 2))


@symbol
class Sum:
    """A sum of priors; made by `total`."""

    priors: tuple[Prior, ...]

    def __call__(self, image: Image) -> Scalar:
        """Returns the value for one image."""
        return jnp.sum(jnp.stack([prior(image) for prior in self.priors]))


def _power(square: Array, exponent: Array) -> Array:
    # x^e has an infinite derivative at 0 for e < 1: there the constant branch is taken, of derivative 0.
    positive = square > FLOOR**2
    return jnp.where(positive, jnp.where(positive, square, 1.0) ** exponent, 0.0)


def total_variation(beta: Number = 2.0, *, weight: Number = 1.0) -> TotalVariation:
    r"""Returns a prior: how much neighboring pixels differ.

    .. math:: R(x) = w \sum_{ijc} \left( (x_{i,j+1,c} - x_{ijc})^2 + (x_{i+1,j,c} - x_{ijc})^2 \right)^{\beta/2}

    with differences over the lower and right border 0.

    Args:
      beta: β, at least 1. At 1 edges cost as much as ramps; at 2 ramps cost less and the image is smoother.
      weight: w, at least 0, for pixels in [0, 1]. A published λ for pixels in 0–255 is :math:`\lambda 255^\beta`.

    Returns:
      A pure function from an image to a float32 scalar, 0 where the image is flat. Its gradient is finite for
      every β; pixels that differ by less than 1e-6 count as equal.

    Raises:
      ValueError: If `beta` is below 1 or `weight` negative.

    References:
      Mahendran, Vedaldi. Understanding Deep Image Representations by Inverting Them. CVPR 2015, section 3.

    Example:
      >>> step = jnp.zeros((1, 2, 3)).at[0, 1].set(0.5)
      >>> float(total_variation(beta=2.0)(step))  # 3 channels * 0.5^2
      0.75
    """
    return TotalVariation(number(beta, "beta", 1), number(weight, "weight", 0))


def alpha_norm(alpha: Number = 6.0, *, center: Number = 0.0, weight: Number = 1.0) -> AlphaNorm:
    r"""Returns a prior: how far pixels are from the middle of their range.

    .. math:: R(x) = w \sum_{ijc} |x_{ijc} - m|^\alpha

    Args:
      alpha: α, at least 1; large values act as a soft bound.
      center: m, a number, or the mean color [3] that the paper's images have subtracted.
      weight: w, at least 0, for pixels in [0, 1]. A published λ for 0–255 is :math:`\lambda 255^\alpha`.

    Raises:
      ValueError: If `alpha` is below 1 or `weight` negative.

    References:
      Mahendran, Vedaldi. Understanding Deep Image Representations by Inverting Them. CVPR 2015, section 3.

    Example:
      >>> float(alpha_norm(alpha=2.0)(jnp.full((1, 2, 3), 0.5)))
      1.5
    """
    return AlphaNorm(number(alpha, "alpha", 1), jnp.asarray(center, jnp.float32), number(weight, "weight", 0))


def total(*priors: Prior) -> Sum:
    """Returns the sum of priors as one.

    Raises:
      ValueError: If none is given.

    Example:
      >>> both = total(alpha_norm(alpha=2.0), total_variation())
      >>> float(both(jnp.full((1, 2, 3), 0.5)))
      1.5
    """
    if not priors:
        raise ValueError("total got no prior")
    return Sum(tuple(priors))
