r"""P: what L-BFGS starts each estimate of the inverse Hessian from, learned from its steps."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxviz._typing import Scalar, static, symbol

FLOOR = 1e-6
"""Density of energy, relative to the mean one, that is added to each band: what holds only rounding stays tame."""

OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])


@symbol
class SpectralMemory:
    """Energies of all steps and gradient changes so far, by channel and band, and the factor on P."""

    steps: Float[Array, "c bands"]
    changes: Float[Array, "c bands"]
    gain: Scalar


@symbol
class Spectral:
    """Made by `spectral`."""

    bands: int = static(default=13)

    def init(self, z: Any) -> SpectralMemory:
        """Returns a memory of nothing: P is the identity."""
        if getattr(z, "ndim", None) != 3:
            shape = list(z.shape) if hasattr(z, "shape") else type(z).__name__
            raise ValueError(f"unknowns are {shape}; spectral() is for one image [height, width, channels]")
        nothing = jnp.zeros((z.shape[2], self.bands), z.dtype)
        return SpectralMemory(nothing, nothing, jnp.ones((), z.dtype))

    def learn(self, memory: SpectralMemory, step: Array, change: Array) -> SpectralMemory:
        """Returns the memory with a step s and the change y that the gradient made in it, where s·y > 0."""
        share = self._shares(step.shape, step.dtype)
        energies = [jnp.square(_spectrum(part)) for part in (step, change)]
        # Each pair counts by its lengths, not by its s·y: one that nearly vanishes would outweigh all others.
        size = jnp.sqrt(energies[0].sum() * energies[1].sum())
        by_band = [
            jnp.einsum("chw,khw->ck", energy / size, share, precision="highest") for energy in energies
        ]
        steps, changes = memory.steps + by_band[0], memory.changes + by_band[1]
        curvature = jnp.vdot(step, change, precision="highest")
        gain = curvature / (_scales(steps, changes, share) * energies[1]).sum()
        return SpectralMemory(steps, changes, gain)

    def apply(self, memory: SpectralMemory, v: Array) -> Array:
        """Returns P v."""
        scales = _scales(memory.steps, memory.changes, self._shares(v.shape, v.dtype))
        return _image(memory.gain * scales * _spectrum(v))

    def _shares(self, shape, dtype) -> Float[Array, "bands h w"]:
        """Returns how much of each frequency belongs to each band: to the two nearest, by distance."""
        rows, columns = (jnp.arange(size, dtype=dtype) / size for size in shape[:2])
        frequency = jnp.hypot(rows[:, None], columns[None]) / np.sqrt(2)
        # In roots of frequency, as curvature changes most among the low ones.
        place = jnp.sqrt(frequency) * (self.bands - 1)
        return jnp.maximum(1 - jnp.abs(place - jnp.arange(self.bands, dtype=dtype)[:, None, None]), 0)


def _scales(steps, changes, share) -> Float[Array, "c h w"]:
    size = share.sum((1, 2))
    floors = [FLOOR * (part.sum() / (size.sum() * len(part))) * size for part in (steps, changes)]
    nothing = (size == 0) | (changes.sum() == 0)
    ratio = jnp.where(nothing, 1.0, steps + floors[0]) / jnp.where(nothing, 1.0, changes + floors[1])
    return jnp.exp(jnp.einsum("ck,khw->chw", 0.5 * jnp.log(ratio), share, precision="highest"))


def _colors(channels, dtype) -> Array:
    return jnp.asarray(OPPONENT if channels == 3 else np.eye(channels), dtype)


def _spectrum(image) -> Float[Array, "c h w"]:
    planes = jnp.einsum("kc,hwc->kwh", _colors(image.shape[2], image.dtype), image, precision="highest")
    return _cosines(_cosines(planes).mT)


def _image(spectrum) -> Float[Array, "h w c"]:
    planes = _from_cosines(_from_cosines(spectrum).mT)
    return jnp.einsum("kc,kwh->hwc", _colors(len(planes), planes.dtype), planes, precision="highest")


def _turns(n: int, dtype) -> Array:
    k = np.arange(n // 2 + 1)
    turns = np.exp(-0.5j * np.pi * k / n) * np.sqrt(np.where(k == 0, 1, 2) / n)
    return jnp.asarray(turns, jnp.result_type(dtype, jnp.complex64))


def _cosines(v) -> Array:
    """Returns the orthonormal cosine transform (DCT-II) of the last axis by a real FFT of its length [1].

    References:
      [1] Makhoul. A Fast Cosine Transform in One and Two Dimensions. IEEE Trans. ASSP 1980.
    """
    n = v.shape[-1]
    folded = jnp.concatenate([v[..., ::2], v[..., 1::2][..., ::-1]], -1)
    half = jnp.fft.rfft(folded) * _turns(n, v.dtype)
    return jnp.concatenate([half.real, -half.imag[..., 1 : (n + 1) // 2][..., ::-1]], -1)


def _from_cosines(c) -> Array:
    """Returns the inverse of `_cosines`."""
    n = c.shape[-1]
    imaginary = jnp.concatenate([jnp.zeros_like(c[..., :1]), -c[..., : (n - 1) // 2 : -1]], -1)
    folded = jnp.fft.irfft(jax.lax.complex(c[..., : n // 2 + 1], imaginary) / _turns(n, c.dtype), n)
    even, odd = folded[..., : (n + 1) // 2], folded[..., (n + 1) // 2 :][..., ::-1]
    odd = jnp.concatenate([odd, jnp.zeros_like(odd, shape=(*odd.shape[:-1], n % 2))], -1)
    # A scatter into every second place is slower than both transforms.
    return jnp.stack([even, odd], -1).reshape(*c.shape[:-1], -1)[..., :n]


def spectral(bands: int = 13) -> Spectral:
    r"""Returns a preconditioner that learns the curvature of an image's frequencies, for each of three colors.

    With :math:`s_i` the steps so far, :math:`y_i` the changes that the gradient made in them, W the share of
    frequencies in bands, and hats for the cosine transform F of luminance and two opponent colors,

    .. math:: P = F^T \mathrm{diag}(\gamma h) F, \quad \log h = W^T \log \left(
              \frac{\sum_i W |\hat s_i|^2 / (\lVert s_i \rVert \lVert y_i \rVert)}
                   {\sum_i W |\hat y_i|^2 / (\lVert s_i \rVert \lVert y_i \rVert)} \right)^{1/2}

    and γ such that :math:`y^T P y = s^T y` for the latest pair. Were the Hessian diagonal in F and equal within
    a band, P would be its inverse. For losses of a network's features it is nearly so: filters see some
    frequencies and colors tens of times better than others.

    Args:
      bands: Bands of frequency, at least 2, evenly spaced in its square root.

    Raises:
      ValueError: If `bands` is below 2.

    References:
      Barzilai, Borwein. Two-Point Step Size Gradient Methods. IMA J. Numer. Anal. 1988, whose two step sizes'
      geometric mean is h with one band.

    Example:
      >>> rule, z = spectral(), jnp.zeros((4, 6, 3))
      >>> memory = jax.jit(rule.learn)(rule.init(z), z + 0.5, z + 2)
      >>> jax.jit(rule.apply)(memory, z + 1)[0, 0].tolist()
      [0.25, 0.25, 0.25]
    """
    if bands < 2:
        raise ValueError(f"bands is {bands}; expected at least 2")
    return Spectral(int(bands))
