"""ψ: parameterizations, from the unknowns that are optimized to an image."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxviz._checks import number, whole
from jaxviz._typing import Image, Key, Number, Parameterization, static, symbol

COLORS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
"""From independent numbers to RGB that varies together as in photographs of ImageNet [Olah et al. 2017]."""


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


@symbol
class Fourier:
    """Made by `fourier`."""

    decay: Array
    height: int = static()
    width: int = static()

    def init(self, key: Key, deviation: Number = 0.01) -> Float[Array, "2 h w2 3"]:
        """Returns unknowns drawn at random: real and imaginary parts, normal, of a deviation."""
        return jnp.asarray(deviation) * jax.random.normal(key, (2, self.height, self.width // 2 + 1, 3))

    def decode(self, z: Float[Array, "2 h w2 3"]) -> Image:
        """Returns the image of unknowns, around 0."""
        spectrum = jax.lax.complex(z[0], z[1]) * self._amplitudes()[..., None]
        return jnp.fft.irfft2(spectrum, (self.height, self.width), (0, 1))

    def encode(self, image: Image) -> Float[Array, "2 h w2 3"]:
        """Returns unknowns that decode to an image."""
        spectrum = jnp.fft.rfft2(jnp.asarray(image, jnp.float32), axes=(0, 1)) / self._amplitudes()[..., None]
        return jnp.stack([spectrum.real, spectrum.imag])

    def _amplitudes(self) -> Float[Array, "h w2"]:
        rows, columns = np.fft.fftfreq(self.height), np.fft.rfftfreq(self.width)
        # Made inside the program, which would hold an array of half the picture's size otherwise.
        distance = jnp.hypot(jnp.asarray(rows, jnp.float32)[:, None], jnp.asarray(columns, jnp.float32))
        frequency = jnp.maximum(distance, 1 / max(self.height, self.width))
        whole = np.sqrt(self.height * self.width) / 4
        return jnp.asarray(whole, jnp.float32) * frequency**-self.decay


def fourier(height: int, width: int, *, decay: Number = 1.0) -> Fourier:
    r"""Returns the parameterization by the spectrum, in which all frequencies of photographs are equally large.

    .. math:: \psi(z) = \frac{\sqrt{hw}}{4} F^{-1} \left( \frac{z_1 + i z_2}{\max(|f|, 1/\max(h, w))^\gamma} \right)

    with f in cycles per pixel. A step of one length in z moves coarse structure more than fine: descent finds
    shapes before grain.

    Args:
      height: h, at least 1 pixel.
      width: w, at least 1 pixel.
      decay: γ, at least 0; photographs have about 1.

    Raises:
      ValueError: If a number is out of range.

    References:
      Olah, Mordvintsev, Schubert. Feature Visualization. Distill 2017, on preconditioning and parameterization.

    Example:
      >>> shape = fourier(6, 5)
      >>> image = jax.random.uniform(jax.random.key(0), (6, 5, 3))
      >>> bool(jnp.allclose(shape.decode(shape.encode(image)), image, atol=1e-5))
      True
    """
    return Fourier(number(decay, "decay", 0), whole(height, "height"), whole(width, "width"))


@symbol
class Colored:
    """Made by `decorrelated`."""

    inner: Parameterization

    def decode(self, z: Array) -> Image:
        """Returns the image of unknowns, in (0, 1)."""
        independent = self.inner.decode(z)
        largest = np.linalg.norm(COLORS, axis=0).max()
        mixed = jnp.einsum("hwc,dc->hwd", independent, jnp.float32(COLORS / largest), precision="highest")
        return jax.nn.sigmoid(mixed)


def decorrelated(inner: Parameterization) -> Colored:
    r"""Returns a parameterization whose three numbers a pixel are independent in photographs, and colors valid.

    .. math:: \psi(z) = \sigma \left( C \, \psi_0(z)_p / \max_j \lVert C_{\cdot j} \rVert \right) ,

    with C a root of the covariance of ImageNet's colors and σ the logistic function, so that colors are in (0, 1)
    for any z, and a zero is middle grey.

    Args:
      inner: ψ₀, such as `fourier(h, w)`.

    References:
      Olah, Mordvintsev, Schubert. Feature Visualization. Distill 2017, on preconditioning and parameterization.

    Example:
      >>> decorrelated(pixels()).decode(jnp.zeros((1, 1, 3))).tolist()
      [[[0.5, 0.5, 0.5]]]
    """
    return Colored(inner)


EDGE = 1e-6
"""How far from 0 and 1 colors are kept, whose unknowns would be infinite."""


@symbol
class Bounded:
    """Made by `bounded`."""

    def decode(self, z: Float[Array, "h w 3"]) -> Image:
        """Returns the image of unknowns, in [0, 1]."""
        return (jnp.tanh(z) + 1) / 2

    def encode(self, image: Image) -> Float[Array, "h w 3"]:
        """Returns unknowns that decode to an image, but for `EDGE`."""
        return jnp.arctanh((2 * jnp.asarray(image) - 1) * (1 - EDGE))


def bounded() -> Bounded:
    r"""Returns the parameterization :math:`\psi(z) = (\tanh z + 1) / 2`, whose colors are valid for any z.

    References:
      Carlini, Wagner. Towards Evaluating the Robustness of Neural Networks. S&P 2017, section V.B, change of
      variables.

    Example:
      >>> bounded().decode(jnp.array([[[0.0, 40.0, -40.0]]])).tolist()
      [[[0.5, 1.0, 0.0]]]
    """
    return Bounded()
