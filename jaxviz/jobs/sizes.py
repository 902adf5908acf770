"""How pictures of any size become arrays of few shapes, so that few programs serve a whole data set."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from jaxviz import images
from jaxviz.images import Cut, Pixels


@runtime_checkable
class Sizing(Protocol):
    """What a picture is made before it goes to a network."""

    def __call__(self, picture: Pixels) -> Cut:
        """Returns the picture, bytes or floats, in one of few shapes, as either."""

    def settings(self) -> dict[str, Any]:
        """Returns what decides the shapes, for the manifest."""


@dataclasses.dataclass(frozen=True)
class Square:
    """One shape: `size`×`size`, the centre cut out, as `images.fit_square` does."""

    size: int

    def __call__(self, picture: Pixels) -> Cut:
        """Returns the square."""
        return images.cut_square(picture, self.size)

    def settings(self) -> dict[str, Any]:
        """Returns what decides the shapes, for the manifest."""
        return {"shape": "square", "size": self.size}


@dataclasses.dataclass(frozen=True)
class Longer:
    """A longer side of `size`, the other a multiple of `multiple`: at most 2 `size` / `multiple` shapes.

    A picture is scaled until it covers the nearest of these shapes, and what stands over is cut off on both
    sides equally: at most half of `multiple` pixels on each, and nothing is stretched.
    """

    size: int
    multiple: int = 32

    def __call__(self, picture: Pixels) -> Cut:
        """Returns the picture in the nearest of the shapes."""
        h, w = picture.shape[:2]
        height, width = self.shape(h, w)
        scale = max(height / h, width / w)
        h, w = max(height, round(h * scale)), max(width, round(w * scale))
        return images.cut(picture, (h, w), (height, width))

    def shape(self, h: int, w: int) -> tuple[int, int]:
        """Returns the nearest of the shapes for a picture of h×w.

        Example:
          >>> Longer(256).shape(480, 640), Longer(256).shape(1000, 10)
          ((192, 256), (256, 32))
        """
        shorter = self.size * min(h, w) / max(h, w)
        side = min(self.size, max(1, round(shorter / self.multiple)) * self.multiple)
        return (self.size, side) if h > w else (side, self.size)

    def settings(self) -> dict[str, Any]:
        """Returns what decides the shapes, for the manifest."""
        return {"shape": "longer side", "size": self.size, "multiple": self.multiple}


def stack(pictures: Sequence[Cut]) -> Float[np.ndarray, "n h w 3"]:
    """Returns pictures of one shape, bytes or floats, as one array of floats in [0, 1].

    Raises:
      ValueError: If there is none, or they differ in shape.
    """
    if len({picture.shape for picture in pictures}) != 1:
        raise ValueError(f"{len(pictures)} pictures are given; expected at least one, all of one shape")
    made = np.empty((len(pictures), *pictures[0].shape), np.float32)
    for place, picture in zip(made, pictures, strict=True):
        if picture.dtype == np.uint8:
            np.divide(picture, np.float32(255), out=place)
        else:
            place[...] = picture
    return made
