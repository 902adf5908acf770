r"""How far a saliency map can be trusted: what the score does as pixels go or come, where the map points, and
whether it depends on what the network has learned.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxviz._checks import image as checked_image
from jaxviz._checks import random_key, whole
from jaxviz._typing import Heatmap, Image, Key, Number, Objective, Scalar
from jaxviz.networks import Network
from jaxviz.networks.forgetting import forgetting
from jaxviz.techniques.baselines import baseline as baseline_of
from jaxviz.techniques.classes import answer, scored
from jaxviz.techniques.sampling import at_once

__all__ = ["Curve", "Sanity", "deletion", "flat", "insertion", "pointing", "sanity"]

STEPS, TOLERANCE = 50, 15


class Curve(NamedTuple):
    """What a score does as pixels change, the most salient first.

    Attributes:
      fractions: Of the pixels that have changed, [n + 1], from 0 to 1.
      scores: [n + 1], probabilities for a class.
      area: Under the curve, by trapezoids.
    """

    fractions: Float[Array, " n"]
    scores: Float[Array, " n"]
    area: Scalar


class Sanity(NamedTuple):
    """How a map changes as a network forgets, from its last layer to its first.

    Attributes:
      layers: Of the modules that got random weights, in that order.
      similarities: Spearman's rank correlation of the map's sizes with the original's, [n], in [-1, 1].
      maps: The original and then one after each module, [n + 1, …].
    """

    layers: tuple[str, ...]
    similarities: Float[np.ndarray, " n"]
    maps: Float[np.ndarray, "..."]


def flat(values: Float[Array | np.ndarray, "..."]) -> Heatmap:
    """Returns a map as one number per pixel, [h, w]: of [h, w, 3] the largest size over the channels."""
    values = jnp.asarray(values)
    return jnp.abs(values).max(-1) if values.ndim == 3 else values


def deletion(
    network: Network,
    image: Image,
    values: Float[Array | np.ndarray, "..."],
    target: Number | Objective,
    *,
    steps: int = STEPS,
    baseline: str | Number | Image = "zero",
) -> Curve:
    r"""Returns how a class's probability falls as the most salient pixels are taken away; a small area is good.

    .. math:: y_k = f(x \text{ with } x_0 \text{ in the } \lfloor k h w / n \rfloor \text{ pixels of largest } M)

    Args:
      network: One with a classifier, unless `target` is an objective of other taps.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      values: M, [h, w] or [h, w, 3], of which the largest size over the channels counts.
      target: A class index, whose probability is f, or an objective, whose negative is.
      steps: n, at least 1.
      baseline: x₀: "zero", "grey", "white", "blur", a number in [0, 1], or a picture.

    Raises:
      KeyError: If there is no such baseline.
      ValueError: If the image is not one, the map is of another size or not finite, or an option is out of range.

    References:
      Petsiuk, Das, Saenko. RISE: Randomized Input Sampling for Explanation of Black-box Models. BMVC 2018,
      section 4.2.

    Example:
      >>> network, image = jaxviz.load("squeezenet1_1"), jnp.full((64, 64, 3), 0.5)
      >>> heat = jaxviz.saliency.gradient(network, image, 285)
      >>> jaxviz.evaluation.deletion(network, image, heat, 285, steps=4).scores.shape
      (5,)
    """
    image = checked_image(image)
    nothing = baseline_of(baseline, image)
    return _curve(network, image, nothing, _checked_map(values, image), target, steps)


def insertion(
    network: Network,
    image: Image,
    values: Float[Array | np.ndarray, "..."],
    target: Number | Objective,
    *,
    steps: int = STEPS,
    baseline: str | Number | Image = "blur",
) -> Curve:
    r"""Returns how a class's probability rises as the most salient pixels come back; a large area is good.

    .. math:: y_k = f(x_0 \text{ with } x \text{ in the } \lfloor k h w / n \rfloor \text{ pixels of largest } M)

    Args:
      network: As for `deletion`.
      image: As for `deletion`.
      values: As for `deletion`.
      target: As for `deletion`.
      steps: As for `deletion`.
      baseline: As for `deletion`; out of focus a picture has no edges that the network could take for something.

    Raises:
      KeyError, ValueError: As for `deletion`.

    References:
      Petsiuk, Das, Saenko. RISE: Randomized Input Sampling for Explanation of Black-box Models. BMVC 2018,
      section 4.2.

    Example:
      >>> network, image = jaxviz.load("squeezenet1_1"), jnp.full((64, 64, 3), 0.5)
      >>> heat = jaxviz.saliency.gradient(network, image, 285)
      >>> float(jaxviz.evaluation.insertion(network, image, heat, 285, steps=4).area) <= 1
      True
    """
    image = checked_image(image)
    nothing = baseline_of(baseline, image)
    return _curve(network, nothing, image, _checked_map(values, image), target, steps)


def _checked_map(values: Any, image: Image) -> Heatmap:
    if np.shape(values) not in (image.shape, image.shape[:2]):
        h, w = image.shape[:2]
        raise ValueError(f"the map is {list(np.shape(values))}; expected [{h}, {w}] or [{h}, {w}, 3]")
    if not isinstance(values, jax.core.Tracer) and not np.isfinite(np.asarray(values)).all():
        raise ValueError("the map holds NaN or infinite values")
    return flat(values)


def _curve(network, before, after, heat, target, steps) -> Curve:
    return _compiled(network, before, after, heat, scored(network, target), whole(steps, "steps"))


@functools.partial(jax.jit, static_argnames="steps")
def _compiled(network, before, after, heat, objective, steps: int) -> Curve:
    pixels = heat.size
    # Of equal values the first in reading order goes first.
    order = jnp.argsort(-heat.ravel(), stable=True)
    ranks = jnp.zeros(pixels, jnp.int32).at[order].set(jnp.arange(pixels, dtype=jnp.int32))
    counts = np.arange(steps + 1) * pixels // steps

    def score(count: Array) -> Scalar:
        changed = (ranks < count).reshape(heat.shape)[..., None]
        taps = network.features(jnp.where(changed, after, before))
        return answer(taps, objective)

    scores = jax.lax.map(score, jnp.asarray(counts, jnp.int32), batch_size=at_once(steps + 1))
    fractions = jnp.asarray(counts / pixels, jnp.float32)
    return Curve(fractions, scores, jnp.trapezoid(scores, fractions))


def pointing(
    values: Float[Array | np.ndarray, "..."],
    mask: Bool[Array | np.ndarray, "h w"],
    *,
    tolerance: int = TOLERANCE,
) -> dict[str, float | bool]:
    """Returns whether a map's largest value lies on an object, and how much of the map does.

    Args:
      values: The map, [h, w] or [h, w, 3].
      mask: Where the object is; neither all nor none of the pixels.
      tolerance: Pixels, at least 0, by which the largest value may miss it.

    Returns:
      "hit", the pointing game of [1]; "share", of the positive part of the map inside the mask, as in [2]; "area",
      the share of a map that is the same everywhere.

    Raises:
      ValueError: If sizes differ, the mask is all or nothing, or `tolerance` is negative.

    References:
      [1] Zhang, Bargal, Lin, Brandt, Shen, Sclaroff. Top-down Neural Attention by Excitation Backprop. IJCV 2018,
          section 4.1.
      [2] Wang, Wang, Du, Yang, Zhang, Ding, Mardziel, Hu. Score-CAM. CVPR Workshop 2020, section 4.3.

    Example:
      >>> heat, mask = np.eye(4, dtype=np.float32), np.zeros((4, 4), bool)
      >>> mask[:2, :2] = True
      >>> jaxviz.evaluation.pointing(heat, mask, tolerance=0)
      {'hit': True, 'share': 0.5, 'area': 0.25}
    """
    heat, inside = np.asarray(flat(values)), np.asarray(mask)
    if heat.shape != inside.shape:
        raise ValueError(
            f"the mask is {list(inside.shape)} and the map {list(heat.shape)}; expected equal sizes"
        )
    if inside.all() or not inside.any():
        raise ValueError("the mask is all or nothing; expected one that marks a part of the picture")
    if tolerance < 0:
        raise ValueError(f"tolerance is {tolerance}; expected at least 0 pixels")
    peak = np.unravel_index(int(np.argmax(heat)), heat.shape)
    near = np.min(np.hypot(*(np.nonzero(inside)[k] - peak[k] for k in (0, 1))))
    positive = np.maximum(heat, 0)
    share = float(positive[inside].sum() / positive.sum()) if positive.any() else 0.0
    return {"hit": bool(near <= tolerance), "share": share, "area": float(inside.mean())}


def sanity(
    network: Network,
    explain: Callable[[Network], Float[Array, "..."]],
    *,
    key: Key | int = 0,
) -> Sanity:
    """Returns how a map changes as the network's modules get random weights, from the last to the first.

    A map that hardly changes shows edges of the picture, not what the network has learned. All networks of the
    cascade go through one compiled program.

    Args:
      network: The trained one.
      explain: From a network to a map, such as `lambda n: jaxviz.saliency.guided(n, image, 285)`.
      key: Seeds the random weights. An integer is a seed.

    References:
      Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim. Sanity Checks for Saliency Maps. NeurIPS 2018, section 3.

    Example:
      >>> explain = lambda network: network.params["fire9"]["squeeze1x1"]["kernel"]  # a map of the weights alone
      >>> found = jaxviz.evaluation.sanity(jaxviz.load("squeezenet1_1"), explain)
      >>> found.layers[:4], [round(float(s)) for s in found.similarities[:4]]
      (('conv10', 'fire9/expand3x3', 'fire9/expand1x1', 'fire9/squeeze1x1'), [1, 1, 1, 0])
    """
    from scipy import stats  # a second of importing, for this alone

    maps, layers = [np.asarray(explain(network))], []
    for layer, without in forgetting(network, random_key(key)):
        layers.append(layer)
        maps.append(np.asarray(explain(without)))
    sizes = [np.abs(one).ravel() for one in maps]
    # A map without any difference has no ranks to compare.
    found = [stats.spearmanr(sizes[0], one).statistic if np.ptp(one) else 0.0 for one in sizes[1:]]
    return Sanity(tuple(layers), np.asarray(found, np.float32), np.stack(maps))
