"""Seeded weights and pictures that PyTorch and jaxviz are both given; NumPy alone, named as in torchvision."""

import zlib

import numpy as np

SIZES = {"alexnet": 224, "vgg": 224, "squeezenet": 96, "googlenet": 96, "resnet": 64, "densenet": 64}
"""Family → side of the picture: the smallest that reaches the logits, or nearly."""

PICTURES = 4


def side(network: str) -> int:
    return next(size for family, size in SIZES.items() if network.startswith(family))


def picture(network: str, number: int = 0) -> np.ndarray:
    """Returns [h, w, 3] in [0, 1], float64; one of `PICTURES`."""
    size = side(network)
    return np.random.default_rng(10 + number).random((size, size, 3))


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the parameter of that name: kernels as He et al. draw them, biases and scales near 0 and 1."""
    draw = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, np.float32)
    if len(shape) > 1:
        return draw * np.float32(np.sqrt(2 / np.prod(shape[1:])))
    return np.float32(0.1) * draw + np.float32(name.endswith("weight"))


def statistics(values: np.ndarray, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Returns the running means and variances that are stored one after the other, sorted by name."""
    found, start = {}, 0
    for name in sorted(name for name in shapes if "running" in name):
        size = shapes[name][0]
        found[name] = values[start : start + size].astype(np.float32)
        start += size
    return found
