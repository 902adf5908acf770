"""Pictures that count as nothing: what a method puts in the place of what it takes away."""

import jax.numpy as jnp
import numpy as np

from jaxviz._checks import concrete, known
from jaxviz._checks import image as checked_image
from jaxviz._typing import Array, Image, Number

COLORS = {"zero": 0.0, "grey": 0.5, "white": 1.0}
NAMES = (*COLORS, "blur")
SIGMA = 0.05
"""Of "blur": the deviation of its Gaussian, as a part of the picture's longer side."""


def baseline(value: str | Number | Image, image: Image) -> Image:
    """Returns the picture [h, w, 3] that a method compares another with.

    Args:
      value: "zero" (black), "grey", "white", or "blur" for the image itself out of focus; a number in [0, 1] for
        all values; or a picture of the image's size.
      image: The picture that is explained, [h, w, 3].

    Raises:
      KeyError: If a name is not one of these.
      ValueError: If a number is not in [0, 1], or a picture is none or of another size.

    Example:
      >>> baseline("grey", jnp.zeros((2, 2, 3)))[0, 0].tolist()
      [0.5, 0.5, 0.5]
    """
    if isinstance(value, str):
        name = known(value, NAMES, "baseline")
        if name == "blur":
            return blurred(image, SIGMA * max(image.shape[:2]))
        return jnp.full_like(image, COLORS[name])
    if np.ndim(value) == 0:
        if concrete(value) and not 0 <= float(value) <= 1:
            raise ValueError(f"baseline is {float(value):g}; expected a number in [0, 1]")
        return jnp.broadcast_to(jnp.asarray(value, image.dtype), image.shape)
    found = checked_image(value, "baseline")
    if found.shape != image.shape:
        raise ValueError(f"baseline is {list(found.shape)}; expected the image's {list(image.shape)}")
    return found


def blurred(image: Array | np.ndarray, sigma: Number) -> Array:
    r"""Returns an image [h, w, c] under a Gaussian of deviation `sigma` pixels, whose weights inside sum to 1.

    .. math:: y_{ij} = \frac{\sum_{kl} w_{ik} w_{jl} x_{kl}}{\sum_{kl} w_{ik} w_{jl}}, \quad
              w_{ik} = e^{-(i - k)^2 / 2 \sigma^2}

    Example:
      >>> bool(jnp.allclose(blurred(jnp.full((5, 4, 3), 0.3), 2.0), 0.3))
      True
    """

    def weights(size: int) -> Array:
        place = jnp.arange(size, dtype=image.dtype)
        near = jnp.exp(-0.5 * jnp.square((place[:, None] - place) / sigma))
        return near / near.sum(1, keepdims=True)

    h, w = image.shape[:2]
    return jnp.einsum("ik,jl,klc->ijc", weights(h), weights(w), image, precision="highest")
