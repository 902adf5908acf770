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
from jaxviz.optimizers import Optimizer, lbfgs
from jaxviz.problem import Problem
from jaxviz.techniques.registry import Family, Method, Option, Preset
from jaxviz.techniques.solving import schedule_of
from jaxviz.techniques.texture import GRAMS, layer_weights

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
STARTS = ("content", "noise")
PAPER = "Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural Networks. CVPR 2016"
PRESETS = {
    "default": Preset(
        network="vgg16",
        values={
            "content_weight": 1.0,
            "style_weight": 2e-3,
            "tv_weight": 0.0,
            "content_weights": {"relu4_2": 1.0},
            "style_weights": dict.fromkeys(STYLE_LAYERS, 1 / len(STYLE_LAYERS)),
            "style_loss": "gram",
            "init": "content",
            "colors": "kept in [0, 1]",
        },
        units="pixels in [0, 1], features squared per element, Gram matrices per position",
        optimizer=lambda start: lbfgs(),
        algorithm="L-BFGS, memory 20",
        steps=300,
    )
}
schedule = schedule_of(PRESETS)


def problem(
    network: Network,
    content: Image,
    styles: Sequence[AnyImage],
    *,
    preset: str = "default",
    content_weight: Number | None = None,
    style_weight: Number | None = None,
    content_weights: Mapping[str, Number] | None = None,
    style_weights: Mapping[str, Number] | None = None,
    style_loss: str | None = None,
    tv_weight: Number | None = None,
    init: str | AnyImage | None = None,
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
      preset: "default"; what is None below is the preset's.
      content_weight: α, at least 0; 1.
      style_weight: β, at least 0; 2e-3.
      content_weights: :math:`w_l` per layer; 1 on relu4_2 [1].
      style_weights: :math:`v_l` per layer; 1/5 on each of relu1_1 to relu5_1 [1].
      style_loss: "gram", or "covariance", where each channel's mean is subtracted first; "gram".
      tv_weight: λ of the total variation with exponent 2, at least 0; 0.
      init: "content", "noise", or an image of the content's size; "content".
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
    values = FAMILY.preset(preset).merged(
        content_weight=content_weight,
        style_weight=style_weight,
        content_weights=content_weights,
        style_weights=style_weights,
        style_loss=style_loss,
        tv_weight=tv_weight,
        init=init,
    )
    usual = FAMILY.preset(preset).values
    known(values["style_loss"], GRAMS, "style loss")
    content = checked_image(content, "content")
    if hasattr(styles, "ndim") and styles.ndim == 3:
        raise ValueError("styles is one picture; expected a list of pictures: [picture]")
    if len(styles) == 0:
        raise ValueError("styles is empty; give at least one picture")
    pictures = [checked_image(style, f"style {i}") for i, style in enumerate(styles)]
    alpha = number(values["content_weight"], "content_weight", 0)
    beta = number(values["style_weight"], "style_weight", 0)
    if concrete(alpha + beta) and alpha + beta == 0:
        raise ValueError("content_weight and style_weight are both zero; give one above zero")
    content_layers = layer_weights(network, content_weights, usual["content_weights"])
    style_layers = layer_weights(network, style_weights, usual["style_weights"])
    # One program for both serves content and style of equal size.
    wanted = tuple(sorted({*content_layers, *style_layers}))
    content_taps = compiled_features(network, content, wanted)
    terms: list[tuple[Number, Objective]] = [(alpha, match_features(content_taps, weights=content_layers))]
    for picture in pictures:
        taps = compiled_features(network, picture, wanted)
        matched = match_gram(taps, weights=style_layers, centered=values["style_loss"] == "covariance")
        terms.append((beta / len(pictures), matched))
    box = constraints.box()
    return Problem(
        network=network,
        objective=weighted_sum(*terms),
        parameterization=parameterizations.pixels(),
        prior=priors.total_variation(weight=number(values["tv_weight"], "tv_weight", 0)),
        constraint=box,
    ), box.project(_start(content, values["init"], key))


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
    preset: str = "default",
    steps: int | None = None,
    optimizer: Optimizer | None = None,
    on_chunk: Callable[[Solution], None] | None = None,
    **options: Any,
) -> Solution:
    """Returns the content image in the style of others; its `value` is the image, [h, w, 3], in [0, 1].

    Args:
      network: Φ.
      content: RGB, float32, [h, w, 3], in [0, 1].
      styles: One or more images of any size.
      preset: "default".
      steps: Evaluations; None for the preset's 300.
      optimizer: None for the preset's L-BFGS.
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
    posed, start = problem(network, content, styles, preset=preset, **options)
    evaluations, chosen = schedule(start, preset=preset, steps=steps, optimizer=optimizer)
    return minimize(posed, start, steps=evaluations, optimizer=chosen, on_chunk=on_chunk)


FAMILY = Family(
    name="style",
    title="the content of one picture in the style of others",
    command="style",
    network="vgg16",
    methods={
        "style": Method(
            function=transfer,
            title="style transfer",
            equation="x* = argmin α ‖φ(x) − φ(p)‖² + β Σ ‖G(φ(x)) − G(φ(a))‖²",
            paper=PAPER,
            result="image",
            options={
                "content_weight": Option("number", "α; default: the preset's.", 0),
                "style_weight": Option("number", "β; default: the preset's.", 0),
                "content_weights": Option(
                    "layers", "Layers of the content; default: the preset's.", flag="--content-layer"
                ),
                "style_weights": Option(
                    "layers", "Layers of the style; default: the preset's.", flag="--style-layer"
                ),
                "style_loss": Option("choice", "What is compared; default: the preset's.", choices=GRAMS),
                "tv_weight": Option("number", "Weight of the total variation; default: the preset's.", 0),
                "init": Option("start", "content, noise, or a picture; default: the preset's."),
            },
            problem=problem,
            schedule=schedule,
        )
    },
    presets=PRESETS,
)
