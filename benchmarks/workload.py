"""The pictures, and the problem of style transfer, that the benchmarks share; and whether there is a rival."""

import importlib.util

import jax
import numpy as np
import skimage.data

import jaxviz
from benchmarks import protocol

LABEL = 652  # military uniform; any class costs the same


def picture(name: str, size: int) -> np.ndarray:
    """Returns a square scikit-image picture, RGB in [0, 1]."""
    image = (getattr(skimage.data, name)() / 255).astype(np.float32)
    return jaxviz.images.resize(image, size, size)


def pair(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns content and style."""
    return picture("astronaut", size), picture("immunohistochemistry", size)


def crops(count: int, size: int = 224) -> np.ndarray:
    """Returns pictures [count, size, size, 3], cut from one at seeded places."""
    rng, whole = np.random.default_rng(0), picture("astronaut", 512)
    corners = rng.integers(0, 512 - size + 1, (count, 2))
    return np.stack([whole[top : top + size, left : left + size] for top, left in corners])


def style_problem(size: int, settings: protocol.Settings):
    """Returns the problem of style transfer at its defaults, and its start, the content."""
    network = jaxviz.load("vgg16", precision=settings.precision)
    content, style = pair(size)
    problem, start = jaxviz.style.problem(network, content, [style])
    return jax.device_put(problem), jax.device_put(start)


def torch_device(settings: protocol.Settings) -> str | None:
    """Returns where PyTorch runs; None, with a line saying why, where it is no rival."""
    if importlib.util.find_spec("torch") is None:
        print("  PyTorch is not installed: jaxviz alone")
        return None
    from benchmarks.peers import torch_gatys

    device = torch_gatys.start(protocol.cores(), settings.precision)
    if jax.default_backend() != "cpu" and device == "cpu":
        print("  PyTorch finds no GPU and JAX does: jaxviz alone")
        return None
    return device
