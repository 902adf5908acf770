"""Attribution methods over a batch, in the library's form for batches."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxviz
from benchmarks import workload
from benchmarks.worker import Work
from jaxviz._typing import symbol
from jaxviz.batching import batched
from jaxviz.objectives.parts import tap_of
from jaxviz.techniques import FAMILIES

METHODS = {
    "gradient": ("gradient", {}),
    "guided": ("guided", {}),
    "SmoothGrad, 50": ("smoothgrad", {"samples": 50}),
    "integrated gradients, 50": ("integrated-gradients", {"steps": 50}),
    "occlusion, window 32, stride 16": ("occlusion", {"window": 32, "stride": 16, "baseline": "zero"}),
    "Grad-CAM": ("grad-cam", {}),
}
RANDOM = ("SmoothGrad, 50",)


@symbol
class Head:
    """Minus the score of a linear classifier on VGG-16's mean features."""

    weights: jax.Array

    def __call__(self, taps):
        return -jnp.vdot(self.weights, tap_of(taps, "pool5").mean((0, 1)))


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns a row for each method."""
    batch, name = options["batch"], options["network"]
    network = jax.device_put(jaxviz.load(name, precision=options["precision"]))
    images = jax.device_put(workload.crops(batch, options["size"]))
    target = workload.LABEL if network.classes else Head(jnp.asarray(workload.head()))

    def made(row: str) -> Work:
        method, given = METHODS[row]
        function = FAMILIES["saliency"].methods[method].function

        def one(network, target, image):
            return function(network, image, target, **given)

        mapped = batched(one, in_axes=(None, None, 0))

        def call():
            return jax.block_until_ready(mapped(network, target, images))

        # PyTorch's noise is another.
        return Work(call, units=batch, result=dict if row in RANDOM else lambda: {"maps": np.asarray(call())})

    return {row: {"jaxviz": lambda row=row: made(row)} for row in METHODS}
