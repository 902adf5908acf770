r"""Feature inversion: an image whose features are those of another, so what a layer has kept of it.

.. math:: x^* = \mathrm{argmin}_x \frac{\lVert \Phi(x) - \Phi(x_0) \rVert^2}{\lVert \Phi(x_0) \rVert^2} + R(x)
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxviz import constraints, parameterizations, priors
from jaxviz._checks import image as checked_image
from jaxviz._checks import known, number
from jaxviz._typing import Array, Image, Key, Number
from jaxviz.networks import Network, compiled_features
from jaxviz.objectives import match_features
from jaxviz.optimization import Solution, minimize
from jaxviz.optimizers import Optimizer, from_optax, lbfgs
from jaxviz.problem import Problem
from jaxviz.techniques.registry import Family, Method, Option, Preset
from jaxviz.techniques.solving import schedule_of

TYPICAL_RMS = 0.24
"""Root mean square of a photograph's values minus the ImageNet mean: over 300 of BSDS500, 0.237 ± 0.06."""

MEAN_COLOR = (123.68 / 255, 116.779 / 255, 103.939 / 255)


PAPER = "Mahendran, Vedaldi. Understanding Deep Image Representations by Inverting Them. CVPR 2015"
UNIT = "pixels in [0, 1], weights per value"
PUBLISHED = "pixels in 0 to 255, weights halved and divided by σ²"


def staged_momentum(learning_rate: Array, decay: Array) -> optax.GradientTransformation:
    """Returns momentum whose rate falls to a tenth at steps 100 and 300, where its velocity is forgotten."""

    def init(z: Any) -> Any:
        return jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, z)

    def update(gradient: Any, state: Any, z: Any = None) -> Any:
        count, velocity = state
        rate = learning_rate * jnp.where(count < 100, 1.0, jnp.where(count < 300, 0.1, 0.01))
        kept = jnp.where((count == 100) | (count == 300), 0.0, decay)
        velocity = jax.tree.map(lambda v, g: kept * v - rate * g, velocity, gradient)
        return velocity, (count + 1, velocity)

    return optax.GradientTransformation(init, update)


def _paper_optimizer(start: Any) -> Optimizer:
    # The published rate 0.004 is for a loss whose gradient is multiplied by σ², the squared norm of an image.
    return from_optax(staged_momentum, learning_rate=0.004 * TYPICAL_RMS**2 * start.size, decay=0.9)


PRESETS = {
    "default": Preset(
        network="vgg16",
        values={
            "tv_weight": 2.0,
            "tv_beta": 2.0,
            "alpha_weight": 0.0,
            "alpha": 6.0,
            "start_deviation": 0.01,
            "colors": "kept in [0, 1]",
        },
        units=UNIT,
        optimizer=lambda start: lbfgs(),
        algorithm="L-BFGS, memory 20",
        steps=200,
    ),
    "paper": Preset(
        network="vgg16",
        values={
            "tv_weight": 10.0,
            "tv_beta": 2.0,
            "alpha_weight": 8e-10,
            "alpha": 6.0,
            "start_deviation": TYPICAL_RMS,
            "colors": "free",
        },
        units=PUBLISHED,
        optimizer=_paper_optimizer,
        algorithm="momentum 0.9, rate 0.004 σ², a tenth of it from step 100, a hundredth from 300",
        steps=400,
        paper=PAPER,
        departures="the paper inverted AlexNet; σ is of 300 photographs of ours",
    ),
}
schedule = schedule_of(PRESETS)


