"""Means and products of features, of one exemplar or of several pooled."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._typing import Taps
from jaxviz.objectives.matrices import EXACT, root
from jaxviz.objectives.parts import flat

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
      G in float32, whatever the type of `features`: sums of 16-bit features overflow. It has a reverse-mode
      derivative only.
    """
    f = flat(features).astype(jnp.float32)
    return products(f - f.mean(0) if centered else f, None) / f.shape[0]


@jax.jit
def pooled_grams(exemplars: list[Taps], parts: Array) -> Taps:
    """Returns the average of the exemplars' Gram matrices, by layer; `parts` are divided by their sum."""
    parts = parts / parts.sum()
    return {
        layer: jnp.stack(
            [share * gram_matrix(taps[layer]) for share, taps in zip(parts, exemplars, strict=True)]
        ).sum(0)
        for layer in exemplars[0]
    }


@functools.partial(jax.jit, static_argnums=2)
def pooled_moments(exemplars: list[Taps], parts: Array, kind: str) -> tuple[Taps, Taps]:
    """Returns mean and spread of all exemplars' features as one set, by layer; `parts` are divided by their sum.

    The spread is, by `kind`, the "covariance", the deviation of each channel ("moments"), or the root of the
    covariance ("wasserstein").
    """
    parts = parts / parts.sum()
    means, spreads = {}, {}
    for layer in exemplars[0]:
        own = jnp.stack([flat(taps[layer]).mean(0) for taps in exemplars])
        mean = parts @ own
        # Around the common mean: the difference of raw moments would lose the digits of a small variance.
        apart = [flat(taps[layer]) - mean for taps in exemplars]
        about = [share * products(f, None) / f.shape[0] for share, f in zip(parts, apart, strict=True)]
        covariance = jnp.stack(about).sum(0)
        means[layer] = mean
        if kind == "covariance":
            spreads[layer] = covariance
        elif kind == "moments":
            spreads[layer] = jnp.sqrt(jnp.diag(covariance) + VARIANCE_FLOOR)
        else:
            spreads[layer] = root(covariance + DIAGONAL * jnp.eye(mean.size))
    return means, spreads


def products(features: Float[Array, "n c"], counts: Array | None) -> Float[Array, "c c"]:
    """Returns the sum over positions of the products of channels."""
    return _second(features if counts is None else features * jnp.sqrt(counts)[:, None])


@jax.custom_vjp
def _second(f: Float[Array, "n c"]) -> Float[Array, "c c"]:
    return jnp.matmul(f.T, f, precision=EXACT)


def _second_backward(f, g):
    # The automatic rule makes two products, f g and f gᵀ, as large as the features each.
    return (jnp.matmul(f, g + g.T, precision=EXACT),)


_second.defvjp(lambda f: (_second(f), f), _second_backward)
