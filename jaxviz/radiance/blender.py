r"""Posed pictures as NeRF's Blender scenes have them: `transforms_train.json` and `transforms_test.json`.

A camera's pose is its `transform_matrix`; its focal length is :math:`w / (2 \tan(\alpha / 2))` with α
`camera_angle_x`, or `fl_x` and `fl_y` where they are given, of all pictures or of one.
"""

from pathlib import Path
from typing import Any

import numpy as np

from jaxviz.radiance.posed import SUFFIXES, Posed, load_json
from jaxviz.radiance.scenes import SceneError

BOX = 1.5
"""Half the side of the cube that the published scenes fill."""
FILES = ("transforms_train.json", "transforms.json")


def posed(folder: Path) -> Posed | None:
    """Returns the scene of a folder; None where it has none of this kind.

    Where there is `transforms_test.json`, or `transforms_val.json`, its pictures are those for testing.

    Raises:
      SceneError: If a file is damaged.
    """
    first = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if first is None:
        return None
    said = load_json(first)
    frames = _frames(first, said)
    fitting = len(frames)
    names = ("transforms_test.json", "transforms_val.json") if first.name == FILES[0] else ()
    other = next((folder / name for name in names if (folder / name).is_file()), None)
    if other is not None:
        frames += _frames(other, load_json(other))
    corners = _box(first, said.get("aabb", [[-BOX] * 3, [BOX] * 3]))
    paths, poses, lenses, sizes = zip(*frames, strict=True) if frames else ((), (), (), ())
    return Posed(
        first,
        paths,
        np.asarray(poses).reshape(-1, 3, 4),
        np.asarray(lenses).reshape(-1, 4),
        np.asarray(sizes).reshape(-1, 2),
        test=None if other is None else np.arange(fitting, len(frames)),
        box=corners,
        white=True,
    )


def _box(path: Path, said: Any) -> np.ndarray:
    try:
        corners = np.asarray(said, np.float64)
    except (TypeError, ValueError):
        corners = np.zeros(0)
    if corners.shape != (2, 3) or not (np.isfinite(corners).all() and (corners[1] > corners[0]).all()):
        raise SceneError(f"{path}: aabb is {said}; expected the lowest and the highest corner of a box")
    return corners


def _frames(path: Path, said: dict[str, Any]) -> list[tuple[Path, np.ndarray, np.ndarray, np.ndarray]]:
    found = []
    try:
        for frame in said["frames"]:
            picture = path.parent / frame["file_path"]
            if picture.suffix not in SUFFIXES:
                there = (picture.with_name(picture.name + suffix) for suffix in SUFFIXES)
                picture = next(
                    (each for each in there if each.is_file()), picture.with_name(picture.name + ".png")
                )
            pose = np.asarray(frame["transform_matrix"], np.float64)[:3]
            if pose.shape != (3, 4):
                raise ValueError(f"transform_matrix has shape {list(pose.shape)}, not 4 by 4")
            found.append((picture, pose, *_lens({**said, **frame}, picture)))
    except (KeyError, TypeError, ValueError) as error:
        raise SceneError(
            f"{path} is damaged ({error}); expected frames with file_path and transform_matrix"
        ) from error
    return found


def _lens(said: dict[str, Any], picture: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns the lens, and the size that it is meant for."""
    if "w" in said and "h" in said:
        h, w = float(said["h"]), float(said["w"])
    elif "fl_x" not in said:
        h = w = 1.0  # only proportions count, and the camera's axis goes through the middle
    else:
        raise ValueError("fl_x is given without w and h")
    across = float(said["fl_x"]) if "fl_x" in said else w / (2 * np.tan(float(said["camera_angle_x"]) / 2))
    down = float(said.get("fl_y", across))
    middle = float(said.get("cx", w / 2)), float(said.get("cy", h / 2))
    return np.array([across, down, *middle]), np.array([h, w] if "w" in said else [0.0, 0.0])
