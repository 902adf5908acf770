"""Objectives of whole layers: how strong their features are, and how much those of a guide are in them."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._checks import number
from jaxviz._typing import Number, Scalar, Taps, symbol
from jaxviz.objectives.parts import checked_weights, flat, precise, tap_of


@symbol
class Energy:
    """Minus half the mean square of layers; made by `energy`."""

    weights: Mapping[str, Array]

    def __call__(self, taps: Taps) -> Scalar:
        """Returns the value for the taps of one image."""
        parts = [w * jnp.square(tap_of(taps, layer)).mean() for layer, w in self.weights.items()]
        return -0.5 * sum(parts, jnp.zeros(()))


@symbol
class Resemble:
    """Made by `resemble`."""

    weights: Mapping[str, Array]
    guides: Mapping[str, Float[Array, "n c"]]

    def __call__(self, taps: Taps) -> Scalar:
        """Returns the value for the taps of one image."""
        total = jnp.zeros(())
        for layer, w in self.weights.items():
            found, guide = flat(tap_of(taps, layer)), self.guides[layer]
            nearest = jnp.matmul(jax.lax.stop_gradient(found), guide.T, precision="highest").argmax(1)
            total = total - w * (found * guide[nearest]).sum(1).mean()
        return total


def energy(weights: Mapping[str, Number]) -> Energy:
    r"""Returns an objective: minus how strong the features of layers are.

    .. math:: L(x) = -\frac{1}{2} \sum_l w_l \, \mathrm{mean}(\phi_l(x)^2)

    Its derivative by the features is the features themselves: what a layer sees a little of is made more.

    Args:
      weights: w per layer, at least 0.

    Raises:
      ValueError: If `weights` is empty, or one is negative.

    References:
      Mordvintsev, Olah, Tyka. Inceptionism: Going Deeper into Neural Networks. Google Research 2015.

    Example:
      >>> float(energy({"relu1": 1.0})({"relu1": jnp.array([[[2.0, 0.0]]])}))
      -1.0
    """
    if not weights:
        raise ValueError("weights is empty; give at least one layer")
    return Energy({layer: number(w, f"weight of {layer}", 0) for layer, w in weights.items()})


def resemble(guide: Taps, weights: Mapping[str, Number]) -> Resemble:
    r"""Returns an objective: how little the features are like the nearest ones of a guide.

    .. math:: L(x) = -\sum_l w_l \frac{1}{n} \sum_p \phi_l(x)_p \cdot \phi_l(y)_{q(p)}, \quad
              q(p) = \mathrm{argmax}_q \; \phi_l(x)_p \cdot \phi_l(y)_q

    Args:
      guide: Taps of y. Its size may differ from later images'.
      weights: w per layer, at least 0.

    Raises:
      ValueError: If `weights` is empty, or one is negative.
      KeyError: If a layer is no tap of the guide.

    References:
      Mordvintsev, Olah, Tyka. DeepDream's notebook, on controlling dreams, 2015.

    Example:
      >>> guide = {"relu1": jnp.array([[[1.0, 0.0], [0.0, 2.0]]])}
      >>> float(resemble(guide, {"relu1": 1.0})({"relu1": jnp.array([[[3.0, 1.0]]])}))
      -3.0
    """
    checked = checked_weights(weights, guide)
    return Resemble(checked, {layer: flat(precise(jnp.asarray(guide[layer]))) for layer in checked})
