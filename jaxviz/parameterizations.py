"""ψ: parameterizations, from the unknowns that are optimized to an image."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._typing import Image, symbol


@symbol
class Pixels:
    """The image itself: ψ(z) = z. Made by `pixels`."""

    def decode(self, z: Float[Array, "h w 3"]) -> Image:
        """Returns the image of unknowns."""
        return z

    def encode(self, image: Image) -> Float[Array, "h w 3"]:
        """Returns unknowns that decode to an image."""
        return jnp.asarray(image, jnp.float32)


def pixels() -> Pixels:
    r"""Returns the parameterization :math:`\psi(z) = z` by the pixels themselves, RGB in [0, 1].

    Example:
      >>> pixels().decode(jnp.full((1, 1, 3), 0.5)).tolist()
      [[[0.5, 0.5, 0.5]]]
    """
    return Pixels()
