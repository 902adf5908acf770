"""Gradient saliency: a batch in the library's form for batches, and by vmap."""

from typing import Any

import jax
import numpy as np

import jaxviz
from benchmarks import workload
from benchmarks.worker import Work
from jaxviz.batching import batched


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns both forms; for one image they are the same."""
    batch = options["batch"]
    network = jax.device_put(jaxviz.load("squeezenet1_1", precision=options["precision"]))
    images = jax.device_put(workload.crops(batch))

    def maps(network, image):
        return jaxviz.saliency.gradient(network, image, workload.LABEL)

    def made(function) -> Work:
        def call():
            return jax.block_until_ready(function(network, images))

        return Work(call, result=lambda: {f"maps of {batch}": np.asarray(call())})

    forms = {"jaxviz, jit(vmap)": lambda: made(jax.jit(jax.vmap(maps, in_axes=(None, 0))))}
    if batch > 1:
        axes = (None, 0)

        def measured():
            size = jaxviz.chunk_size(maps, network, images, in_axes=axes, measure=True)
            return made(batched(maps, in_axes=axes, size=size))

        usual = {"jaxviz, batched": lambda: made(batched(maps, in_axes=axes))}
        forms = {**usual, "jaxviz, batched, size measured": measured, **forms}
    return {"": forms}
