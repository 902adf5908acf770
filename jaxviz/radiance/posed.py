"""What readers of scenes have in common: pictures and where they were taken from, before they are read."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from jaxviz.radiance.scenes import SceneError

SUFFIXES = (".png", ".jpg", ".jpeg", ".JPG", ".JPEG", ".PNG", ".webp")
FLIP = np.array([1.0, -1.0, -1.0])
"""From cameras that look along z, with y down, to those that look along -z, with y up."""


@dataclasses.dataclass(frozen=True)
class Posed:
    """Pictures in files and where they were taken from.

    Attributes:
      source: The file that tells the poses.
      paths: Of n pictures.
      poses: [n, 3, 4], as `Cameras` has them.
      lenses: [n, 4], in pixels of a picture of `sizes`.
      sizes: [n, 2], height and width that the lenses are meant for; zeros for those of the files.
      test: Indices of pictures for testing; None where the format tells none.
      bounds: [n, 2], distance of the nearest and the farthest thing; None where the format tells none.
      box: [2, 3], lowest and highest corner of what is to be modelled; None where the format tells none.
      white: Whether what is transparent in the pictures is white background.
    """

    source: Path
    paths: tuple[Path, ...]
    poses: np.ndarray
    lenses: np.ndarray
    sizes: np.ndarray
    test: np.ndarray | None = None
    bounds: np.ndarray | None = None
    box: np.ndarray | None = None
    white: bool = False


def pictures_in(folder: Path) -> list[Path]:
    """Returns the pictures of a folder, by their names.

    Raises:
      SceneError: If there is no such folder.
    """
    if not folder.is_dir():
        raise SceneError(f"{folder} is missing; expected the folder of the pictures")
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)


def load_json(path: Path) -> dict[str, Any]:
    """Returns what a JSON file holds.

    Raises:
      SceneError: If it cannot be read, or is no object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SceneError(f"{path} cannot be read ({error}); expected JSON") from error
    if not isinstance(found, dict):
        raise SceneError(f"{path} holds no object; expected one")
    return found


def checked(posed: Posed) -> Posed:
    """Returns the record with rotations of unit scale.

    Raises:
      SceneError: If there is one view only, a camera is singular, all stand at one place, or a picture is missing.
    """
    path = posed.source
    if len(posed.poses) < 2:
        raise SceneError(f"{path} has {len(posed.poses)} view; expected several, from different places")
    turns, places = np.asarray(posed.poses[:, :, :3], np.float64), posed.poses[:, :, 3]
    scales = np.cbrt(np.linalg.det(np.nan_to_num(turns)))
    for k, name in enumerate(p.name for p in posed.paths):
        gram = turns[k].T @ turns[k] / max(scales[k], 1e-12) ** 2
        lens = posed.lenses[k]
        regular = np.isfinite(posed.poses[k]).all() and np.isfinite(lens).all() and (lens[:2] > 0).all()
        if not regular or scales[k] < 1e-6 or np.abs(gram - np.eye(3)).max() > 1e-2:
            raise SceneError(
                f"{path}: the camera of {name} is singular; expected a rotation, a place and a focal length"
            )
    if np.ptp(places, axis=0).max() < 1e-9:
        raise SceneError(f"{path}: all cameras stand at one place; expected views from different places")
    for picture in posed.paths:
        if not picture.is_file():
            raise SceneError(f"{picture} is missing; {path} has a pose of it")
    poses = np.concatenate([turns / scales[:, None, None], places[:, :, None]], 2)
    return dataclasses.replace(posed, poses=poses)
