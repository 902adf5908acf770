"""RISE: the mean of random masks, each weighted by the score of what it leaves visible."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxviz._checks import image as checked_image
from jaxviz._checks import number, random_key, whole
from jaxviz._typing import Heatmap, Image, Key, Number, Objective
from jaxviz.networks import Network
from jaxviz.techniques.classes import answer, scored
from jaxviz.techniques.sampling import mean_of_random

SAMPLES, CELLS, KEPT = 4000, 7, 0.5


def rise(
    network: Network,
    image: Image,
    target: Number | Objective,
    *,
    key: Key | int = 0,
    samples: int = SAMPLES,
    cells: int = CELLS,
    kept: Number = KEPT,
) -> Heatmap:
    r"""Returns how likely a class is, in the mean over random masks that leave a pixel visible.

    .. math:: M = \frac{1}{n p} \sum_k f(x \odot m_k) \, m_k

    with f the probability of class `target`, or minus an objective of the taps, and :math:`m_k` a grid of cells
    that are 1 with probability p, else 0, enlarged bilinearly by one cell more than the image has, and shifted at
    random by up to a cell. Nothing but
    the network's answers is used. Masks are computed in one program, some at a time. For a batch, `jax.vmap`.

    Args:
      network: One with a classifier, unless `target` is an objective of other taps.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      target: A class index, or an objective.
      key: Seeds the masks: mask k draws from `fold_in(key, k)`. An integer is a seed.
      samples: n, at least 1.
      cells: Cells of a mask, down and across, at least 1.
      kept: p, above 0 and at most 1.

    Returns:
      M, [h, w], at least 0 for a class.

    Raises:
      ValueError: If the image is not one, an option is out of range, the class is, or the network has no
        classifier.

    References:
      Petsiuk, Das, Saenko. RISE: Randomized Input Sampling for Explanation of Black-box Models. BMVC 2018,
      section 3.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> jaxviz.saliency.rise(network, jnp.full((64, 64, 3), 0.5), 285, samples=2).shape
      (64, 64)
    """
    cells = whole(cells, "cells")
    image = checked_image(image)
    kept = number(kept, "kept", 1e-6, 1)
    count = whole(samples, "samples")
    return _compiled(network, image, scored(network, target), random_key(key), count, cells, kept)


def mask(key: Key, shape: tuple[int, int], cells: int, kept: Number) -> Heatmap:
    """Returns a random mask [h, w] in [0, 1]."""
    grid, shift = jax.random.split(key)
    sides = [-(-size // cells) for size in shape]
    coarse = jax.random.bernoulli(grid, kept, (cells, cells)).astype(jnp.float32)
    fine = jax.image.resize(coarse, [(cells + 1) * side for side in sides], "bilinear")
    corner = jax.random.randint(shift, (2,), 0, jnp.asarray(sides))
    return jax.lax.dynamic_slice(fine, corner, shape)


@functools.partial(jax.jit, static_argnames=("samples", "cells"))
def _compiled(network, image, objective, key, samples, cells, kept) -> Heatmap:
    def one(key: Array) -> Heatmap:
        visible = mask(key, image.shape[:2], cells, kept)
        taps = network.features(image * visible[..., None])
        return answer(taps, objective) * visible

    return mean_of_random(one, key, samples) / kept
