"""Objectives of features position by position."""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxviz._checks import known
from jaxviz._typing import Number, Scalar, Taps, symbol
from jaxviz.objectives.parts import Additive, Part, checked_weights, position_weights, tap_of

REDUCTIONS = ("mean", "relative", "sum")


@symbol
class MatchFeatures(Additive):
    """Weighted squared distance of taps from target taps; made by `match_features`."""

    targets: Mapping[str, Array]
    weights: Mapping[str, Array]

    def layer_sums(self, layer: str, tap: Array, part: Part | None) -> Scalar:
        """Returns the sum of squared differences."""
        target = self.targets[layer]
        if part is not None and tap.ndim == 3:
            target = part.window(layer, target, tap.shape[:2])
        counts = position_weights(layer, tap, None, part)
        squares = (tap - target) ** 2
        return jnp.sum(squares if counts is None else squares * counts.reshape(*tap.shape[:2], 1))

    def layer_term(self, layer: str, sums: Scalar) -> Scalar:
        """Returns the weighted sum of squares."""
        return self.weights[layer] * sums


def match_features(target: Taps, *, weights: Mapping[str, Number], reduction: str = "mean") -> MatchFeatures:
    r"""Returns an objective: how far the features of an image are from `target`'s, position by position.

    .. math:: E(x) = \sum_l \frac{w_l}{n_l} \lVert \phi_l(x) - \phi_l(y) \rVert_2^2

    with :math:`\phi_l(y)` tap l of `target`, and :math:`n_l` by `reduction` its number of elements ("mean"), its
    squared norm :math:`\lVert \phi_l(y) \rVert_2^2` ("relative"), or 1 ("sum").

    Args:
      target: Taps of the image to match.
      weights: :math:`w_l` per layer, finite and at least 0. Layers absent here are ignored.
      reduction: "mean", as for the content of style transfer; "relative", as for inversion [1]; or "sum", as the
        content loss of [2] has it, with a weight of ½.

    Returns:
      A pure function from the taps of one image to a float32 scalar, zero at `target`.

    Raises:
      ValueError: If `weights` is empty, or a weight is negative or not finite.
      KeyError: If a layer is not in `target`, where the message lists those that are, or the reduction is unknown.

    References:
      [1] Mahendran, Vedaldi. Understanding Deep Image Representations by Inverting Them. CVPR 2015, eq. 2.
      [2] Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural Networks. CVPR 2016, eq. 1.

    Example:
      >>> content = match_features({"relu1": jnp.zeros((2, 2, 3))}, weights={"relu1": 2.0})
      >>> float(content({"relu1": 3 * jnp.ones((2, 2, 3))}))  # 2 * 3^2
      18.0
    """
    known(reduction, REDUCTIONS, "reduction")
    checked = checked_weights(weights, target)
    targets = {layer: tap_of(target, layer) for layer in checked}
    return MatchFeatures(targets, _over_divisors(checked, targets, reduction))


@functools.partial(jax.jit, static_argnums=2)
def _over_divisors(weights: Taps, targets: Taps, reduction: str) -> Taps:
    if reduction == "sum":
        return dict(weights)
    if reduction == "mean":
        return {layer: weights[layer] / tap.size for layer, tap in targets.items()}
    norms = {layer: jnp.sum(tap**2) for layer, tap in targets.items()}
    return {layer: weights[layer] / jnp.where(norm > 0, norm, 1) for layer, norm in norms.items()}
