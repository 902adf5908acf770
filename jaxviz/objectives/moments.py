"""Means and products of features, of one exemplar or of several pooled."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._typing import Scalar, Taps, static, symbol
from jaxviz.objectives.matrices import EXACT, root
from jaxviz.objectives.parts import Part, flat, position_weights, precise, tap_of

VARIANCE_FLOOR = 1e-5
"""Added to variances under a square root, whose derivative at 0 is infinite."""
DIAGONAL = 1e-4
"""Added to the diagonal of covariances that are to have roots."""


def gram_matrix(features: Float[Array, "*positions c"], *, centered: bool = False) -> Float[Array, "c c"]:
    r"""Returns how channels co-occur: :math:`G_{ij} = \frac{1}{hw} \sum_p f_{pi} f_{pj}`.

    Args:
      features: f, [h, w, c], or [c] for a layer without positions.
      centered: Whether each channel's mean over positions is subtracted first.

    Returns:
      G in float32, whatever the type of `features`: sums of 16-bit features overflow; in float64 of float64. It
      has a reverse-mode derivative only.
    """
    f = flat(precise(features))
    return products(f - f.mean(0) if centered else f, None) / f.shape[0]


@symbol
class Summary:
    """Mean and covariance of the features of an image, by layer: all that statistics of them need.

    Made by `summarize`, or, of an image too large for the memory, by `tiling.summary`. It stands wherever the taps
    of an exemplar may.
    """

    means: Mapping[str, Float[Array, " _"]]
    covariances: Mapping[str, Float[Array, "_ _"]]


@symbol
class Summing:
    """The sums over positions that a summary is made of, as of an objective."""

    layers: tuple[str, ...] = static()

    def sums(self, taps: Taps, part: Part | None = None) -> dict[str, Any]:
        """Returns the number of positions, and the sums of features and of their products, by layer."""
        found = {}
        for layer in self.layers:
            tap = tap_of(taps, layer)
            counts = position_weights(layer, tap, None, part)
            f = flat(tap)
            weighted = f if counts is None else f * counts[:, None]
            found[layer] = count(tap, counts), jnp.sum(weighted, 0), products(f, counts)
        return found


def summarized(sums: Mapping[str, Any]) -> Summary:
    """Returns the summary of the features whose sums over positions are given."""
    means = {layer: first / n for layer, (n, first, _) in sums.items()}
    covariances = {
        layer: second / n - jnp.outer(means[layer], means[layer]) for layer, (n, _, second) in sums.items()
    }
    return Summary(means, covariances)


@jax.jit
def summarize(taps: Taps) -> Summary:
    """Returns the statistics of an image's features.

    Example:
      >>> from jaxviz.objectives import summarize
      >>> found = summarize({"relu1": jnp.array([[[1.0], [3.0]]])})
      >>> found.means["relu1"].tolist(), found.covariances["relu1"].tolist()
      ([2.0], [[1.0]])
    """
    means = {layer: flat(tap_of(taps, layer)).mean(0) for layer in taps}
    # Around the mean: a difference of raw moments would lose the digits of a small variance.
    covariances = {layer: gram_matrix(taps[layer], centered=True) for layer in taps}
    return Summary(means, covariances)


@jax.jit
def pooled(summaries: list[Summary], parts: Array) -> Summary:
    """Returns the statistics of the features of several images as one set, `parts`, of sum 1, of each."""
    means, covariances = {}, {}
    for layer in summaries[0].means:
        own = jnp.stack([summary.means[layer] for summary in summaries])
        mean = means[layer] = jnp.tensordot(parts, own, 1, precision=EXACT)
        within = jnp.stack([summary.covariances[layer] for summary in summaries])
        between = products((own - mean) * jnp.sqrt(parts)[:, None], None)
        covariances[layer] = jnp.tensordot(parts, within, 1, precision=EXACT) + between
    return Summary(means, covariances)


@functools.partial(jax.jit, static_argnums=1)
def spreads(summary: Summary, kind: str) -> dict[str, Array]:
    """Returns what of a summary an objective compares beside the means, by layer.

    That is, by `kind`, the mean products of channels ("gram"), their covariance ("covariance"), the deviation of
    each ("moments"), or the root of the covariance ("wasserstein").
    """

    def spread(mean: Array, covariance: Array) -> Array:
        if kind == "gram":
            return covariance + jnp.outer(mean, mean)
        if kind == "covariance":
            return covariance
        if kind == "moments":
            return jnp.sqrt(jnp.maximum(jnp.diag(covariance), 0) + VARIANCE_FLOOR)
        return root(covariance + DIAGONAL * jnp.eye(mean.size))

    return {layer: spread(mean, summary.covariances[layer]) for layer, mean in summary.means.items()}


def count(tap: Array, counts: Array | None) -> Scalar:
    """Returns how many positions were summed, or how much they count together."""
    return jnp.asarray(flat(tap).shape[0], jnp.float32) if counts is None else jnp.sum(counts)


def products(
    features: Float[Array, "n c"], counts: Array | None, precision: jax.lax.Precision = EXACT
) -> Float[Array, "c c"]:
    """Returns the sum over positions of the products of channels."""
    weighted = features if counts is None else features * jnp.sqrt(counts)[:, None]
    return _second(weighted, precision)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _second(f: Float[Array, "n c"], precision: jax.lax.Precision) -> Float[Array, "c c"]:
    return jnp.matmul(f.T, f, precision=precision)


def _second_backward(precision, f, g):
    # The automatic rule makes two products, f g and f gᵀ, as large as the features each.
    return (jnp.matmul(f, g + g.T, precision=precision),)


_second.defvjp(lambda f, precision: (_second(f, precision), f), _second_backward)
