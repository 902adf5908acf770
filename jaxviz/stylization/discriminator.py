"""A discriminator of pictures, by parts of them: whether each could be of a domain, such as that of paintings."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxviz._typing import Scalar
from jaxviz.networks.borders import padded
from jaxviz.networks.layers import PRECISIONS, Conv
from jaxviz.stylization.layers import EPSILON, moments

SLOPE = 0.2
"""Of a leaky ReLU below 0."""
WINDOW = 4


class Discriminator(nn.Module):
    """A picture to scores of its parts, each of which sees 70×70 pixels: large where they are of the domain.

    Attributes:
      width: Channels of the first layer; 64 as published.
      blurred: Whether features are blurred and then halved, as published; else convolutions have a stride of 2, and
        half of the operations are left.
      precision: A name in `networks.layers.PRECISIONS`.

    References:
      [1] Isola, Zhu, Zhou, Efros. Image-to-Image Translation with Conditional Adversarial Networks. CVPR 2017,
          section 3.2.2.
      [2] Zhang. Making Convolutional Networks Shift-Invariant Again. ICML 2019, section 3.2.

    Note:
      [1] normalizes by the batch; here each picture is normalized by itself, without scales and shifts.
    """

    width: int = 64
    blurred: bool = True
    precision: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w 3"]) -> Float[Array, "n h8 w8"]:
        """Returns a score for each part of pictures in [0, 1]."""

        def layer(x: Array, features: int, stride: int, name: str) -> Array:
            return Conv(features, WINDOW, stride, 1, precision=self.precision, name=name)(x)

        x = (2 * x - 1).astype(PRECISIONS[self.precision][0])
        for k in range(1, 4):
            x = layer(x, self.width * 2 ** (k - 1), 1 if self.blurred else 2, f"conv{k}")
            x = jax.nn.leaky_relu(x if k == 1 else _normalized(x), SLOPE)
            x = halved(x) if self.blurred else x
        x = jax.nn.leaky_relu(_normalized(layer(x, self.width * 8, 1, "conv4")), SLOPE)
        return layer(x, 1, 1, "out")[..., 0].astype(jnp.float32)


def _normalized(x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    mean, variance = moments(x, (1, 2))
    return ((x - mean) * lax.rsqrt(variance + EPSILON)).astype(x.dtype)


def halved(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
    """Returns every second feature after a blur by 1, 2, 1 down and across, with mirrored borders."""
    x = padded(x, ((1, 1), (1, 1)), "reflect")
    for axis in (1, 2):
        count = (x.shape[axis] - 1) // 2
        before, at, after = (lax.slice_in_dim(x, k, k + 2 * count - 1, 2, axis) for k in range(3))
        x = (before + 2 * at + after) / 4
    return x


def hinge(scores: Float[Array, "..."], sign: float = 1.0) -> Scalar:
    r"""Returns how far scores are from being large (or, of sign -1, small): the mean of :math:`\max(0, 1 \mp s)`.

    References:
      Lim, Ye. Geometric GAN. arXiv 2017, section 4.
    """
    return jnp.mean(jax.nn.relu(1 - sign * scores))
