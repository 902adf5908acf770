"""All that the paper, or this library, fixes of feature inversion."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxviz._typing import Array
from jaxviz.optimizers import Optimizer, from_optax, lbfgs
from jaxviz.techniques.registry import Preset

TYPICAL_RMS = 0.24
"""Root mean square of a photograph's values minus the ImageNet mean: over 300 of BSDS500, 0.237 ± 0.06."""


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
