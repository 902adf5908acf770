"""Every network, forward to the logits and the gradient of one with respect to the picture."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxviz
from benchmarks import workload
from benchmarks.worker import Work
from jaxviz.batching import batched


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns both kinds of work, of the weights that the other side drew, or its own where there is none."""
    name = options["network"]
    full = f"{name}_classifier" if name.startswith("vgg") else name
    weights = Path(options["scratch"]) / "weights.safetensors"
    if weights.is_file():
        network = jaxviz.load(full, weights=weights, precision=options["precision"])
    else:
        network = jaxviz.initialize(full, jax.random.key(0), precision=options["precision"])
    network = jax.device_put(network)
    images = jax.device_put(workload.crops(options["batch"]))

    def made(function) -> Work:
        mapped = batched(function, in_axes=(None, 0))

        def call():
            return jax.block_until_ready(mapped(network, images))

        return Work(call, result=lambda: {"result": np.asarray(call())})

    return {"forward": {"jaxviz": lambda: made(logits)}, "gradient": {"jaxviz": lambda: made(gradient)}}


def logits(network, image):
    return network.features(image, ["logits"])["logits"]


def gradient(network, image):
    return jax.grad(lambda x: logits(network, x)[workload.LABEL])(image)
