"""What objectives of feature maps have in common: they are functions of sums over positions.

Sums over the parts of an image add up to those of the whole, so an image too large for the memory can be seen part
by part, with the same value and derivative.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxviz._checks import known, number
from jaxviz._typing import Number, Scalar, Taps, symbol


@symbol
class Part:
    """Taps of a window of an image, and which of their positions belong to the part that is to be summed.

    Attributes:
      inside: Layer → [h', w'], 1 for the positions of the part and 0 for those around it.
      starts: Layer → [2], the row and column in the whole image's tap of the first position of the window's.
    """

    inside: Mapping[str, Float[Array, "_ _"]]
    starts: Mapping[str, Int[Array, "2"]]

    def window(self, layer: str, whole: Array, size: tuple[int, ...]) -> Array:
        """Returns what of an array over the whole image's positions lies in the window, of `size`."""
        row, column = self.starts[layer]
        start = (row, column, *[jnp.zeros_like(row)] * (whole.ndim - 2))
        return jax.lax.dynamic_slice(whole, start, (*size, *whole.shape[2:]))


class Additive:
    """An objective that is a function of sums over positions, layer by layer."""

    def layer_sums(self, layer: str, tap: Array, part: Part | None) -> Any:
        """Returns the sums over the positions of one tap."""
        raise NotImplementedError

    def layer_term(self, layer: str, sums: Any) -> Scalar:
        """Returns what a layer with these sums contributes, its weight included."""
        raise NotImplementedError

    @property
    def layers(self) -> tuple[str, ...]:
        """The taps that are looked at."""
        return tuple(self.weights)  # type: ignore[attr-defined]

    def sums(self, taps: Taps, part: Part | None = None) -> dict[str, Any]:
        """Returns what adds up over the parts of an image: sums over positions, by layer.

        Args:
          taps: Of the image, or of a window.
          part: Which positions count where `taps` are a window's; None for all.
        """
        return {layer: self.layer_sums(layer, tap_of(taps, layer), part) for layer in self.layers}

    def terms_of(self, sums: Mapping[str, Any]) -> dict[str, Scalar]:
        """Returns the weighted contribution of each layer, given the sums of all parts."""
        return {layer: self.layer_term(layer, sums[layer]) for layer in self.layers}

    def of_sums(self, sums: Mapping[str, Any]) -> Scalar:
        """Returns the value, given the sums of all parts."""
        return jnp.sum(jnp.stack(list(self.terms_of(sums).values())))

    def terms(self, taps: Taps) -> dict[str, Scalar]:
        """Returns the weighted contribution of each layer for the taps of one image."""
        return self.terms_of(self.sums(taps))

    def __call__(self, taps: Taps) -> Scalar:
        """Returns the value for the taps of one image."""
        return self.of_sums(self.sums(taps))


def tap_of(taps: Taps, layer: str) -> Float[Array, "..."]:
    """Returns a tap, `precise` whatever the network computes in."""
    return precise(taps[known(layer, taps, "tap of a picture of this size")])


def precise(features: Array) -> Array:
    """Returns features in float32 at least: sums of 16-bit ones overflow."""
    return features.astype(jnp.promote_types(features.dtype, jnp.float32))


def flat(tap: Array) -> Float[Array, "n c"]:
    """Returns features as [positions, channels]; a tap without positions has one."""
    return tap.reshape(-1, tap.shape[-1])


def position_weights(layer: str, tap: Array, guide: Array | None, part: Part | None) -> Array | None:
    """Returns how much each position counts, [n]; None where all count as one."""
    size = tap.shape[:2]
    if tap.ndim != 3:
        return None
    if part is None:
        return None if guide is None else guide.reshape(-1)
    inside = part.inside[layer]
    return (inside if guide is None else inside * part.window(layer, guide, size)).reshape(-1)


def checked_weights(weights: Mapping[str, Number], taps: Taps) -> dict[str, Array]:
    """Returns weights per layer as float32 scalars.

    Raises:
      ValueError: If there is none, or one is negative or not finite.
      KeyError: If a layer is no tap.
    """
    if not weights:
        raise ValueError("weights is empty; give at least one layer")
    return {
        known(layer, taps, "tap of the target"): number(w, f"weight of {layer}", 0)
        for layer, w in weights.items()
    }
