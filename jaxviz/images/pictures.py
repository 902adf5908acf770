"""What a picture is: its types, in memory and in files, and how bytes become floats and back."""

import numpy as np
from jaxtyping import Float, UInt8

Picture = Float[np.ndarray, "h w 3"]
Resized = Float[np.ndarray, "_ _ 3"]
Pixels = Picture | UInt8[np.ndarray, "h w 3"]
"""A picture as its file has it: floats in [0, 1], or bytes that stand for their value / 255."""
Cut = Resized | UInt8[np.ndarray, "_ _ 3"]
MAX_PIXELS = 100_000_000
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
ARRAY_SUFFIXES = (".npy", ".npz")


class PictureError(ValueError):
    """A file that cannot be used as a picture; the message names it, the cause and the remedy."""


def to_floats(image: np.ndarray) -> np.ndarray:
    """Returns bytes of any shape as float32 in [0, 1], divided by 255; floats as they are.

    Example:
      >>> jaxviz.images.to_floats(np.array([0, 51, 255], np.uint8))
      array([0. , 0.2, 1. ], dtype=float32)
    """
    return np.divide(image, np.float32(255), dtype=np.float32) if image.dtype == np.uint8 else image


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Returns the picture as a file stores it: clipped to [0, 1] and rounded to 8 bits; bytes as they are."""
    if np.asarray(image).dtype == np.uint8:
        return np.asarray(image)
    return np.round(np.clip(np.asarray(image, np.float32), 0, 1) * 255).astype(np.uint8)
