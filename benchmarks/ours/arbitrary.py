"""A picture in the style of a painting whose code is there already: VGG-16, AdaIN and a decoder."""

from typing import Any

import jax
import numpy as np

import jaxviz
from benchmarks import workload
from benchmarks.worker import Work
from jaxviz import stylization


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the same work once for each kind of rival."""
    content, painting = workload.pair(options["size"])
    params = {
        name: {"kernel": kernel, "bias": np.zeros(kernel.shape[-1], np.float32)}
        for name, kernel in workload.decoder().items()
    }
    precision = options["precision"]
    model = jax.device_put(
        stylization.adaptive(
            jaxviz.load("vgg16", precision=precision),
            params,
            stylization.Decoder(precision=precision),
            scale=workload.DECODED_SCALE,
        )
    )
    codes, picture = model.codes([painting]), jax.device_put(content)
    function = jax.jit(stylization.stylize)

    def call():
        return jax.block_until_ready(function(model, picture, codes))

    def made(result) -> Work:
        return Work(call, result=result)

    found = {"": {"jaxviz": lambda: made(lambda: {"picture": np.asarray(call())})}}
    if options["other"]:
        found["beside another network"] = {"jaxviz": lambda: made(dict)}
    return found
