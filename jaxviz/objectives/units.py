"""Objectives of single units: one neuron, one channel over all positions, or a direction among channels."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxviz._checks import concrete, index, number
from jaxviz._typing import Number, Scalar, Taps, static, symbol
from jaxviz.objectives.parts import flat, tap_of


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


@symbol
class Direction:
    """Minus how far features go along a vector; made by `direction`."""

    vector: Float[Array, " c"]
    power: Array
    layer: str = static()

    def __call__(self, taps: Taps) -> Scalar:
        """Returns the value for the taps of one image."""
        tap = tap_of(taps, self.layer)
        if tap.shape[-1] != self.vector.shape[0]:
            raise ValueError(
                f"the direction has {self.vector.shape[0]} numbers; "
                f"layer {self.layer!r} has {tap.shape[-1]} channels"
            )
        found = flat(tap)
        along = jnp.matmul(found, self.vector, precision="highest")
        # The root's derivative is infinite at 0.
        lengths = jnp.sqrt(jnp.square(found).sum(1) * jnp.square(self.vector).sum() + 1e-12)
        return -(along * jnp.maximum(along / lengths, LEAST_COSINE) ** self.power).mean()


LEAST_COSINE = 0.1
"""Below it cosines of `direction` count as this, so that there is a way up from any start."""


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


def direction(layer: str, vector: Array | np.ndarray, *, power: Number = 0.0) -> Direction:
    r"""Returns an objective: minus how far features go along a direction, and how little elsewhere.

    .. math:: L(x) = -\frac{1}{n} \sum_p v \cdot \phi_l(x)_p \; \max(\cos(v, \phi_l(x)_p), 0.1)^k

    A channel is the direction of a unit vector; others are sums of channels, or what a classifier or a
    factorization has learned of a layer.

    Args:
      layer: l, a tap.
      vector: v, [c], finite and not 0.
      power: k, at least 0; with 0 the plain product, larger ones ask for features that go nowhere else.

    Raises:
      ValueError: If `vector` is no such vector, or `power` is negative; when called, if the layer has another
        number of channels.

    References:
      Olah, Mordvintsev, Schubert. Feature Visualization. Distill 2017, on interactions of neurons; the cosine is
      of their library, objectives.direction.

    Example:
      >>> taps = {"relu1": jnp.array([[[3.0, 4.0]]])}
      >>> float(direction("relu1", jnp.array([1.0, 0.0]))(taps))
      -3.0
      >>> round(float(direction("relu1", jnp.array([1.0, 0.0]), power=1)(taps)), 4)  # 3 · 3/5
      -1.8
    """
    found = jnp.asarray(vector, jnp.float32)
    if found.ndim != 1 or (concrete(found) and not (np.isfinite(found).all() and np.any(found))):
        raise ValueError(
            f"vector is of shape {list(found.shape)}; expected one number a channel, finite and not all 0"
        )
    return Direction(found, number(power, "power", 0), layer)
