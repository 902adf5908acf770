"""A step of training as `jaxviz train fast` makes it: one compiled program, the losses and Adam's update in it."""

from typing import Any

import jax
import numpy as np

import jaxviz
from benchmarks import workload
from benchmarks.ours.stylize import bank
from benchmarks.worker import Work
from jaxviz.training.perceptual import perceptual
from jaxviz.training.presets import FAST


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the step."""
    return {"": {"jaxviz": lambda: made(options)}}


def made(options: dict[str, Any]) -> Work:
    """Returns the work of a step, and the losses of the first two."""
    network = jaxviz.load("vgg16", precision=options["precision"])
    values = FAST["default"].values | {
        "width": options["width"],
        "content_layers": {workload.CONTENT_LAYER: 1.0},
        "style_layers": dict.fromkeys(workload.STYLE_LAYERS, 1 / len(workload.STYLE_LAYERS)),
        "style_weight": workload.STYLE_WEIGHT,
        "tv_weight": workload.TV_WEIGHT,
        "learning_rate": workload.TRAINING_RATE,
    }
    painting = workload.picture("immunohistochemistry", options["size"])
    recipe = perceptual(network, {"style": painting}, values, precision=options["precision"])
    pictures = np.round(workload.crops(options["batch"], options["size"]) * 255).astype(np.uint8)
    key, batch = jax.random.key(0), jax.device_put({"content": pictures})
    frozen, params = jax.device_put((recipe.frozen, bank(options).params))
    program = jax.jit(recipe.step, donate_argnums=1)

    def fresh():
        state = jax.tree.map(jax.numpy.copy, recipe.init(key))
        state["variables"]["params"] = jax.tree.map(jax.numpy.copy, params)
        return state

    state = fresh()

    def call():
        nonlocal state
        state, told = jax.block_until_ready(program(frozen, state, batch, key))
        return told

    def result():
        nonlocal state
        state = fresh()
        return {"loss": float(call()["loss"]), "loss after a step": float(call()["loss"])}

    return Work(call, result=result)
