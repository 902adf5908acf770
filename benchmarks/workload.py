"""The pictures and starts that both sides take. Imports neither runtime."""

import numpy as np
import skimage.data
from PIL import Image

LABEL = 652
"""Military uniform; any class costs the same."""
MEAN_COLOR = (123.68 / 255, 116.779 / 255, 103.939 / 255)
ADAM_RATE = 0.02


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


def crops(count: int, size: int = 224) -> np.ndarray:
    """Returns pictures [count, size, size, 3], cut from one at seeded places."""
    rng, whole = np.random.default_rng(0), picture("astronaut", 512)
    corners = rng.integers(0, 512 - size + 1, (count, 2))
    return np.stack([whole[top : top + size, left : left + size] for top, left in corners])


def noise(count: int, size: int, deviation: float) -> np.ndarray:
    """Returns starts [count, size, size, 3] around the mean color, in [0, 1]."""
    drawn = np.random.default_rng(1).standard_normal((count, size, size, 3))
    return np.clip(np.asarray(MEAN_COLOR) + deviation * drawn, 0, 1).astype(np.float32)
