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
class NinePoint:
    """Made by `nine_point`."""

    weight: Array

    def __call__(self, image: Image) -> Scalar:
        """Returns the value for one image."""
        padded = jnp.pad(jnp.asarray(image), ((1, 1), (1, 1), (0, 0)), mode="edge")
        middle = padded[1:-1, 1:-1]
        straight = jnp.mean((padded[1:-1, 2:] - middle) ** 2) + jnp.mean((padded[2:, 1:-1] - middle) ** 2)
        falling = jnp.mean((padded[1:, 1:] - padded[:-1, :-1]) ** 2)
        rising = jnp.mean((padded[1:, :-1] - padded[:-1, 1:]) ** 2)
        return self.weight * 2 * (straight / 3 + (falling + rising) / 12)


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
class SquaredDistance:
    """Made by `squared_distance`."""

    image: Image
    weight: Array

    def __call__(self, image: Image) -> Scalar:
        """Returns the value for one image."""
        return self.weight * jnp.sum((image - self.image) ** 2)


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


def nine_point(*, weight: Number = 1.0) -> NinePoint:
    r"""Returns a prior: the mean squared difference of each pixel from its eight neighbors.

    .. math:: R(x) = 2 w \left( \frac{\overline{d_\rightarrow^2} + \overline{d_\downarrow^2}}{3}
              + \frac{\overline{d_\searrow^2} + \overline{d_\nearrow^2}}{12} \right)

    with d the differences of neighbors in a direction, over an image whose border pixels are repeated once, and
    bars for means over positions and channels. It treats slanted edges more like straight ones than
    `total_variation` does.

    Args:
      weight: w, at least 0, for pixels in [0, 1].

    Raises:
      ValueError: If `weight` is negative.

    References:
      Crowson. style-transfer-pytorch, github.com/crowsonkb/style-transfer-pytorch, class TVLoss.

    Example:
      >>> ramp = jnp.broadcast_to(jnp.array([0.0, 1.0, 1.0])[:, None, None], (3, 3, 3))
      >>> round(float(nine_point()(ramp)), 4)  # 2 (3/9 / 3 + 8/16 / 12)
      0.3056
    """
    return NinePoint(number(weight, "weight", 0))


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


def squared_distance(image: Image, *, weight: Number = 1.0) -> SquaredDistance:
    r"""Returns a prior: the squared Euclidean distance from an image, :math:`R(x) = w \lVert x - x_0 \rVert_2^2`.

    Args:
      image: x₀, [h, w, 3].
      weight: w, at least 0.

    Raises:
      ValueError: If `weight` is negative.

    Example:
      >>> float(squared_distance(jnp.zeros((1, 2, 3)))(jnp.full((1, 2, 3), 0.5)))
      1.5
    """
    return SquaredDistance(jnp.asarray(image), number(weight, "weight", 0))


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
