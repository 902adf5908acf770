"""Objectives of single units: one neuron, or one channel over all positions."""

import jax.numpy as jnp
from jaxtyping import Array, Int

from jaxviz._checks import index
from jaxviz._typing import Number, Scalar, Taps, static, symbol
from jaxviz.objectives.parts import tap_of


@symbol
class Unit:
    """Minus what one unit of a layer answers; made by `unit`."""

    channel: Int[Array, ""]
    at: Int[Array, "2"] | None
    layer: str = static()

    def __call__(self, taps: Taps) -> Scalar:
        """Returns the value for the taps of one image."""
        tap = tap_of(taps, self.layer)
        if tap.ndim == 1:
            if self.at is not None:
                raise ValueError(f"layer {self.layer!r} has no positions; leave `at` away")
            return -tap[self.channel]
        channel = jnp.take(tap, self.channel, -1)
        return -channel.mean() if self.at is None else -channel[self.at[0], self.at[1]]


def unit(layer: str, channel: Number, at: tuple[Number, Number] | None = None) -> Unit:
    r"""Returns an objective: minus what a neuron answers, :math:`-\phi_l(x)_{yxc}`, or its channel's mean.

    Minimizing it excites the neuron; as the `target` of a saliency method it is what is explained.

    Args:
      layer: l, a tap.
      channel: c, at least 0. One that the tap does not have counts as its last.
      at: (y, x), the position in the tap, at least 0; None for the mean over all positions, and for a tap that
        has none.

    Raises:
      ValueError: If an index is no integer of at least 0; when called, if `at` is given and the tap has no
        positions.

    Example:
      >>> taps = {"relu1": jnp.arange(8.0).reshape(2, 2, 2)}
      >>> float(unit("relu1", 1, (1, 0))(taps)), float(unit("relu1", 1)(taps))
      (-5.0, -4.0)
    """
    place = None if at is None else jnp.stack([index(at[0], "at[0]"), index(at[1], "at[1]")])
    return Unit(index(channel, "channel"), place, layer)
