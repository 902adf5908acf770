"""The decoder of adaptive instance normalization: a VGG, mirrored, from features back to pixels."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz.networks.layers import PRECISIONS
from jaxviz.networks.vgg import WIDTHS
from jaxviz.stylization.layers import Upsampled, reflected


class Decoder(nn.Module):
    """Features at relu4_1 to a picture: the encoder's convolutions in reverse, mirrored borders, no normalization.

    Attributes:
      depths: Convolutions of the encoder's first three stages: (2, 2, 3) for VGG-16, (2, 2, 4) for VGG-19.
      slimness: What the widths of hidden layers are divided by; 1 as published.
      precision: A name in `networks.layers.PRECISIONS`.

    References:
      Huang, Belongie. Arbitrary Style Transfer in Real-Time with Adaptive Instance Normalization. ICCV 2017,
      section 6.
    """

    depths: tuple[int, ...] = (2, 2, 3)
    slimness: int = 1
    precision: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h8 w8 3"]:
        """Returns pictures of eight times the sides; values are RGB, where [0, 1] can be shown."""

        def layer(x: Array, features: int, name: str) -> Array:
            return reflected(features, 3, precision=self.precision, name=name)(x)

        def twice(x: Array, features: int, name: str) -> Array:
            return Upsampled(features, precision=self.precision, name=name)(x)

        x = x.astype(PRECISIONS[self.precision][0])
        x = jax.nn.relu(layer(x, WIDTHS[2] // self.slimness, "conv4_1"))
        for stage in (3, 2, 1):
            depth, width = self.depths[stage - 1], WIDTHS[stage - 1] // self.slimness
            narrower = WIDTHS[stage - 2] // self.slimness if stage > 1 else 3
            # The first one after a halving undoes it; the first of its stage in the encoder makes it narrower.
            for k in range(depth, 0, -1):
                make = twice if k == depth else layer
                x = make(x, width if k > 1 else narrower, f"conv{stage}_{k}")
                x = jax.nn.relu(x) if (stage, k) != (1, 1) else x
        return x.astype(jnp.float32) + 0.5
