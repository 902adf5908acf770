"""DeepDream, from a picture to a picture."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxviz import constraints, transforms
from jaxviz._checks import image as checked_image
from jaxviz._checks import known, number, random_key, whole
from jaxviz._typing import AnyImage, Array, Image, Key, Number, Objective
from jaxviz.networks import Network
from jaxviz.objectives import energy, resemble
from jaxviz.optimizers import normalized_gradient
from jaxviz.problem import Problem
from jaxviz.stepping import advance, init
from jaxviz.techniques.dream.presets import PRESETS
from jaxviz.techniques.layers import layer_weights


def dream(
    network: Network,
    image: Image,
    *,
    preset: str = "default",
    layers: Mapping[str, Number] | None = None,
    guide: AnyImage | None = None,
    octaves: int | None = None,
    ratio: float | int | None = None,
    steps: int | None = None,
    rate: Number | None = None,
    jitter: int | None = None,
    key: Key | int = 0,
) -> Image:
    r"""Returns a picture in which a layer sees more of what it has seen a little of.

    From the coarsest of `octaves` sizes to the image's own, each by `ratio` larger: what the steps have added so
    far, the detail, is enlarged and put on the image at this size, and `steps` steps are made,

    .. math:: x \leftarrow P_{[0, 1]} \left( x + \alpha \, \frac{g}{\mathrm{mean} |g|} \right), \quad
              g = \frac{\partial}{\partial x} \frac{1}{2} \sum_l w_l \, \mathrm{mean}(\phi_l(t(x))^2)

    with t a random shift around the borders. One program for all sizes; for a batch, `jax.vmap`.

    Args:
      network: Φ.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      preset: Of `PRESETS`: "default", for VGG-16, or "google", for GoogLeNet. What follows takes the place of its
        values; None stands for them.
      layers: w per layer.
      guide: A picture of any size, whose nearest features are made more instead of those that are there.
      octaves: Sizes, at least 1.
      ratio: Factor from one to the next, 1.01 to 10.
      steps: Of each size, at least 0.
      rate: α, the mean change of a value, in [0, 1].
      jitter: The longest shift in pixels, at least 0.
      key: Seeds the shifts. An integer is a seed.

    Returns:
      [h, w, 3], in [0, 1].

    Raises:
      KeyError: If a layer or the preset does not exist.
      ValueError: If a picture is not one, a number is out of range, or the image is too small for so many sizes.

    References:
      Mordvintsev, Olah, Tyka. Inceptionism: Going Deeper into Neural Networks. Google Research 2015, and their
      notebook.

    Example:
      >>> network, image = jaxviz.load("vgg16"), jnp.full((48, 64, 3), 0.5)
      >>> jaxviz.dream.dream(network, image, layers={"relu1_2": 1}, octaves=2, steps=1).shape
      (48, 64, 3)
    """
    image = checked_image(image)
    chosen = PRESETS[known(preset, PRESETS, "preset of dream")]
    usual = chosen.values["layers"]
    if not set(usual) <= set(network.layers):
        usual = PRESETS["default"].values["layers"]
    weights = layer_weights(network, layers, usual)
    merged = chosen.merged(octaves=octaves, ratio=ratio, jitter=jitter, rate=rate)
    octaves, ratio, jitter = merged["octaves"], merged["ratio"], merged["jitter"]
    steps = chosen.steps if steps is None else steps
    for name, value, least in (("octaves", octaves, 1), ("steps", steps, 0), ("jitter", jitter, 0)):
        whole(value, name, least)
    number(ratio, "ratio", 1.01, 10)
    factor = float(ratio)  # it decides shapes
    sizes = [
        tuple(max(1, round(side / factor**k)) for side in image.shape[:2]) for k in range(octaves - 1, -1, -1)
    ]
    smallest = jax.ShapeDtypeStruct((*sizes[0], 3), jnp.float32)
    jax.eval_shape(lambda x: network.features(x, list(weights)), smallest)  # tells where there is no room
    objective: Objective = energy(weights)
    if guide is not None:
        seen = network.features(checked_image(guide, "guide"), list(weights))
        objective = resemble(seen, weights)
    problem = Problem(
        network,
        objective,
        transform=transforms.roll(jitter) if jitter else None,
        constraint=constraints.box(),
    )
    ascent = normalized_gradient(number(merged["rate"], "rate", 0, 1))
    return _dreamt(problem, image, ascent, random_key(key), tuple(sizes), jnp.int32(steps))


@functools.partial(jax.jit, static_argnames="sizes")
def _dreamt(problem: Problem, image: Image, ascent: Any, key: Key, sizes: tuple, steps: Array) -> Image:
    detail = jnp.zeros((*sizes[0], 3), image.dtype)
    for k, size in enumerate(sizes):
        base = jax.image.resize(image, (*size, 3), "bilinear", antialias=True)
        start = base + jax.image.resize(detail, base.shape, "bilinear", antialias=False)
        state = advance(problem, init(problem, start, ascent, jax.random.fold_in(key, k)), steps)
        detail = state.z - base
    return state.z
