"""Posed pictures as LLFF has them: `poses_bounds.npy`, and pictures in the order of their names.

Each row of the file is a matrix [3, 5], of three columns of rotation for a camera with x down, y to the right and
z backwards, its place, and height, width and focal length in pixels; and the distance of the nearest and the
farthest thing.
"""

from pathlib import Path

import numpy as np

from jaxviz.images import open_array
from jaxviz.radiance.posed import Posed, pictures_in
from jaxviz.radiance.scenes import SceneError


def posed(folder: Path) -> Posed | None:
    """Returns the scene of a folder; None where it has none of this kind.

    Raises:
      SceneError: If the file is damaged, or has another number of poses than there are pictures.
      PictureError: If it is no array.
    """
    path = folder / "poses_bounds.npy"
    if not path.is_file():
        return None
    rows = np.asarray(open_array(path), np.float64)
    if rows.ndim != 2 or rows.shape[1] != 17:
        raise SceneError(
            f"{path} has shape {list(rows.shape)}; expected one row of 17 numbers for each picture"
        )
    pictures = pictures_in(folder / "images")
    if len(pictures) != len(rows):
        raise SceneError(
            f"{path} has {len(rows)} poses and {folder / 'images'} {len(pictures)} pictures; expected as many"
        )
    matrices, bounds = rows[:, :15].reshape(-1, 3, 5), rows[:, 15:]
    if not (np.isfinite(bounds).all() and (bounds > 0).all() and (bounds[:, 1] > bounds[:, 0]).all()):
        raise SceneError(
            f"{path}: bounds are {bounds.min():g} to {bounds.max():g}; expected near below far, above 0"
        )
    down, right, back, place, lens = np.moveaxis(matrices, 2, 0)
    poses = np.stack([right, -down, back, place], 2)
    h, w, focal = lens.T
    return Posed(
        path,
        tuple(pictures),
        poses,
        np.stack([focal, focal, w / 2, h / 2], 1),
        np.stack([h, w], 1),
        bounds=bounds,
    )
