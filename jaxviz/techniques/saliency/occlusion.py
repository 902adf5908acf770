"""Occlusion: how much a score falls where a window hides the image."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxviz._checks import image as checked_image
from jaxviz._checks import whole
from jaxviz._typing import Heatmap, Image, Number, Objective
from jaxviz.networks import Network
from jaxviz.objectives import Logit
from jaxviz.techniques.baselines import baseline as baseline_of
from jaxviz.techniques.classes import alone, answer, scored
from jaxviz.techniques.sampling import at_once

WINDOW, STRIDE = 15, 8


def occlusion(
    network: Network,
    image: Image,
    target: Number | Objective,
    *,
    window: int = WINDOW,
    stride: int = STRIDE,
    baseline: str | Number | Image = "grey",
) -> Heatmap:
    r"""Returns how much a score falls when a window around a pixel is hidden.

    .. math:: M_p = \frac{1}{|\{k : p \in W_k\}|} \sum_{k : p \in W_k} S(x) - S(x \text{ with } x_0 \text{ in } W_k)

    with S the unnormalized score of class `target`, or minus an objective of the taps, and windows
    :math:`W_k` that start every `stride` pixels until the last one reaches the border, where it is clipped.
    They are computed in one program, some at a time. For a batch, `jax.vmap`.

    Args:
      network: One with a classifier, unless `target` is an objective of other taps.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      target: A class index, or an objective.
      window: Side of the hidden squares in pixels, at least 1.
      stride: Pixels from one window to the next, 1 to `window`.
      baseline: x₀, what is put into the window: "zero", "grey", "white", "blur", a number in [0, 1], or a picture.

    Returns:
      M, [h, w], signed, in units of the score: above 0 where hiding lowers it.

    Raises:
      KeyError: If there is no such baseline.
      ValueError: If the image is not one, an option is out of range, the class is, or the network has no
        classifier.

    References:
      Zeiler, Fergus. Visualizing and Understanding Convolutional Networks. ECCV 2014, section 4.2.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> jaxviz.saliency.occlusion(network, jnp.full((64, 64, 3), 0.5), 285, window=32, stride=32).shape
      (64, 64)
    """
    return _occluded(network, image, target, window, stride, baseline, False)[0]


def occlusion_with_probabilities(
    network: Network,
    image: Image,
    target: Number | Objective,
    *,
    window: int = WINDOW,
    stride: int = STRIDE,
    baseline: str | Number | Image = "grey",
) -> tuple[Heatmap, dict[str, Float[Array, "..."]]]:
    """Returns the map of `occlusion`, and what was found at each window.

    Args:
      network: As for `occlusion`.
      image: As for `occlusion`.
      target: As for `occlusion`.
      window: As for `occlusion`.
      stride: As for `occlusion`.
      baseline: As for `occlusion`.

    Returns:
      M, and for a class "probabilities" [rows, columns], the probability that is left to it with each window, the
      figure of the paper.

    Raises:
      KeyError, ValueError: As for `occlusion`.

    Example:
      >>> network, image = jaxviz.load("squeezenet1_1"), jnp.full((64, 64, 3), 0.5)
      >>> _, told = jaxviz.saliency.occlusion_with_probabilities(network, image, 285, window=16, stride=16)
      >>> told["probabilities"].shape
      (4, 4)
    """
    return _occluded(network, image, target, window, stride, baseline, True)


def _occluded(
    network: Network,
    image: Image,
    target: Number | Objective,
    window: int,
    stride: int,
    baseline: str | Number | Image,
    tells: bool,
) -> tuple[Heatmap, dict[str, Float[Array, "..."]]]:
    window, stride = whole(window, "window"), whole(stride, "stride")
    if stride > window:
        raise ValueError(f"stride is {stride}; expected 1 to the window's {window} pixels")
    image = checked_image(image)
    hidden, objective = baseline_of(baseline, image), scored(network, target)
    if not tells:
        network, objective = alone(network, objective)
    tells = tells and isinstance(objective, Logit)
    found: tuple[Heatmap, dict[str, Array]] = _compiled(
        network, image, objective, hidden, window, stride, tells
    )
    return found


def covers(size: int, window: int, stride: int) -> Float[np.ndarray, "windows size"]:
    """Returns along one axis which pixels each window covers.

    Example:
      >>> covers(5, 2, 2).astype(int).tolist()
      [[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]
    """
    count = 1 + max(0, -(-(size - window) // stride))
    place = np.arange(size) - stride * np.arange(count)[:, None]
    return ((place >= 0) & (place < window)).astype(np.float32)


@functools.partial(jax.jit, static_argnames=("window", "stride", "tells"))
def _compiled(
    network: Network,
    image: Image,
    objective: Objective,
    hidden: Image,
    window: int,
    stride: int,
    tells: bool,
):
    rows, columns = (covers(size, window, stride) for size in image.shape[:2])

    def one(k: Array) -> tuple[Array, dict[str, Array]]:
        inside = jnp.asarray(rows)[k // len(columns), :, None] * jnp.asarray(columns)[k % len(columns)]
        taps = network.features(jnp.where(inside[..., None] > 0, hidden, image))
        return -objective(taps), {"probabilities": answer(taps, objective)} if tells else {}

    count = len(rows) * len(columns)
    flat = jax.lax.map(one, jnp.arange(count), batch_size=at_once(count))
    scores, told = jax.tree.map(lambda leaf: leaf.reshape(len(rows), len(columns)), flat)
    drops = -objective(network.features(image)) - scores
    total = jnp.einsum("ri,rc,cj->ij", rows, drops, columns, precision="highest")
    # Made inside the program, which would hold an array of the picture's size otherwise.
    return total / jnp.outer(rows.sum(0), columns.sum(0)), told