def problem(
    network: Network,
    image: Image,
    *,
    layer: str,
    preset: str = "default",
    tv_weight: Number | None = None,
    tv_beta: Number | None = None,
    alpha_weight: Number | None = None,
    alpha: Number | None = None,
    key: Key | None = None,
) -> tuple[Problem, Array]:
    r"""Returns the problem of inverting one layer's features of an image, and a start of noise.

    With n = 3hw values and m the mean color of ImageNet,

    .. math:: E(x) = \frac{\lVert \Phi(x) - \Phi(x_0) \rVert^2}{\lVert \Phi(x_0) \rVert^2}
              + \lambda_\beta \, TV^\beta(x) + \lambda_\alpha \sum |x - m|^\alpha .

    Args:
      network: Φ.
      image: x₀, RGB, float32, [h, w, 3], in [0, 1].
      layer: The tap to invert.
      preset: "default": :math:`\lambda_\beta` is `tv_weight` / n, β is 2, no α-norm, pixels kept in [0, 1],
        L-BFGS. "paper": the published weights for pixels in 0–255 [1], :math:`\lambda_\beta` =
        `tv_weight` · 255^β / (2 σ²) and :math:`\lambda_\alpha` = `alpha_weight` · 255^α / (2 σ²) with
        σ² = 255² · 0.24² n the squared norm of a typical image, pixels free, momentum in three stages.
      tv_weight: Overrides the preset's 2 ("default") or 10 ("paper": 1 suits low layers, 100 high ones).
      tv_beta: Overrides the preset's β, at least 1.
      alpha_weight: Overrides the preset's 0 ("default") or 8e-10 ("paper").
      alpha: Overrides the preset's α of 6, at least 1.
      key: Seeds the start; None stands for `jax.random.key(0)`.

    Returns:
      The problem and its start, [h, w, 3]: gaussian around m, of deviation 0.01 ("default") or 0.24 ("paper").

    Raises:
      KeyError: If the layer or the preset does not exist.
      ValueError: If the image is not one, or a number is out of range.

    Note:
      [1] used AlexNet; this preset runs on any network. Its σ was measured on the authors' pictures, ours on
      300 photographs.

    References:
      [1] Mahendran, Vedaldi. Understanding Deep Image Representations by Inverting Them. CVPR 2015.
    """
    known(layer, network.layers, f"layer of {network.name or 'this network'}")
    chosen = FAMILY.preset(preset)
    image = checked_image(image)
    elements = image.size
    values = chosen.merged(tv_weight=tv_weight, tv_beta=tv_beta, alpha_weight=alpha_weight, alpha=alpha)
    tv_weight, tv_beta = number(values["tv_weight"], "tv_weight", 0), number(values["tv_beta"], "tv_beta", 1)
    alpha_weight, alpha = (
        number(values["alpha_weight"], "alpha_weight", 0),
        number(values["alpha"], "alpha", 1),
    )
    squared_norm = 255**2 * TYPICAL_RMS**2 * elements

    def scaled(weight: Array, exponent: Array) -> Array:
        if chosen.units == PUBLISHED:
            return weight * 255.0**exponent / (2 * squared_norm)
        return weight / elements

    smooth = priors.total_variation(tv_beta, weight=scaled(tv_weight, tv_beta))
    bounded = priors.alpha_norm(
        alpha, center=np.asarray(MEAN_COLOR, np.float32), weight=scaled(alpha_weight, alpha)
    )
    taps = compiled_features(network, image, (layer,))
    noise = jax.random.normal(jax.random.key(0) if key is None else key, image.shape)
    start = jnp.asarray(MEAN_COLOR, jnp.float32) + values["start_deviation"] * noise
    return Problem(
        network=network,
        objective=match_features(taps, weights={layer: 1.0}, reduction="relative"),
        parameterization=parameterizations.pixels(),
        prior=priors.total(smooth, bounded),
        constraint=None if values["colors"] == "free" else constraints.box(),
    ), start


def invert(
    network: Network,
    image: Image,
    *,
    layer: str,
    preset: str = "default",
    steps: int | None = None,
    optimizer: Optimizer | None = None,
    on_chunk: Callable[[Solution], None] | None = None,
    **options: Any,
) -> Solution:
    """Returns the inversion of one layer's features of an image; its `value` is the image found.

    Args:
      network: Φ.
      image: x₀, RGB, float32, [h, w, 3], in [0, 1].
      layer: The tap to invert.
      preset: "default" or "paper".
      steps: Evaluations; None for the preset's 200 or 400.
      optimizer: None for the preset's.
      on_chunk: As for `minimize`.
      options: As for `problem`.

    Raises:
      KeyError, ValueError: As `problem` and `minimize` do.

    Example:
      >>> network = jaxviz.load("vgg16")
      >>> image = jnp.full((32, 32, 3), 0.5)
      >>> jaxviz.inversion.invert(network, image, layer="relu1_1", steps=2).value.shape
      (32, 32, 3)
    """
    posed, start = problem(network, image, layer=layer, preset=preset, **options)
    evaluations, chosen = schedule(start, preset=preset, steps=steps, optimizer=optimizer)
    return minimize(posed, start, steps=evaluations, optimizer=chosen, on_chunk=on_chunk)


FAMILY = Family(
    name="inversion",
    title="a picture with the same features: what a layer has kept",
    command="invert",
    network="vgg16",
    methods={
        "inversion": Method(
            function=invert,
            title="feature inversion",
            equation="x* = argmin ‖Φ(x) − Φ(x₀)‖²/‖Φ(x₀)‖² + λ TV(x)",
            paper=PAPER,
            result="image",
            options={
                "layer": Option("layer", "The tap to invert.", usual="relu3_3"),
                "tv_weight": Option("number", "Weight of the total variation; default: the preset's.", 0),
                "tv_beta": Option("number", "Its exponent β; default: the preset's.", 1),
                "alpha_weight": Option("number", "Weight of the α-norm; default: the preset's.", 0),
                "alpha": Option("number", "Its exponent α; default: the preset's.", 1),
            },
            problem=problem,
            schedule=schedule,
        )
    },
    presets=PRESETS,
)
