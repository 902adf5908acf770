"""Objectives of the statistics of features: which occur, and together, wherever in the image."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxviz._checks import concrete
from jaxviz._checks import shares as checked_shares
from jaxviz._typing import Number, Scalar, Taps, static, symbol
from jaxviz.objectives.matrices import EXACT, trace_of_root
from jaxviz.objectives.moments import (
    DIAGONAL,
    VARIANCE_FLOOR,
    Summary,
    count,
    pooled,
    products,
    spreads,
    summarize,
)
from jaxviz.objectives.parts import Additive, Part, checked_weights, flat, position_weights, tap_of

Guides = Mapping[str, Float[Array, "_ _"]]
Exemplars = Taps | Summary | Sequence[Taps | Summary]


@symbol
class MatchGram(Additive):
    """Weighted squared distance of Gram matrices from target ones; made by `match_gram`."""

    targets: Mapping[str, Array]
    weights: Mapping[str, Array]
    guides: Guides | None = None
    precision: jax.lax.Precision = static(default=EXACT)

    def layer_sums(self, layer: str, tap: Array, part: Part | None) -> Any:
        """Returns the number of positions and the sum of products of channels."""
        counts = position_weights(layer, tap, _guide(self.guides, layer), part)
        return count(tap, counts), products(flat(tap), counts, self.precision)

    def layer_term(self, layer: str, sums: Any) -> Scalar:
        """Returns the weighted distance."""
        positions, total = sums
        return self.weights[layer] * _gram_distance(total / positions, self.targets[layer])


@symbol
class MatchMoments(Additive):
    """Weighted distance of means and of what else the kind compares; made by the `match_…` functions.

    The features have the mean of the target's subtracted before they are summed: a difference of large sums would
    lose the digits of a small variance.
    """

    means: Mapping[str, Array]
    spreads: Mapping[str, Array]
    weights: Mapping[str, Array]
    kind: str = static()
    guides: Guides | None = None
    precision: jax.lax.Precision = static(default=EXACT)

    def layer_sums(self, layer: str, tap: Array, part: Part | None) -> Any:
        """Returns the number of positions, and the sums of features and of their squares or products."""
        counts = position_weights(layer, tap, _guide(self.guides, layer), part)
        shifted = flat(tap) - self.means[layer]
        weighted = shifted if counts is None else shifted * counts[:, None]
        if self.kind == "moments":
            return count(tap, counts), jnp.sum(weighted, 0), jnp.sum(weighted * shifted, 0)
        return count(tap, counts), jnp.sum(weighted, 0), products(shifted, counts, self.precision)

    def layer_term(self, layer: str, sums: Any) -> Scalar:
        """Returns the weighted distance."""
        positions, first, second = sums
        distance = DISTANCES[self.kind](first / positions, second / positions, self.spreads[layer])
        return self.weights[layer] * distance


def _gram_distance(gram: Array, target: Array) -> Scalar:
    return jnp.sum((gram - target) ** 2) / (4 * target.shape[0] ** 2)


def _covariance_distance(shift: Array, second: Array, target: Array) -> Scalar:
    return _gram_distance(second - jnp.outer(shift, shift), target)


def _moments_distance(shift: Array, second: Array, target: Array) -> Scalar:
    deviation = jnp.sqrt(jnp.maximum(second - shift**2, 0) + VARIANCE_FLOOR)
    return jnp.mean(shift**2) + jnp.mean((deviation - target) ** 2)


def _gaussian_distance(shift: Array, second: Array, target: Array) -> Scalar:
    # `target` is the root of the covariance, whose trace is that of its square.
    covariance = second - jnp.outer(shift, shift) + DIAGONAL * jnp.eye(shift.size)
    product = jnp.matmul(jnp.matmul(target, covariance, precision=EXACT), target, precision=EXACT)
    traces = jnp.trace(covariance) + jnp.sum(target**2) - 2 * trace_of_root(product)
    return (jnp.sum(shift**2) + traces) / shift.size


DISTANCES = {
    "covariance": _covariance_distance,
    "moments": _moments_distance,
    "wasserstein": _gaussian_distance,
}


def match_gram(
    target: Exemplars,
    *,
    weights: Mapping[str, Number],
    centered: bool = False,
    shares: Sequence[Number] | None = None,
    guides: Guides | None = None,
    precision: jax.lax.Precision = EXACT,
) -> MatchGram | MatchMoments:
    r"""Returns an objective: how far the Gram matrices of an image are from `target`'s.

    With :math:`\phi_l(x)` tap `l` of image `x`, `y` the exemplar whose taps are `target`,
    :math:`c_l` channels and :math:`G` as `gram_matrix` makes it,

    .. math:: E(x) = \sum_l \frac{w_l}{4 c_l^2} \lVert G(\phi_l(x)) - G(\phi_l(y)) \rVert_F^2 .

    The Gram matrix forgets where features occur and keeps how they co-occur, so `E` compares
    textures. Alone it is the texture model of [1]; with `match_features` the style term of [2].

    Of several exemplars the Gram matrices are averaged, :math:`\sum_k s_k G(\phi_l(y_k))`: the gradient is that
    of the weighted sum of the distances from each, at the price of one.

    Args:
      target: Taps of the exemplar, or its `Summary`, or several. Their spatial size may differ from later images';
        `c` may not.
      weights: :math:`w_l` per layer, finite and at least 0. Layers absent here are ignored.
      centered: Whether the mean is subtracted from each channel first: the covariance is matched.
      shares: :math:`s_k`, at least 0; they are divided by their sum. None for equal ones.
      guides: Layer → [h', w'], at least 0: how much each position of the tap counts in G, as in [3]; None for all
        as much.
      precision: How exactly the products of features are made, such as `network.precision`.

    Returns:
      A pure function from the taps of one image to a float32 scalar, zero at `target`.

    Raises:
      ValueError: If `weights` is empty, a weight or share is negative or not finite, or there is not one share for
        each exemplar.
      KeyError: If a layer is not in `target`; the message lists those that are.

    Note:
      [1] leaves `G` unnormalized and divides the sum by :math:`h^2 w^2`; the two agree when `x`
      and `y` have equal size, and ours stays comparable when they do not.

    References:
      [1] Gatys, Ecker, Bethge. Texture Synthesis Using Convolutional Neural Networks. NeurIPS 2015.
      [2] Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural Networks. CVPR 2016.
      [3] Gatys, Ecker, Bethge, Hertzmann, Shechtman. Controlling Perceptual Factors in Neural Style Transfer.
          CVPR 2017, section 4.

    Example:
      >>> taps = {"relu1_1": jnp.ones((2, 2, 3))}
      >>> style = match_gram(taps, weights={"relu1_1": 1.0})
      >>> float(style({"relu1_1": 2 * jnp.ones((4, 4, 3))}))  # (4 - 1)^2 * 9 / (4 * 9)
      2.25
    """
    if centered:
        return _matched("covariance", target, weights, shares, guides, precision)
    summary, checked = _summary(target, weights, shares)
    return MatchGram(spreads(summary, "gram"), checked, checked_guides(guides, checked), precision)


def match_moments(
    target: Exemplars,
    *,
    weights: Mapping[str, Number],
    shares: Sequence[Number] | None = None,
    guides: Guides | None = None,
    precision: jax.lax.Precision = EXACT,
) -> MatchMoments:
    r"""Returns an objective: how far mean and deviation of each channel are from `target`'s.

    .. math:: E(x) = \sum_l \frac{w_l}{c_l} \left( \lVert \mu_l(x) - \mu_l(y) \rVert^2
              + \lVert \sigma_l(x) - \sigma_l(y) \rVert^2 \right), \quad \sigma^2 = \mathrm{Var} + 10^{-5}

    Arguments, result and errors are those of `match_gram`; several exemplars are pooled, as one of all their
    features.

    References:
      Huang, Belongie. Arbitrary Style Transfer in Real-Time with Adaptive Instance Normalization. ICCV 2017,
      eq. 13.

    Example:
      >>> style = match_moments({"relu1_1": jnp.zeros((2, 2, 3))}, weights={"relu1_1": 1.0})
      >>> float(style({"relu1_1": 2 * jnp.ones((4, 4, 3))}))  # the means differ by 2
      4.0
    """
    return _matched("moments", target, weights, shares, guides, precision)


def match_gaussian(
    target: Exemplars,
    *,
    weights: Mapping[str, Number],
    shares: Sequence[Number] | None = None,
    guides: Guides | None = None,
    precision: jax.lax.Precision = EXACT,
) -> MatchMoments:
    r"""Returns an objective: the squared Wasserstein-2 distance of Gaussians fitted to the features.

    With mean μ and covariance Σ, to whose diagonal 1e-4 is added,

    .. math:: E(x) = \sum_l \frac{w_l}{c_l} \left( \lVert \mu_x - \mu_y \rVert^2 + \mathrm{tr} \left(
              \Sigma_x + \Sigma_y - 2 (\Sigma_y^{1/2} \Sigma_x \Sigma_y^{1/2})^{1/2} \right) \right) .

    Arguments, result and errors are those of `match_gram`; several exemplars are pooled, as one of all their
    features.

    References:
      Olkin, Pukelsheim. The distance between two random vectors with given dispersion matrices. Linear Algebra
      and its Applications 1982.
      Mroueh. Wasserstein Style Transfer. AISTATS 2020.

    Example:
      >>> style = match_gaussian({"relu1_1": jnp.zeros((2, 2, 3))}, weights={"relu1_1": 1.0})
      >>> round(float(style({"relu1_1": 2 * jnp.ones((4, 4, 3))})), 4)  # the means differ by 2
      4.0
    """
    return _matched("wasserstein", target, weights, shares, guides, precision)


def _matched(
    kind: str, target: Any, weights: Any, shares: Any, guides: Guides | None, precision: jax.lax.Precision
) -> MatchMoments:
    summary, checked = _summary(target, weights, shares)
    return MatchMoments(
        summary.means, spreads(summary, kind), checked, kind, checked_guides(guides, checked), precision
    )


def _summary(target: Any, weights: Any, shares: Any) -> tuple[Summary, dict[str, Array]]:
    """Returns the statistics of all exemplars at the layers that have weights, and the weights as scalars."""
    exemplars = [target] if isinstance(target, Mapping | Summary) else list(target)
    if not exemplars:
        raise ValueError("target is empty; give the taps of at least one exemplar")
    parts = checked_shares(shares, len(exemplars), "exemplar")
    first = exemplars[0]
    checked = checked_weights(weights, first.means if isinstance(first, Summary) else first)
    layers = tuple(checked)
    return pooled([_at(exemplar, layers) for exemplar in exemplars], parts), checked


def _at(exemplar: Taps | Summary, layers: tuple[str, ...]) -> Summary:
    if not isinstance(exemplar, Summary):
        return summarize({layer: tap_of(exemplar, layer) for layer in layers})
    found = exemplar.means, exemplar.covariances
    return Summary(*({layer: values[layer] for layer in layers} for values in found))


def checked_guides(guides: Guides | None, layers: Mapping[str, Any]) -> Guides | None:
    """Returns the guides of layers; raises KeyError or ValueError where one is missing, or zero everywhere."""
    if guides is None:
        return None
    if missing := [layer for layer in layers if layer not in guides]:
        raise KeyError(f"guides has no {', '.join(missing)}; it has {', '.join(guides)}")
    for layer in layers:
        if concrete(guides[layer]) and not np.any(np.asarray(guides[layer]) > 0):
            raise ValueError(f"the guide of {layer} is zero everywhere, so that nothing is compared there")
    return {layer: guides[layer] for layer in layers}


def _guide(guides: Guides | None, layer: str) -> Array | None:
    return None if guides is None else guides[layer]
