"""The Linen building blocks of stylizing networks: mirrored borders, upsampling, styles as scales and shifts."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxviz.networks.layers import PRECISIONS, Conv
from jaxviz.stylization.upsampling import upsampled_conv2d

NORMS = ("batch", "instance", "conditional-instance")
EPSILON = 1e-5
MOMENTUM = 0.9
"""Share of the old value in the running statistics of batch normalization, after each step of training."""

Codes = Mapping[str, Mapping[str, Float[Array, "k c"]]]
Mixture = Float[Array, "n k"] | Float[Array, "n k H W"]


def reflected(features: int, window: int, stride: int = 1, **more: Any) -> Conv:
    """Returns a convolution with mirrored borders; `more` are attributes of `Conv`."""
    return Conv(features, window, stride, window // 2, borders="reflect", **more)


class Upsampled(Conv):
    """A 3×3 convolution with mirrored borders of features of twice the sides, each repeated; no padding is set."""

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 d"]:
        """Returns the features before their nonlinearity."""
        return self._shifted(upsampled_conv2d(x, self._kernel(x), PRECISIONS[self.precision][1]))


def moments(x: Float[Array, "... c"], axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Returns mean and variance of features over some axes, which are kept as 1; in float32 at least."""
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    mean = jnp.mean(x, axes, keepdims=True)
    return mean, jnp.mean(jnp.square(x - mean), axes, keepdims=True)


def mixed(weights: Mixture, values: Float[Array, "k c"], shape: tuple[int, ...]) -> Float[Array, "n _ _ c"]:
    """Returns the weighted sum of the values of k styles for n pictures, at each position where weights have any.

    Args:
      weights: How much of each style, [n, k], or at each position of the picture, [n, k, h, w]: then the features'
        sides divide the picture's, and the weights are averaged over what each feature covers.
      values: One row a style.
      shape: Of the features, [n, h', w', c].
    """
    if weights.ndim == 2:
        return jnp.matmul(weights, values, precision="highest")[:, None, None]
    n, k, h, w = weights.shape
    rows, columns = shape[1], shape[2]
    coarse = weights.reshape(n, k, rows, h // rows, columns, w // columns).mean((3, 5))
    return jnp.einsum("nkhw,kc->nhwc", coarse, values, precision="highest")


class Norm(nn.Module):
    r"""Normalization with a scale and a shift for each style, of parameters `scale` and `bias` [styles, c].

    .. math:: y_{pc} = \gamma_{sc} \frac{x_{pc} - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}} + \beta_{sc}

    With μ and σ² of each picture and channel it is instance normalization [1], with more than one style the
    conditional one [2]; with those of the batch while training, and of running averages afterwards, batch
    normalization [3]. Where nothing is normalized, μ is 0 and the root is 1.

    References:
      [1] Ulyanov, Vedaldi, Lempitsky. Instance Normalization: The Missing Ingredient for Fast Stylization.
          arXiv 2016.
      [2] Dumoulin, Shlens, Kudlur. A Learned Representation for Artistic Style. ICLR 2017, eq. 5.
      [3] Ioffe, Szegedy. Batch Normalization. ICML 2015, algorithm 1.
    """

    kind: str = "instance"
    styles: int = 1
    normalizes: bool = True

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], weights: Mixture, *, train: bool = False
    ) -> Float[Array, "n h w c"]:
        """Returns the normalized features."""
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (self.styles, channels))
        bias = self.param("bias", nn.initializers.zeros, (self.styles, channels))
        factor, shift = (mixed(weights, bank, x.shape) for bank in (scale, bias))
        if self.normalizes:
            mean, variance = self._statistics(x, train)
            factor = factor * lax.rsqrt(variance + EPSILON)
            shift = shift - mean * factor
        return x * factor.astype(x.dtype) + shift.astype(x.dtype)

    def _statistics(self, x: Array, train: bool) -> tuple[Array, Array]:
        if self.kind != "batch":
            return moments(x, (1, 2))
        shape = (1, 1, 1, x.shape[-1])
        kept_mean = self.variable("statistics", "mean", jnp.zeros, shape)
        kept_variance = self.variable("statistics", "variance", jnp.ones, shape)
        if not train:
            return kept_mean.value, kept_variance.value
        mean, variance = moments(x, (0, 1, 2))
        if not self.is_initializing():
            kept_mean.value = MOMENTUM * kept_mean.value + (1 - MOMENTUM) * lax.stop_gradient(mean)
            kept_variance.value = MOMENTUM * kept_variance.value + (1 - MOMENTUM) * lax.stop_gradient(
                variance
            )
        return mean, variance
