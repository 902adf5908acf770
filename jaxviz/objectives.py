"""L: objectives, from the taps of one image to a scalar that is to become small.

Each is a frozen record that is a pytree: its targets and weights may vary without compiling. The functions
with small names make them.
"""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxviz._checks import index, known, number
from jaxviz._typing import Number, Objective, Scalar, Taps, static, symbol


def _tap(taps: Taps, layer: str) -> Float[Array, "..."]:
    return taps[known(layer, taps, "tap of a picture of this size")].astype(jnp.float32)


@symbol
class Logit:
    """Minus one unnormalized class score; made by `logit`."""

    index: Int[Array, ""]
    layer: str = static(default="logits")

    def __call__(self, taps: Taps) -> Scalar:
        """Returns the value for the taps of one image."""
        return -_tap(taps, self.layer)[self.index]


@symbol
class CrossEntropy:
    """Minus the log-probability of a class; made by `cross_entropy`."""

    label: Int[Array, ""]
    layer: str = static(default="logits")

    def __call__(self, taps: Taps) -> Scalar:
        """Returns the value for the taps of one image."""
        return -jax.nn.log_softmax(_tap(taps, self.layer))[self.label]


@symbol
class Margin:
    """How far the best other class is ahead of one class; made by `margin`."""

    label: Int[Array, ""]
    layer: str = static(default="logits")

    def __call__(self, taps: Taps) -> Scalar:
        """Returns the value for the taps of one image."""
        scores = _tap(taps, self.layer)
        others = jnp.where(jnp.arange(scores.size) == self.label, -jnp.inf, scores)
        return others.max() - scores[self.label]


@symbol
class MatchFeatures:
    """Weighted squared distance of taps from target taps; made by `match_features`."""

    targets: Mapping[str, Array]
    weights: Mapping[str, Array]

    def __call__(self, taps: Taps) -> Scalar:
        """Returns the value for the taps of one image."""
        terms = [
            self.weights[layer] * jnp.sum((_tap(taps, layer) - target) ** 2)
            for layer, target in self.targets.items()
        ]
        return jnp.sum(jnp.stack(terms))


@symbol
class MatchGram:
    """Weighted squared distance of Gram matrices from target ones; made by `match_gram`."""

    grams: Mapping[str, Array]
    weights: Mapping[str, Array]
    centered: bool = static(default=False)

    def __call__(self, taps: Taps) -> Scalar:
        """Returns the value for the taps of one image."""
        terms = []
        for layer, target in self.grams.items():
            difference = gram_matrix(_tap(taps, layer), centered=self.centered) - target
            terms.append(self.weights[layer] * jnp.sum(difference**2) / (4 * target.shape[0] ** 2))
        return jnp.sum(jnp.stack(terms))


@symbol
class WeightedSum:
    """A weighted sum of objectives; made by `weighted_sum`."""

    objectives: tuple[Objective, ...]
    weights: tuple[Array, ...]

    def __call__(self, taps: Taps) -> Scalar:
        """Returns the value for the taps of one image."""
        terms = [w * objective(taps) for w, objective in zip(self.weights, self.objectives, strict=True)]
        return jnp.sum(jnp.stack(terms))


def logit(label: Number, *, layer: str = "logits") -> Logit:
    r"""Returns an objective: minus one class score before the softmax, :math:`-S_c(x)`.

    Minimizing it raises the score. The unnormalized score is used because a probability can also be raised by
    lowering the other classes [1].

    Args:
      label: c, at least 0.
      layer: The tap [classes] that holds the scores.

    Raises:
      ValueError: If `label` is not an integer of at least 0.

    References:
      [1] Simonyan, Vedaldi, Zisserman. Deep Inside Convolutional Networks. ICLR Workshop 2014, section 2.

    Example:
      >>> float(logit(1)({"logits": jnp.array([1.0, 4.0])}))
      -4.0
    """
    return Logit(index(label, "label"), layer)


