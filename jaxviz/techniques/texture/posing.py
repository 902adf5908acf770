r"""Texture synthesis: an image of any size with the Gram matrices of an exemplar.

.. math:: x^* = \mathrm{argmin}_x \sum_l \frac{w_l}{4 c_l^2} \lVert G(\phi_l(x)) - G(\phi_l(y)) \rVert_F^2
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from jaxviz import constraints, parameterizations
from jaxviz._checks import image as checked_image
from jaxviz._checks import known
from jaxviz._typing import Array, Image, Key, Number
from jaxviz.networks import Network, compiled_features
from jaxviz.objectives import match_gram
from jaxviz.optimization import Solution, minimize
from jaxviz.optimizers import Optimizer, lbfgs
from jaxviz.problem import Problem
from jaxviz.techniques.layers import layer_weights
from jaxviz.techniques.registry import Family, Method, Option, Preset
from jaxviz.techniques.solving import schedule_of

LAYERS = ("relu1_1", "pool1", "pool2", "pool3", "pool4")
GRAMS = ("gram", "covariance")
STEPS = 300
PAPER = "Gatys, Ecker, Bethge. Texture Synthesis Using Convolutional Neural Networks. NeurIPS 2015"
PRESETS = {
    "default": Preset(
        network="vgg16",
        values={
            "weights": dict.fromkeys(LAYERS, 1 / len(LAYERS)),
            "kind": "gram",
            "colors": "kept in [0, 1]",
        },
        units="pixels in [0, 1], Gram matrices per position",
        optimizer=lambda start: lbfgs(),
        algorithm="L-BFGS, memory 20",
        steps=STEPS,
    )
}
schedule = schedule_of(PRESETS)


def problem(
    network: Network,
    exemplar: Image,
    *,
    size: tuple[int, int] | int | None = None,
    preset: str = "default",
    weights: Mapping[str, Number] | None = None,
    kind: str | None = None,
    key: Key | None = None,
) -> tuple[Problem, Array]:
    r"""Returns the problem of synthesizing a texture, and a start of noise.

    .. math:: E(x) = \sum_l \frac{w_l}{4 c_l^2} \lVert G(\phi_l(x)) - G(\phi_l(y)) \rVert_F^2

    with pixels kept in [0, 1] and G per position, so `size` need not be the exemplar's.

    Args:
      network: Φ, whose taps are :math:`\phi_l`.
      exemplar: y, RGB, float32, [h, w, 3], in [0, 1].
      size: Height and width of the texture in pixels, or one number for both; None for the exemplar's.
      preset: "default".
      weights: :math:`w_l` per layer; None for the preset's 1/5 on each of relu1_1 and pool1 to pool4 [1].
      kind: "gram", or "covariance", where each channel's mean is subtracted first; None for the preset's "gram".
      key: Seeds the start; None stands for `jax.random.key(0)`.

    Returns:
      The problem and its start, [height, width, 3], gaussian around the exemplar's mean color.

    Raises:
      KeyError: If a layer or the kind does not exist.
      ValueError: If the exemplar is no image, a size is below 1, or all weights are zero.

    Note:
      [1] uses VGG-19 with average pooling, rescaled weights and a final histogram match; the default here is
      the network as trained, and `load(…, pooling="average")` gives the other pooling.

    References:
      [1] Gatys, Ecker, Bethge. Texture Synthesis Using Convolutional Neural Networks. NeurIPS 2015.
    """
    values = FAMILY.preset(preset).merged(kind=kind)
    known(values["kind"], GRAMS, "kind of Gram matrix")
    exemplar = checked_image(exemplar, "exemplar")
    height, width = _checked_size((exemplar.shape[0], exemplar.shape[1]) if size is None else size)
    weights = layer_weights(network, weights, values["weights"])
    taps = compiled_features(network, exemplar, tuple(weights))
    noise = jax.random.normal(jax.random.key(0) if key is None else key, (height, width, 3))
    box = constraints.box()
    return Problem(
        network=network,
        objective=match_gram(taps, weights=weights, centered=values["kind"] == "covariance"),
        parameterization=parameterizations.pixels(),
        constraint=box,
    ), box.project(exemplar.mean((0, 1)) + 0.1 * noise)


def synthesize(
    network: Network,
    exemplar: Image,
    *,
    preset: str = "default",
    steps: int | None = None,
    optimizer: Optimizer | None = None,
    on_chunk: Callable[[Solution], None] | None = None,
    **options: Any,
) -> Solution:
    """Returns a texture like an exemplar; its `value` is the image, [height, width, 3], in [0, 1].

    Args:
      network: Φ.
      exemplar: y, RGB, float32, [h, w, 3], in [0, 1].
      preset: "default".
      steps: Evaluations; None for the preset's 300.
      optimizer: None for the preset's L-BFGS.
      on_chunk: As for `minimize`.
      options: As for `problem`.

    Raises:
      KeyError, ValueError: As `problem` and `minimize` do.

    Example:
      >>> network = jaxviz.load("vgg16")
      >>> exemplar = jnp.full((32, 32, 3), 0.5)
      >>> jaxviz.texture.synthesize(network, exemplar, size=(32, 48), steps=1).value.shape
      (32, 48, 3)
    """
    posed, start = problem(network, exemplar, preset=preset, **options)
    evaluations, chosen = schedule(start, preset=preset, steps=steps, optimizer=optimizer)
    return minimize(posed, start, steps=evaluations, optimizer=chosen, on_chunk=on_chunk)


def _checked_size(size: tuple[int, int] | int) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise ValueError(f"size is {height}×{width}; expected at least 1×1")
    return int(height), int(width)


FAMILY = Family(
    name="texture",
    title="a texture like an exemplar's, of any size",
    command="texture",
    network="vgg16",
    methods={
        "texture": Method(
            function=synthesize,
            title="texture synthesis",
            equation="x* = argmin Σ w/(4c²) ‖G(φ(x)) − G(φ(y))‖²",
            paper=PAPER,
            result="image",
            options={
                "size": Option(
                    "size", "Height and width of the texture, or both in one; default: the exemplar's."
                ),
                "weights": Option(
                    "layers", "Layers, and their weights; default: the preset's.", flag="--layer"
                ),
                "kind": Option(
                    "choice", "What is compared; default: the preset's.", choices=GRAMS, flag="--style-loss"
                ),
            },
            problem=problem,
            schedule=schedule,
        )
    },
    presets=PRESETS,
)
