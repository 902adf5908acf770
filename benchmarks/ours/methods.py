"""Every method that is declared and takes a picture and a class: one picture, and a batch in the library's form."""

from typing import Any

import jax
import numpy as np

import jaxviz
from benchmarks import workload
from benchmarks.worker import Work
from jaxviz.batching import batched
from jaxviz.techniques import FAMILIES, Method, solving


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns a row for each method of a family: what stands in its table is measured, with no line here."""
    family, count = FAMILIES[options["family"]], options["batch"]
    network = jax.device_put(jaxviz.load(family.network, precision=options["precision"]))
    images = jax.device_put(workload.crops(count))

    def made(method: Method) -> Work:
        if method.problem is not None:
            # Copied once: rows of one array would be new arrays in each call.
            inputs = [(image, workload.LABEL) for image in np.asarray(images)]

            def solved():
                return solving.solve_many(method, network, inputs, [{}] * count).value

            return Work(lambda: jax.block_until_ready(solved()), units=count)

        def one(network, image):
            return method.function(network, image, workload.LABEL)

        mapped = batched(one, in_axes=(None, 0))
        return Work(lambda: jax.block_until_ready(mapped(network, images)), units=count)

    return {
        name: {"jaxviz": lambda method=method: made(method)}
        for name, method in family.methods.items()
        if not method.of_many
    }
