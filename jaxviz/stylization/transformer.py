"""The image transformation network of Johnson et al., with the normalizations that came after it."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz.networks.layers import PRECISIONS
from jaxviz.stylization.layers import Mixture, Norm, Upsampled, reflected

STRIDE = 4
"""Pixels, down and across, of one feature of the narrowest layers: sides must be multiples of it."""


class Transformer(nn.Module):
    r"""A picture to a stylized picture in one pass.

    Two convolutions halve the picture, residual blocks work at a quarter of its sides, two upsampled convolutions
    bring it back; every border is mirrored. Each convolution but the last is followed by a normalization; its
    scales and shifts, and those of the last one's three colors, are all that styles differ in.

    Attributes:
      norm: "batch", "instance", or "conditional-instance": with the last there may be several styles.
      styles: How many styles.
      width: Channels of the first layer; the published networks have 32, faster ones 16.
      widths: Channels of the three layers before the blocks and the two after them; where none are given, they are
        1, 2, 4, 2 and 1 times `width`.
      blocks: Residual blocks.
      last_normalized: Whether the three colors are normalized too, as in [2], before they are scaled and
        shifted.
      precision: A name in `networks.layers.PRECISIONS`.

    References:
      [1] Johnson, Alahi, Fei-Fei. Perceptual Losses for Real-Time Style Transfer and Super-Resolution. ECCV 2016.
      [2] Dumoulin, Shlens, Kudlur. A Learned Representation for Artistic Style. ICLR 2017, table 2.

    Note:
      As in [2], borders are mirrored and upsampling repeats pixels, where [1] has zeros and fractional strides; the
      last layer is a sigmoid. As in [1], colors are not normalized: where they are, every picture must have the
      same contrast, and early in training a flat one gets it from a white spot.
    """

    norm: str = "instance"
    styles: int = 1
    width: int = 32
    blocks: int = 5
    widths: tuple[int, ...] = ()
    last_normalized: bool = False
    precision: str = "float32"

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w 3"], weights: Mixture, *, train: bool = False
    ) -> Float[Array, "n h w 3"]:
        """Returns stylized pictures, in [0, 1].

        Args:
          x: RGB, in [0, 1], of sides that are multiples of `STRIDE`.
          weights: How much of each style, [n, styles], or at each pixel, [n, styles, h, w].
          train: Whether batch normalization takes the statistics of the batch, and keeps them in the collection
            "statistics".
        """

        # A constant is normalized away, so there is no bias.
        usual: dict[str, Any] = {"precision": self.precision, "use_bias": False}

        def layer(x: Array, features: int, window: int, stride: int, name: str) -> Array:
            x = reflected(features, window, stride, name=name, **usual)(x)
            return normalized(x, name)

        def twice(x: Array, features: int, name: str) -> Array:
            return jax.nn.relu(normalized(Upsampled(features, name=name, **usual)(x), name))

        def normalized(x: Array, name: str) -> Array:
            normalizes = name != "out" or self.last_normalized
            return Norm(self.norm, self.styles, normalizes, name=f"{name}_norm")(x, weights, train=train)

        first, second, third, fourth, fifth = self.widths or (self.width * k for k in (1, 2, 4, 2, 1))
        x = (x - 0.5).astype(PRECISIONS[self.precision][0])
        x = jax.nn.relu(layer(x, first, 9, 1, "conv1"))
        x = jax.nn.relu(layer(x, second, 3, 2, "conv2"))
        x = jax.nn.relu(layer(x, third, 3, 2, "conv3"))
        for k in range(1, self.blocks + 1):
            y = jax.nn.relu(layer(x, third, 3, 1, f"block{k}_1"))
            x = x + layer(y, third, 3, 1, f"block{k}_2")
        x = twice(twice(x, fourth, "up1"), fifth, "up2")
        return jax.nn.sigmoid(layer(x, 3, 9, 1, "out").astype(jnp.float32))