def cross_entropy(label: Number, *, layer: str = "logits") -> CrossEntropy:
    r"""Returns an objective: the cross-entropy, :math:`\log \sum_k e^{S_k(x)} - S_c(x)`.

    Args:
      label: c, at least 0.
      layer: The tap [classes] that holds the scores.

    Returns:
      A pure function from taps to a float32 scalar, at least 0.

    Raises:
      ValueError: If `label` is not an integer of at least 0.

    Example:
      >>> round(float(cross_entropy(0)({"logits": jnp.zeros(4)})), 4)  # log 4
      1.3863
    """
    return CrossEntropy(index(label, "label"), layer)


def margin(label: Number, *, layer: str = "logits") -> Margin:
    r"""Returns an objective: :math:`\max_{k \ne c} S_k(x) - S_c(x)`, below 0 where class c wins.

    Args:
      label: c, at least 0.
      layer: The tap [classes] that holds the scores, at least two.

    Raises:
      ValueError: If `label` is not an integer of at least 0.

    References:
      Carlini, Wagner. Towards Evaluating the Robustness of Neural Networks. S&P 2017, section V.A, f6.

    Example:
      >>> float(margin(0)({"logits": jnp.array([3.0, 1.0, 2.0])}))
      -1.0
    """
    return Margin(index(label, "label"), layer)


def match_features(target: Taps, *, weights: Mapping[str, Number], relative: bool = False) -> MatchFeatures:
    r"""Returns an objective: how far the features of an image are from `target`'s, position by position.

    .. math:: E(x) = \sum_l w_l \lVert \phi_l(x) - \phi_l(y) \rVert_2^2 \,/\, n_l

    with :math:`\phi_l(y)` tap l of `target`, and :math:`n_l` its number of elements, or
    :math:`\lVert \phi_l(y) \rVert_2^2` where `relative`.

    Args:
      target: Taps of the image to match.
      weights: :math:`w_l` per layer, finite and at least 0. Layers absent here are ignored.
      relative: Whether the distance is divided by the target's squared norm, as for inversion [1], instead of
        averaged over elements, as for the content of style transfer.

    Returns:
      A pure function from the taps of one image to a float32 scalar, zero at `target`.

    Raises:
      ValueError: If `weights` is empty, or a weight is negative or not finite.
      KeyError: If a layer is not in `target`; the message lists those that are.

    References:
      [1] Mahendran, Vedaldi. Understanding Deep Image Representations by Inverting Them. CVPR 2015, eq. 2.

    Example:
      >>> content = match_features({"relu1": jnp.zeros((2, 2, 3))}, weights={"relu1": 2.0})
      >>> float(content({"relu1": 3 * jnp.ones((2, 2, 3))}))  # 2 * 3^2
      18.0
    """
    checked = _weights(weights, target)
    targets = {layer: _tap(target, layer) for layer in checked}
    scaled = _over_divisors(checked, targets, relative)
    return MatchFeatures(targets, scaled)


def match_gram(target: Taps, *, weights: Mapping[str, Number], centered: bool = False) -> MatchGram:
    r"""Returns an objective: how far the Gram matrices of an image are from `target`'s.

    With :math:`\phi_l(x)` tap `l` of image `x`, `y` the exemplar whose taps are `target`,
    :math:`c_l` channels and :math:`G` as `gram_matrix` makes it,

    .. math:: E(x) = \sum_l \frac{w_l}{4 c_l^2} \lVert G(\phi_l(x)) - G(\phi_l(y)) \rVert_F^2 .

    The Gram matrix forgets where features occur and keeps how they co-occur, so `E` compares
    textures. Alone it is the texture model of [1]; with `match_features` the style term of [2].

    Args:
      target: Taps of the exemplar. Its spatial size may differ from later images'; `c` may not.
      weights: :math:`w_l` per layer, finite and at least 0. Layers absent here are ignored.
      centered: Whether the mean is subtracted from each channel first: the covariance is matched.

    Returns:
      A pure function from the taps of one image to a float32 scalar, zero at `target`.

    Raises:
      ValueError: If `weights` is empty, or a weight is negative or not finite.
      KeyError: If a layer is not in `target`; the message lists those that are.

    Note:
      [1] leaves `G` unnormalized and divides the sum by :math:`h^2 w^2`; the two agree when `x`
      and `y` have equal size, and ours stays comparable when they do not.

    References:
      [1] Gatys, Ecker, Bethge. Texture Synthesis Using Convolutional Neural Networks. NeurIPS 2015.
      [2] Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural Networks. CVPR 2016.

    Example:
      >>> taps = {"relu1_1": jnp.ones((2, 2, 3))}
      >>> style = match_gram(taps, weights={"relu1_1": 1.0})
      >>> float(style({"relu1_1": 2 * jnp.ones((4, 4, 3))}))  # (4 - 1)^2 * 9 / (4 * 9)
      2.25
    """
    checked = _weights(weights, target)
    grams = _grams({layer: _tap(target, layer) for layer in checked}, centered)
    return MatchGram(grams, checked, centered)


