"""What generate_stylization.py and the tests of its values share: seeded weights, pictures, sizes. NumPy alone."""

from collections.abc import Mapping

import numpy as np

WIDTH, BLOCKS, STYLES = 4, 1, 3
SIZE, BATCH = (16, 24), 2
SHARES = np.float32([[0.2, 0.5, 0.3], [1, 0, 0]])
DECODED, SLIMNESS, ALPHA, SCALE = (40, 32), 16, 0.6, 800.0
WATCHED = ("conv1", "conv3", "block1_1", "up1", "up2", "out")
"""Layers by whose kernels the golden derivative is taken."""

Weights = dict[str, np.ndarray]


def drawn(layers: Mapping[str, tuple[int, int, int]], seed: int) -> Weights:
    """Returns kernels [window, window, before, after] of layers of (window, before, after)."""
    rng = np.random.default_rng(seed)
    return {
        name: (rng.standard_normal((k, k, before, after)) / (k * before**0.5)).astype(np.float32)
        for name, (k, before, after) in layers.items()
    }


def transformer(styles: int) -> tuple[Weights, Weights, Weights]:
    """Returns kernels by layer, and scales and shifts [styles, channels]."""
    w = WIDTH
    layers = {"conv1": (9, 3, w), "conv2": (3, w, 2 * w), "conv3": (3, 2 * w, 4 * w)}
    layers |= {f"block{k}_{i}": (3, 4 * w, 4 * w) for k in range(1, BLOCKS + 1) for i in (1, 2)}
    layers |= {"up1": (3, 4 * w, 2 * w), "up2": (3, 2 * w, w), "out": (9, w, 3)}
    rng = np.random.default_rng(2)
    shapes = {name: (styles, after) for name, (_, _, after) in layers.items()}
    scales = {name: (1 + 0.3 * rng.standard_normal(s)).astype(np.float32) for name, s in shapes.items()}
    shifts = {name: (0.3 * rng.standard_normal(s)).astype(np.float32) for name, s in shapes.items()}
    return drawn(layers, 1), scales, shifts


def decoder() -> tuple[Weights, Weights]:
    """Returns kernels and biases of the decoder of VGG-16, slimmed."""
    a, b, c = (n // SLIMNESS for n in (256, 128, 64))
    chain = [512, a, a, a, b, b, c, c, 3]
    names = ("conv4_1", "conv3_3", "conv3_2", "conv3_1", "conv2_2", "conv2_1", "conv1_2", "conv1_1")
    layers = {name: (3, chain[i], chain[i + 1]) for i, name in enumerate(names)}
    rng = np.random.default_rng(4)
    biases = {name: (0.1 * rng.standard_normal(n[2])).astype(np.float32) for name, n in layers.items()}
    kernels = {name: np.float32(2**0.5) * kernel for name, kernel in drawn(layers, 3).items()}
    return kernels, biases


def pictures(seed: int, *shape: int) -> np.ndarray:
    """Returns pictures of seeded blocks of 4×4 pixels with noise in them, in [0, 1]."""
    *count, h, w = shape
    rng = np.random.default_rng(seed)
    coarse = rng.random((*count, h // 4, w // 4, 3)).repeat(4, -3).repeat(4, -2)
    return (0.8 * coarse + 0.2 * rng.random((*count, h, w, 3))).astype(np.float32)


def masks() -> np.ndarray:
    """Returns shares of each style at each pixel, [batch, styles, h, w]."""
    found = np.random.default_rng(6).random((BATCH, STYLES, *SIZE)).astype(np.float32)
    return found / found.sum(1, keepdims=True)
