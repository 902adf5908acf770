"""The objective of features' directions position by position, weighted as people see: LPIPS."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxviz._checks import concrete, known
from jaxviz._typing import Scalar, Taps, symbol
from jaxviz.objectives.parts import Additive, Part, position_weights, tap_of

TINY = 1e-10
"""Added to lengths, as in the authors' program."""


@symbol
class MatchPerceptual(Additive):
    """Weighted squared distance of taps' directions from target directions; made by `match_perceptual`."""

    targets: Mapping[str, Float[Array, "h w c"]]
    weights: Mapping[str, Float[Array, " c"]]

    def layer_sums(self, layer: str, tap: Array, part: Part | None) -> Scalar:
        """Returns the sum of squared differences over positions, weighted by channel."""
        target = self.targets[layer]
        if part is not None:
            target = part.window(layer, target, tap.shape[:2])
        squares = (directions(tap) - target) ** 2
        distances = jnp.matmul(squares, self.weights[layer], precision="highest")
        counts = position_weights(layer, tap, None, part)
        return jnp.sum(distances if counts is None else distances * counts.reshape(tap.shape[:2]))

    def layer_term(self, layer: str, sums: Scalar) -> Scalar:
        """Returns the mean over positions."""
        h, w, _ = self.targets[layer].shape
        return sums / (h * w)


def directions(tap: Array) -> Array:
    """Returns features divided by their length at each position."""
    squares = jnp.sum(tap**2, -1, keepdims=True)
    # The root has no derivative at 0, where all of a position's features are.
    lengths = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)
    return tap / (lengths + TINY)


def match_perceptual(target: Taps, *, weights: Mapping[str, Any]) -> MatchPerceptual:
    r"""Returns an objective: how unlike an image is to `target`'s in the eyes of people (LPIPS).

    .. math:: E(x) = \sum_l \frac{1}{h_l w_l} \sum_{i} \sum_c w_{lc}
              \left( \hat\phi_l(x)_{ic} - \hat\phi_l(y)_{ic} \right)^2

    with :math:`\hat\phi` the features of a position divided by their length. It is about 0 for pictures that look
    the same, and above 0.5 for such that share little.

    Args:
      target: Taps of the image to match, [h, w, c] each.
      weights: :math:`w_l` of each layer, [c], at least 0, learned from people's judgements;
        `jaxviz.checkpoints.perceptual_weights` reads the authors' files.

    Returns:
      A pure function from the taps of one image to a float32 scalar, zero at `target`.

    Raises:
      ValueError: If `weights` is empty, or of another number of channels than a tap, or has values that are
        negative or not finite.
      KeyError: If a layer is not in `target`; the message lists those that are.

    References:
      Zhang, Isola, Efros, Shechtman, Wang. The Unreasonable Effectiveness of Deep Features as a Perceptual Metric.
      CVPR 2018, eq. 1, version 0.1 of the weights.

    Example:
      >>> distance = match_perceptual({"relu1": jnp.ones((2, 2, 2))}, weights={"relu1": jnp.ones(2)})
      >>> [round(float(distance({"relu1": tap})), 3) for tap in (jnp.ones((2, 2, 2)) * 3, jnp.zeros((2, 2, 2)))]
      [0.0, 1.0]
    """
    if not weights:
        raise ValueError("weights is empty; give at least one layer")
    targets, checked = {}, {}
    for layer, values in weights.items():
        tap = tap_of(target, known(layer, target, "tap of the target"))
        if np.shape(values) != tap.shape[-1:] or tap.ndim != 3:
            raise ValueError(
                f"weights of {layer} have shape {list(np.shape(values))}; its tap is {list(tap.shape)}"
            )
        if concrete(values) and not (np.isfinite(values).all() and np.min(values) >= 0):
            raise ValueError(f"weights of {layer} are not all finite and at least 0")
        targets[layer] = directions(tap)
        checked[layer] = jnp.asarray(values, jnp.float32)
    return MatchPerceptual(targets, checked)
