"""From a folder to a scene: which format it has, its pictures at their size, where they look."""

from pathlib import Path

import numpy as np

from jaxviz import images
from jaxviz._checks import known, number, whole
from jaxviz.radiance import blender, colmap, llff
from jaxviz.radiance.posed import Posed, checked
from jaxviz.radiance.rays import enclosing
from jaxviz.radiance.scenes import BACKGROUNDS, Cameras, Scene, SceneError, Space, Views

SPACES = ("auto", "forward", "box")
HOLD = 8
ALIKE = 0.7
"""Cosine to the mean direction above which cameras look the same way."""
CLOSER = 0.75
"""Of the nearest thing's distance: where a forward-facing scene begins."""


def read(
    folder: str | Path,
    *,
    downscale: float | int = 1,
    hold: int = HOLD,
    space: str = "auto",
    background: str | None = None,
    max_pixels: int = images.MAX_PIXELS,
) -> Scene:
    """Returns the posed pictures of a folder, in one of three formats, which is found by its files.

    - Blender: `transforms_train.json` and `transforms_test.json`, or `transforms.json`.
    - LLFF: `poses_bounds.npy` and `images/`.
    - COLMAP: `cameras.bin` and `images.bin`, there or in `sparse/0/`, and `images/`; by `points3D.bin`, where it
      is, what is to be modelled is found.

    Args:
      folder: Of the scene.
      downscale: Pictures are made smaller by this factor, at least 1.
      hold: Where the format names no pictures for testing, every so many-th is held back; 0 for none.
      space: "forward" for cameras that look the same way, whose rays go through normalized device coordinates;
        "box" for those that look at something from around it; "auto" for what the cameras do.
      background: "white", as transparent pictures are laid over; "none" for a scene that goes on in all
        directions; None for "white" of the Blender format and "none" of others.
      max_pixels: Larger pictures are refused.

    Raises:
      SceneError: If no format is found, a file is damaged, the number of poses is not that of the pictures, a
        picture is missing or of another size than the others, there is one view only, or a camera is singular.
      PictureError: If a picture cannot be read.
      ValueError: If a number is out of range.
      KeyError: If there is no such space or background.
    """
    folder = Path(folder)
    known(space, SPACES, "space")
    factor = float(number(downscale, "downscale", 1))
    whole(hold, "hold", 0)
    if not folder.is_dir():
        raise SceneError(f"{folder} is no folder; expected a scene's")
    posed = blender.posed(folder) or llff.posed(folder) or colmap.posed(folder)
    if posed is None:
        raise SceneError(
            f"{folder} is no scene; expected transforms_train.json, poses_bounds.npy, or cameras.bin and images.bin"
        )
    posed = checked(posed)
    if hold == 1 and posed.test is None:
        raise ValueError("hold is 1, which leaves no picture to fit to; expected 0, or at least 2")
    kind = known(background or ("white" if posed.white else "none"), BACKGROUNDS, "background")
    forward = space == "forward" or (
        space == "auto" and posed.bounds is not None and _look_alike(posed.poses)
    )
    if forward and posed.bounds is None:
        raise SceneError(
            f"{posed.source} tells no near and far, which a forward-facing scene needs; take a box"
        )
    colors, lenses = _pictures(posed, factor, max_pixels)
    made = _forward(posed) if forward else (posed.poses, *_boxed(posed))
    poses, near, box = made
    cameras = Cameras(poses.astype(np.float32), lenses.astype(np.float32), colors.shape[1:3])
    warp = np.zeros(3, np.float32)
    if forward:
        h, w = cameras.size
        focal = np.median(lenses[:, :2], 0)
        warp = np.array([2 * focal[0] / w, 2 * focal[1] / h, 1.0], np.float32)
        box = enclosing(cameras, warp)
    names = [path.name for path in posed.paths]
    held = np.zeros(len(names), bool)
    if posed.test is not None:
        held[posed.test] = True
    elif hold:
        held[::hold] = True
    train, test = (_chosen(cameras, colors, names, np.flatnonzero(which)) for which in (~held, held))
    return Scene(
        train, test, Space(box.astype(np.float32), np.asarray(near, np.float32), warp, forward, kind)
    )


def _chosen(cameras: Cameras, colors: np.ndarray, names: list[str], which: np.ndarray) -> Views:
    return Views(cameras[which], colors[which], tuple(names[k] for k in which))


def _pictures(posed: Posed, factor: float, max_pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns colors [n, h, w, 3] and lenses [n, 4] of one size."""
    colors, lenses, first = [], [], None
    for k, path in enumerate(posed.paths):
        picture = images.read(path, max_pixels=max_pixels)
        own = picture.shape[:2]
        first = first or own
        if own != first:
            raise SceneError(
                f"{path} has {own[1]}×{own[0]} pixels; expected {first[1]}×{first[0]}, as the first one"
            )
        h, w = (max(1, round(side / factor)) for side in own)
        colors.append(images.resize(picture, h, w))
        meant, lens = posed.sizes[k], posed.lenses[k]
        if meant[0] == 0:  # in units of the width, and the middle is ahead
            meant, lens = np.array(own), np.array([*lens[:2] * own[1], own[1] / 2, own[0] / 2])
        down, across = np.array([h, w]) / meant
        lenses.append(lens * [across, down, across, down])
    return np.stack(colors), np.stack(lenses)


def _look_alike(poses: np.ndarray) -> bool:
    looks = -poses[:, :, 2]
    mean = looks.mean(0) / max(np.linalg.norm(looks.mean(0)), 1e-9)
    return bool((looks @ mean).min() > ALIKE)


def _forward(posed: Posed) -> tuple[np.ndarray, float, np.ndarray]:
    """Returns poses around the mean one, in units in which a scene begins at 1, as LLFF does it."""
    scale = 1 / (CLOSER * posed.bounds.min())  # type: ignore[union-attr]
    poses = posed.poses.copy()
    poses[:, :, 3] *= scale
    back = poses[:, :, 2].mean(0)
    back /= np.linalg.norm(back)
    right = np.cross(poses[:, :, 1].mean(0), back)
    right /= np.linalg.norm(right)
    frame = np.stack([right, np.cross(back, right), back], 1)
    middle = poses[:, :, 3].mean(0)
    turned = frame.T @ poses[:, :, :3]
    return (
        np.concatenate([turned, (frame.T @ (poses[:, :, 3] - middle).T).T[:, :, None]], 2),
        0.0,
        np.zeros((2, 3)),
    )


def _boxed(posed: Posed) -> tuple[float, np.ndarray]:
    """Returns where cameras begin to see, and the box of what they look at."""
    places, looks = posed.poses[:, :, 3], -posed.poses[:, :, 2]
    box = posed.box
    if box is None:
        # The point that is nearest to all lines of sight.
        across = np.eye(3) - looks[:, :, None] * looks[:, None, :]
        middle = np.linalg.lstsq(across.sum(0), (across @ places[:, :, None]).sum(0)[:, 0], rcond=None)[0]
        half = 0.5 * np.linalg.norm(places - middle, axis=1).max()
        box = np.stack([middle - half, middle + half])
    if posed.bounds is not None:
        return 0.5 * float(posed.bounds.min()), box
    outside = np.linalg.norm(places - np.clip(places, *box), axis=1).min()
    return max(0.9 * float(outside), 1e-3 * float(np.linalg.norm(box[1] - box[0]))), box
