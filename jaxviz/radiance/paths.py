"""Paths of a camera through a scene: a spiral before it, a circle around it, or poses in a file."""

import json
from pathlib import Path

import numpy as np

from jaxviz._checks import known, whole
from jaxviz.radiance.scenes import Cameras, SceneError, Space

PATHS = ("spiral", "circle")
TURNS = 2
"""Of a spiral."""


def path(
    name: str | Path, cameras: Cameras, space: Space, *, frames: int = 60, size: tuple[int, int] | None = None
) -> Cameras:
    """Returns cameras along a path.

    - "spiral": turns in front of the scene, forth and back, for cameras that face it; it stays among them.
    - "circle": around what the cameras look at, at their mean distance and height.
    - A file `.json` with `frames`, each with a `transform_matrix` [4, 4] or [3, 4], as in `transforms_*.json`; its
      world is that of the model, so a forward-facing scene's is centred and scaled.

    Args:
      name: One of `PATHS`, or a file.
      cameras: From which the scene was photographed; lenses are the first one's.
      space: Of the scene.
      frames: How many cameras, of a spiral or a circle.
      size: Height and width in pixels; None for those of the photographs.

    Raises:
      KeyError: If there is neither such a path nor such a file.
      SceneError: If the file has no poses, or a singular one.
      ValueError: If `frames` is below 1.
    """
    whole(frames, "frames")
    if str(name).endswith(".json"):
        poses = _from_file(Path(name))
    else:
        poses = {"spiral": _spiral, "circle": _circle}[known(str(name), PATHS, "path")](
            cameras, space, frames
        )
    return resized(
        Cameras(
            poses.astype(np.float32), np.tile(np.asarray(cameras.lenses)[:1], (len(poses), 1)), cameras.size
        ),
        size,
    )


def resized(cameras: Cameras, size: tuple[int, int] | None) -> Cameras:
    """Returns cameras that see the same at another size in pixels."""
    if size is None:
        return cameras
    down, across = size[0] / cameras.size[0], size[1] / cameras.size[1]
    scale = np.array([across, down, across, down], np.float32)
    return Cameras(cameras.poses, np.asarray(cameras.lenses) * scale, size)


def usual(space: Space) -> str:
    """Returns the path that suits a space."""
    return "spiral" if space.forward else "circle"


def looking(place: np.ndarray, at: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Returns the pose, [3, 4], of a camera at a place that looks at a point.

    Example:
      >>> looking(np.array([0.0, 0.0, 2.0]), np.zeros(3), np.array([0.0, 1.0, 0.0]))[:, 3].tolist()
      [0.0, 0.0, 2.0]
    """
    back = _unit(place - at)
    right = _unit(np.cross(up, back))
    return np.stack([right, np.cross(back, right), back, place], 1)


def _spiral(cameras: Cameras, space: Space, frames: int) -> np.ndarray:
    poses = np.asarray(cameras.poses, np.float64)
    places, middle = poses[:, :, 3], poses[:, :, 3].mean(0)
    up, back = _unit(poses[:, :, 1].mean(0)), _unit(poses[:, :, 2].mean(0))
    right = np.cross(up, back)
    frame = np.stack([right, np.cross(back, right), back], 1)
    # Nine in ten cameras stand further out on neither axis.
    radii = 0.8 * np.percentile(np.abs((places - middle) @ frame), 90, axis=0)
    # What is half as far as infinity, in disparity, is kept in the middle; else what the box has in its middle.
    ahead = middle - 4 * back if space.forward else np.asarray(space.box).mean(0)
    turn = 2 * np.pi * TURNS * np.arange(frames) / frames
    offsets = np.stack([np.cos(turn), -np.sin(turn), -np.sin(turn / TURNS)], 1) * radii
    return np.stack([looking(middle + frame @ offset, ahead, up) for offset in offsets])


def _circle(cameras: Cameras, space: Space, frames: int) -> np.ndarray:
    poses = np.asarray(cameras.poses, np.float64)
    if space.forward:
        return _ring(poses, frames)
    at, up = np.asarray(space.box, np.float64).mean(0), _unit(poses[:, :, 1].mean(0))
    apart = poses[:, :, 3] - at
    height = np.mean(apart @ up)
    radius = np.linalg.norm(apart - (apart @ up)[:, None] * up, axis=1).mean()
    one = _unit(np.cross(up, [0.0, 0.0, 1.0] if abs(up[2]) < 0.9 else [1.0, 0.0, 0.0]))
    two = np.cross(up, one)
    turn = 2 * np.pi * np.arange(frames)[:, None] / frames
    return np.stack(
        [
            looking(place, at, up)
            for place in at + height * up + radius * (np.cos(turn) * one + np.sin(turn) * two)
        ]
    )


def _ring(poses: np.ndarray, frames: int) -> np.ndarray:
    """Returns one turn before a forward-facing scene, in the plane of its cameras."""
    middle, up, back = poses[:, :, 3].mean(0), _unit(poses[:, :, 1].mean(0)), _unit(poses[:, :, 2].mean(0))
    right = np.cross(up, back)
    radius = 0.8 * np.percentile(np.linalg.norm(poses[:, :, 3] - middle, axis=1), 80)
    turn = 2 * np.pi * np.arange(frames)[:, None] / frames
    places = middle + radius * (np.cos(turn) * right + np.sin(turn) * np.cross(back, right))
    return np.stack([looking(place, middle - 4 * back, up) for place in places])


def _from_file(file: Path) -> np.ndarray:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        poses = np.stack([np.asarray(frame["transform_matrix"], np.float64)[:3] for frame in said["frames"]])
        if poses.shape[1:] != (3, 4):
            raise ValueError("transform_matrix is not [4, 4]")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SceneError(
            f"{file} is no path ({error}); expected frames with transform_matrix in JSON"
        ) from error
    turns = poses[:, :, :3]
    if not np.isfinite(poses).all() or np.abs(turns.swapaxes(1, 2) @ turns - np.eye(3)).max() > 1e-2:
        raise SceneError(f"{file}: a pose is singular; expected rotations and places")
    return poses


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