@functools.partial(jax.jit, static_argnums=2)
def _over_divisors(weights: Taps, targets: Taps, relative: bool) -> Taps:
    if not relative:
        return {layer: weights[layer] / tap.size for layer, tap in targets.items()}
    norms = {layer: jnp.sum(tap**2) for layer, tap in targets.items()}
    return {layer: weights[layer] / jnp.where(norm > 0, norm, 1) for layer, norm in norms.items()}


@functools.partial(jax.jit, static_argnums=1)
def _grams(taps: Taps, centered: bool) -> Taps:
    return {layer: gram_matrix(tap, centered=centered) for layer, tap in taps.items()}


def weighted_sum(*terms: tuple[Number, Objective]) -> WeightedSum:
    """Returns an objective: the sum of others, each times its weight.

    Args:
      terms: Pairs (weight, objective), at least one. A negative weight makes its objective large.

    Raises:
      ValueError: If there is no term, or a weight is not finite.

    Example:
      >>> both = weighted_sum((1.0, logit(0)), (2.0, logit(1)))
      >>> float(both({"logits": jnp.array([3.0, 5.0])}))
      -13.0
    """
    if not terms:
        raise ValueError("weighted_sum got no term; give pairs (weight, objective)")
    weights = tuple(number(w, f"weight of term {i}") for i, (w, _) in enumerate(terms))
    return WeightedSum(tuple(objective for _, objective in terms), weights)


def gram_matrix(features: Float[Array, "*positions c"], *, centered: bool = False) -> Float[Array, "c c"]:
    r"""Returns how channels co-occur: :math:`G_{ij} = \frac{1}{hw} \sum_p f_{pi} f_{pj}`.

    Args:
      features: f, [h, w, c], or [c] for a layer without positions.
      centered: Whether each channel's mean over positions is subtracted first.

    Returns:
      G in float32, whatever the type of `features`: sums of 16-bit features overflow. It has a reverse-mode
      derivative only.
    """
    flat = features.reshape(-1, features.shape[-1]).astype(jnp.float32)
    if centered:
        flat = flat - flat.mean(0)
    return _second_moment(flat)


@jax.custom_vjp
def _second_moment(f: Float[Array, "n c"]) -> Float[Array, "c c"]:
    return jnp.matmul(f.T, f, precision=jax.lax.Precision.HIGHEST) / f.shape[0]


def _second_moment_backward(f, g):
    # The automatic rule makes two products, f g and f gᵀ, as large as the features each.
    return (jnp.matmul(f, (g + g.T) / f.shape[0], precision=jax.lax.Precision.HIGHEST),)


_second_moment.defvjp(lambda f: (_second_moment(f), f), _second_moment_backward)


def _weights(weights: Mapping[str, Number], taps: Taps) -> dict[str, Array]:
    if not weights:
        raise ValueError("weights is empty; give at least one layer")
    return {
        known(layer, taps, "tap of the target"): number(w, f"weight of {layer}", 0)
        for layer, w in weights.items()
    }
