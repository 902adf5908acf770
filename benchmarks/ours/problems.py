"""The problems of the benchmarks, at the library's defaults."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxviz
from benchmarks import workload

INVERTED_LAYER = "relu3_3"
STYLE = "immunohistochemistry"


def style(size: int, precision: str):
    """Returns the problem of style transfer, and its start, the content, on the device."""
    content, painting = workload.pair(size)
    network = jaxviz.load("vgg16", precision=precision)
    return jax.device_put(jaxviz.style.problem(network, content, [painting]))


def batch(technique: str, count: int, size: int, precision: str):
    """Returns stacked problems and starts of crops, and the problems' axes."""
    network = jax.device_put(jaxviz.load("vgg16", precision=precision))
    images = workload.crops(count, size)
    if technique == "inversion":
        pairs = [jaxviz.inversion.problem(network, image, layer=INVERTED_LAYER) for image in images]
    elif technique == "texture":
        pairs = [jaxviz.texture.problem(network, image) for image in images]
    else:
        painting = workload.picture(STYLE, size)
        pairs = [jaxviz.style.problem(network, image, [painting]) for image in images]
    (problem, starts), (axes, _) = jaxviz.stack(pairs)
    if technique != "style":
        starts = workload.noise(count, size, 0.1)
    return jax.device_put(problem), jax.device_put(jnp.asarray(starts, np.float32)), axes
