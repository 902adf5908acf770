"""The objective of nearest features: each position is to look like some position of an exemplar, whichever."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxviz._checks import shares as checked_shares
from jaxviz._checks import whole
from jaxviz._typing import Number, Scalar, Taps, static, symbol
from jaxviz.objectives.matrices import EXACT
from jaxviz.objectives.parts import Additive, Part, checked_weights, flat, position_weights, tap_of
from jaxviz.objectives.statistics import Guides, checked_guides

Joined = tuple[str, ...]
DISTANCES = 2**23
"""Distances that are held at a time, where it is not said how many positions are to be."""


@symbol
class MatchNearest(Additive):
    """Mean cosine distance of joined taps from the nearest of target ones; made by `match_nearest`.

    Attributes:
      targets: Of each exemplar and each group of layers, unit vectors, [m, c].
      weights: Of layers.
      shares: Of exemplars, of sum 1.
      groups: Layers whose taps are joined.
      guides: Layer → how much each position counts.
      chunk: Positions that are compared at a time; None for as many as have `DISTANCES`.
      precision: Of products of features.
    """

    targets: tuple[tuple[Float[Array, "_ _"], ...], ...]
    weights: Mapping[str, Array]
    shares: Float[Array, " _"]
    groups: tuple[Joined, ...] = static()
    guides: Guides | None = None
    chunk: int | None = static(default=None)
    precision: jax.lax.Precision = static(default=EXACT)

    def sums(self, taps: Taps, part: Part | None = None) -> dict[str, Any]:
        """Returns how much positions count together, and the sum of their distances, by group of layers."""
        found = {}
        for k, layers in enumerate(self.groups):
            first = tap_of(taps, layers[0])
            guide = None if self.guides is None else self.guides[layers[0]]
            counts = position_weights(layers[0], first, guide, part)
            joined = unit_features(taps, layers, self.weights)
            total = jnp.zeros(len(joined))
            for share, groups in zip(self.shares, self.targets, strict=True):
                total += share * nearest_distances(
                    joined, groups[k], chunk=self.chunk, precision=self.precision
                )
            if counts is None:
                found["+".join(layers)] = jnp.float32(len(joined)), jnp.sum(total)
            else:
                found["+".join(layers)] = jnp.sum(counts), jnp.sum(counts * total)
        return found

    def terms_of(self, sums: Mapping[str, Any]) -> dict[str, Scalar]:
        """Returns the weighted contribution of each group of layers, given the sums of all parts."""
        terms = {}
        for layers in self.groups:
            count, total = sums["+".join(layers)]
            weight = jnp.sum(jnp.stack([self.weights[layer] for layer in layers]))
            terms["+".join(layers)] = weight * total / count
        return terms


def match_nearest(
    target: Taps | Sequence[Taps],
    *,
    weights: Mapping[str, Number],
    shares: Sequence[Number] | None = None,
    guides: Guides | None = None,
    chunk: int | None = None,
    precision: jax.lax.Precision = EXACT,
) -> MatchNearest:
    r"""Returns an objective: how far features are from the nearest of `target`'s, wherever these are.

    .. math:: E(x) = \sum_g \frac{w_g}{n_g} \sum_i \min_j \left( 1 - \frac{f_i \cdot a_j}
              {\lVert f_i \rVert \, \lVert a_j \rVert} \right)

    Layers whose taps have the same size make a group g: at each of its :math:`n_g` positions i their features, each
    layer's times the root of its weight, are joined along channels to one vector :math:`f_i`, those of the exemplar
    at each of its positions to :math:`a_j`; :math:`w_g` is the sum of the weights. Unlike statistics, it lets each
    position choose, so that what it chose is drawn whole.

    Of several exemplars the distances are summed by their shares, :math:`\sum_k s_k E_k`. A position whose features
    are all zero has distance 1 from all, and no slope. Where several positions of an exemplar are equally near, the
    first row by row is taken, for value and slope.

    Args:
      target: Taps of the exemplar, or of several. Their size may differ from later images'; `c` may not.
      weights: Per layer, finite and at least 0; equal ones join the features as they are. Layers absent here are
        ignored.
      shares: :math:`s_k`, at least 0; they are divided by their sum. None for equal ones.
      guides: Layer → [h', w'], at least 0: how much each position counts; None for all as much.
      chunk: Positions that are compared with all of an exemplar at a time, of which it takes the memory and nothing
        else; None for as many as make 8 million distances, 32 MB.
      precision: How exactly the products of features are made, such as `network.precision`.

    Returns:
      A pure function from the taps of one image to a float32 scalar, at least 0 and at most the sum of the weights
      for features that are not negative; zero at `target`, but for positions without features.

    Raises:
      ValueError: If `weights` is empty, a weight or share is negative or not finite, there is not one share for
        each exemplar, or `chunk` is below 1.
      KeyError: If a layer is not in `target`; the message lists those that are.

    References:
      Zhang, Kolkin, Bi, Luan, Xu, Shechtman, Snavely. ARF: Artistic Radiance Fields. ECCV 2022, eq. 2.

    Example:
      >>> style = jnp.array([[[1.0, 0.0], [0.0, 2.0]]])
      >>> near = match_nearest({"relu3_1": style}, weights={"relu3_1": 1.0})
      >>> round(float(near({"relu3_1": jnp.array([[[0.0, 5.0]], [[3.0, 3.0]]])})), 3)  # (0 + 1 - √½) / 2
      0.146
    """
    exemplars = [target] if isinstance(target, Mapping) else list(target)
    if not exemplars:
        raise ValueError("target is empty; give the taps of at least one exemplar")
    parts = checked_shares(shares, len(exemplars), "exemplar")
    checked = checked_weights(weights, exemplars[0])
    if chunk is not None:
        whole(chunk, "chunk")
    groups = _groups(exemplars[0], tuple(checked))
    targets = tuple(
        tuple(unit_features(exemplar, layers, checked) for layers in groups) for exemplar in exemplars
    )
    return MatchNearest(targets, checked, parts, groups, checked_guides(guides, checked), chunk, precision)


def _groups(taps: Taps, layers: Joined) -> tuple[Joined, ...]:
    """Returns the layers by the sizes of their taps."""
    found: dict[tuple[int, ...], list[str]] = {}
    for layer in layers:
        found.setdefault(np.shape(taps[layer])[:-1], []).append(layer)
    return tuple(tuple(group) for group in found.values())


def unit_features(taps: Taps, layers: Joined, weights: Mapping[str, Array]) -> Float[Array, "n c"]:
    """Returns the features of layers joined, times the roots of their weights, as vectors of length 1, or 0.

    Raises:
      ValueError: If the taps differ in size.
    """
    parts = [jnp.sqrt(weights[layer]) * flat(tap_of(taps, layer)) for layer in layers]
    if len({len(part) for part in parts}) > 1:
        raise ValueError(f"taps of {', '.join(layers)} differ in size; they are joined position by position")
    joined = jnp.concatenate(parts, 1)
    squares = jnp.sum(joined**2, 1, keepdims=True)
    # Neither the root nor the quotient has a derivative at 0: the constant branch is taken there.
    there = squares > 0
    return jnp.where(there, joined / jnp.sqrt(jnp.where(there, squares, 1)), 0)


def nearest_distances(
    features: Float[Array, "n c"],
    targets: Float[Array, "m c"],
    *,
    chunk: int | None = None,
    precision: jax.lax.Precision = EXACT,
) -> Float[Array, " n"]:
    """Returns the cosine distance of unit vectors from the nearest of others.

    Its slope is that of the distance from the one that is found, so that no table of distances is kept for it.
    """
    which = nearest(jax.lax.stop_gradient(features), targets, chunk=chunk, precision=precision)
    return 1 - jnp.sum(features * targets[which], 1)


def nearest(
    features: Float[Array, "n c"],
    targets: Float[Array, "m c"],
    *,
    chunk: int | None = None,
    precision: jax.lax.Precision = EXACT,
) -> Int[Array, " n"]:
    """Returns for each vector the first index of that with the largest product, `chunk` vectors at a time."""
    n = len(features)
    size = min(n, max(1, DISTANCES // len(targets)) if chunk is None else chunk)
    count = -(-n // size)
    padded = jnp.pad(features, ((0, count * size - n), (0, 0)))

    def of_chunk(part: Array) -> Array:
        return jnp.argmax(jnp.matmul(part, targets.T, precision=precision), 1)

    return jax.lax.map(of_chunk, padded.reshape(count, size, -1)).reshape(-1)[:n]
