"""Masks of styles: pictures that are white where a style goes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxviz import images
from jaxviz.cli.session import Session


def read_masks(
    session: Session, paths: Sequence[Path], pixels: images.Picture, styles: int
) -> list[np.ndarray]:
    """Returns masks as brightness, [h, w], of the content's size, in [0, 1].

    Raises:
      ValueError: If one has another shape than the content, or is black everywhere, or there is not one a style.
    """
    found = []
    for path in paths:
        read = images.read(path, max_pixels=session.given["max_pixels"])
        (h, w), (height, width) = read.shape[:2], pixels.shape[:2]
        if abs(h / w - height / width) > 0.02 * height / width:
            raise ValueError(f"mask {path} is {h}×{w}; expected the shape of the content, {height}×{width}")
        found.append(images.resize(read, height, width).mean(-1))
        if not found[-1].any():
            raise ValueError(f"mask {path} is black everywhere; paint white where its style goes")
    if len(found) != styles:
        raise ValueError(f"there are {len(found)} masks for {styles} styles; give one for each")
    return found
