r"""Style transfer: the content of one image with the textures of another.

.. math:: x^* = \mathrm{argmin}_x \; \alpha \sum_l \frac{w_l}{n_l} \lVert \phi_l(x) - \phi_l(p) \rVert^2
          + \beta \sum_l \frac{v_l}{4 c_l^2} \lVert G(\phi_l(x)) - G(\phi_l(a)) \rVert_F^2
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxviz import constraints, parameterizations, priors
from jaxviz._checks import concrete, known, number
from jaxviz._checks import image as checked_image
from jaxviz._typing import AnyImage, Array, Image, Key, Number, Objective
from jaxviz.networks import Network, compiled_features
from jaxviz.objectives import match_features, match_gram, weighted_sum
from jaxviz.optimization import Solution, minimize
from jaxviz.optimizers import Optimizer
from jaxviz.problem import Problem
from jaxviz.techniques.texture import GRAMS, layer_weights

CONTENT_LAYERS = ("relu4_2",)
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_WEIGHT = 1.0
STYLE_WEIGHT = 2e-3
STARTS = ("content", "noise")
STEPS = 300


def problem(
    network: Network,
    content: Image,
    styles: Sequence[AnyImage],
    *,
    content_weight: Number = CONTENT_WEIGHT,
    style_weight: Number = STYLE_WEIGHT,
    content_weights: Mapping[str, Number] | None = None,
    style_weights: Mapping[str, Number] | None = None,
    style_loss: str = "gram",
    tv_weight: Number = 0.0,
    init: str | AnyImage = "content",
    key: Key | None = None,
) -> tuple[Problem, Array]:
    r"""Returns the problem of style transfer, and its start.

    .. math:: E(x) = \alpha \sum_l \frac{w_l}{n_l} \lVert \phi_l(x) - \phi_l(p) \rVert^2
              + \beta \sum_l \frac{v_l}{4 c_l^2} \lVert G(\phi_l(x)) - G(\phi_l(a)) \rVert_F^2
              + \lambda \, TV(x)

    with :math:`n_l` the elements of tap l; several styles a share β equally. Pixels are kept in [0, 1].

    Args:
      network: Φ, whose taps are :math:`\phi_l`.
      content: p, RGB, float32, [h, w, 3], in [0, 1].
      styles: One or more images a, each of any size; their size sets the size of the strokes.
      content_weight: α, at least 0.
      style_weight: β, at least 0.
      content_weights: :math:`w_l` per layer; None for 1 on relu4_2 [1].
      style_weights: :math:`v_l` per layer; None for 1/5 on each of relu1_1 to relu5_1 [1].
      style_loss: "gram", or "covariance", where each channel's mean is subtracted first.
      tv_weight: λ of the total variation with β = 2, at least 0.
      init: "content", "noise", or an image of the content's size.
      key: Seeds the noise; None stands for `jax.random.key(0)`.

    Returns:
      The problem and its start, [h, w, 3].

    Raises:
      KeyError: If a layer, the style loss or the start does not exist.
      ValueError: If an image is not one, there is no style, the start has another size than the content, a
        weight is negative, or all are zero.

    Note:
      [1] uses VGG-19 with average pooling and starts from noise.

    References:
      [1] Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural Networks. CVPR 2016.
    """
    known(style_loss, GRAMS, "style loss")
    content = checked_image(content, "content")
    if hasattr(styles, "ndim") and styles.ndim == 3:
        raise ValueError("styles is one picture; expected a list of pictures: [picture]")
    if len(styles) == 0:
        raise ValueError("styles is empty; give at least one picture")
    pictures = [checked_image(style, f"style {i}") for i, style in enumerate(styles)]
    alpha = number(content_weight, "content_weight", 0)
    beta = number(style_weight, "style_weight", 0)
    if concrete(alpha + beta) and alpha + beta == 0:
        raise ValueError("content_weight and style_weight are both zero; give one above zero")
    content_layers = layer_weights(network, content_weights, CONTENT_LAYERS)
    style_layers = layer_weights(network, style_weights, STYLE_LAYERS)
    # One program for both serves content and style of equal size.
    wanted = tuple(sorted({*content_layers, *style_layers}))
    content_taps = compiled_features(network, content, wanted)
    terms: list[tuple[Number, Objective]] = [(alpha, match_features(content_taps, weights=content_layers))]
    for picture in pictures:
        taps = compiled_features(network, picture, wanted)
        matched = match_gram(taps, weights=style_layers, centered=style_loss == "covariance")
        terms.append((beta / len(pictures), matched))
    box = constraints.box()
    return Problem(
        network=network,
        objective=weighted_sum(*terms),
        parameterization=parameterizations.pixels(),
        prior=priors.total_variation(weight=tv_weight),
        constraint=box,
    ), box.project(_start(content, init, key))


def _start(content: Image, init: str | AnyImage, key: Key | None) -> Array:
    if isinstance(init, str):
        if known(init, STARTS, "start") == "content":
            return jnp.asarray(content)
        noise = jax.random.normal(jax.random.key(0) if key is None else key, content.shape)
        return jnp.asarray(content).mean((0, 1)) + 0.1 * noise
    start = checked_image(init, "init")
    if start.shape != content.shape:
        raise ValueError(f"init has shape {list(start.shape)}; expected the content's {list(content.shape)}")
    return jnp.asarray(start)


def transfer(
    network: Network,
    content: Image,
    styles: Sequence[AnyImage],
    *,
    steps: int = STEPS,
    optimizer: Optimizer | None = None,
    on_chunk: Callable[[Solution], None] | None = None,
    **options: Any,
) -> Solution:
    """Returns the content image in the style of others; its `value` is the image, [h, w, 3], in [0, 1].

    Args:
      network: Φ.
      content: RGB, float32, [h, w, 3], in [0, 1].
      styles: One or more images of any size.
      steps: Evaluations.
      optimizer: None for L-BFGS.
      on_chunk: As for `minimize`.
      options: As for `problem`.

    Raises:
      KeyError, ValueError: As `problem` and `minimize` do.

    Example:
      >>> network = jaxviz.load("vgg16")
      >>> content, style = jnp.full((32, 48, 3), 0.5), jnp.full((32, 32, 3), 0.25)
      >>> jaxviz.style.transfer(network, content, [style], steps=1).value.shape
      (32, 48, 3)
    """
    posed, start = problem(network, content, styles, **options)
    return minimize(posed, start, steps=steps, optimizer=optimizer, on_chunk=on_chunk)
