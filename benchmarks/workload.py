"""The pictures and starts that both sides take. Imports neither runtime."""

import itertools
from typing import Any

import numpy as np
import skimage.data
from PIL import Image

LABEL = 652
"""Military uniform; any class costs the same."""
MEAN_COLOR = (123.68 / 255, 116.779 / 255, 103.939 / 255)
ADAM_RATE = 0.02
REACH = 2.5
"""Radii of its ball that the steps of an attack cover together."""
CLASSES = 1000
DECODED_SCALE = 500.0
"""What features at relu4_1 are divided by before they are decoded."""
CONTENT_LAYER, STYLE_LAYERS = "relu3_3", ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
STYLE_WEIGHT, TV_WEIGHT, TRAINING_RATE = 2e-3, 0.13, 1e-3
"""Of the perceptual losses of training a stylizing network, and of Adam."""
CHANNELS = ((3, 64, 64), (64, 128, 128), (128, 256, 256, 256), (256, 512, 512, 512), (512, 512))
"""Of VGG-16's convolutions up to conv5_1, by stage; after each stage but the last the sides are halved."""
PEAKS = {
    "H100": {"float32": 67e12, "tf32": 495e12, "bfloat16": 989e12},
    "H200": {"float32": 67e12, "tf32": 495e12, "bfloat16": 989e12},
    "A100": {"float32": 19.5e12, "tf32": 156e12, "bfloat16": 312e12},
}
"""Operations per second that makers state, without sparsity, of the SXM cards."""


def picture(name: str, size: int) -> np.ndarray:
    """Returns a square scikit-image picture, RGB in [0, 1]."""
    image = (getattr(skimage.data, name)() / 255).astype(np.float32)
    if image.shape[:2] == (size, size):
        return image
    channels = [
        Image.fromarray(image[..., c]).resize((size, size), Image.Resampling.BICUBIC) for c in range(3)
    ]
    return np.clip(np.stack([np.asarray(channel) for channel in channels], -1), 0, 1)


def pair(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns content and style."""
    return picture("astronaut", size), picture("immunohistochemistry", size)


def crops(count: int, size: int = 224, enlarged: bool = False) -> np.ndarray:
    """Returns pictures [count, size, size, 3], cut from one at seeded places; `enlarged` to twice `size` first."""
    side = 2 * size if enlarged else 512
    rng, whole = np.random.default_rng(0), picture("astronaut", side)
    corners = rng.integers(0, side - size + 1, (count, 2))
    return np.stack([whole[top : top + size, left : left + size] for top, left in corners])


def noise(count: int, size: int, deviation: float) -> np.ndarray:
    """Returns starts [count, size, size, 3] around the mean color, in [0, 1]."""
    drawn = np.random.default_rng(1).standard_normal((count, size, size, 3))
    return np.clip(np.asarray(MEAN_COLOR) + deviation * drawn, 0, 1).astype(np.float32)


def head() -> np.ndarray:
    """Returns the weights [512] of a linear classifier of two classes on VGG-16's mean features."""
    return np.random.default_rng(2).standard_normal(512).astype(np.float32)


def _kernels(layers: dict[str, tuple[int, int, int]], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns He-normal kernels [window, window, before, after] of layers of (window, before, after)."""
    return {
        name: (rng.standard_normal((k, k, a, b)) * (2 / (k * k * a)) ** 0.5).astype(np.float32)
        for name, (k, a, b) in layers.items()
    }


def transformer(width: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns kernels, scales and shifts of an image transformation network of one style, by layer."""
    rng, w = np.random.default_rng(3), width
    layers = {"conv1": (9, 3, w), "conv2": (3, w, 2 * w), "conv3": (3, 2 * w, 4 * w)}
    layers |= {f"block{k}_{i}": (3, 4 * w, 4 * w) for k in range(1, 6) for i in (1, 2)}
    layers |= {"up1": (3, 4 * w, 2 * w), "up2": (3, 2 * w, w), "out": (9, w, 3)}
    kernels = _kernels(layers, rng)
    scales = {name: 1 + 0.3 * rng.standard_normal(n[2]).astype(np.float32) for name, n in layers.items()}
    shifts = {name: 0.3 * rng.standard_normal(n[2]).astype(np.float32) for name, n in layers.items()}
    return kernels, scales, shifts


def decoder() -> dict[str, np.ndarray]:
    """Returns kernels of a decoder of VGG-16's relu4_1, by layer; its biases are 0."""
    names = ("conv4_1", "conv3_3", "conv3_2", "conv3_1", "conv2_2", "conv2_1", "conv1_2", "conv1_1")
    channels = (512, 256, 256, 256, 128, 128, 64, 64, 3)
    layers = {name: (3, *channels[i : i + 2]) for i, name in enumerate(names)}
    return _kernels(layers, np.random.default_rng(4))


def operations(size: int) -> float:
    """Returns the additions and multiplications of one value and gradient of the Gatys loss, convolutions alone.

    The derivative by the image takes each convolution once more.
    """
    total, side = 0.0, size
    for stage in CHANNELS:
        total += sum(2 * 9 * a * b * side**2 for a, b in itertools.pairwise(stage))
        side //= 2
    return 2 * total


def reached(seconds: float, options: dict[str, Any], device: str) -> dict[str, Any]:
    """Returns the operations of an evaluation, and the fraction of the card's peak at so many seconds for each."""
    found: dict[str, Any] = {"operations": operations(options["size"])}
    peak = next((peaks[options["precision"]] for name, peaks in PEAKS.items() if name in device), None)
    return found if peak is None else found | {"fraction_of_peak": found["operations"] / seconds / peak}
