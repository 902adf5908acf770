"""Posed pictures as COLMAP has them: `cameras.bin`, `images.bin` and, where it is, `points3D.bin`.

Formats: https://colmap.github.io/format.html. All numbers are little-endian. Distortion is not undone: undistort
the pictures with COLMAP before, where it matters.
"""

import struct
from pathlib import Path

import numpy as np

from jaxviz.radiance.posed import FLIP, Posed
from jaxviz.radiance.scenes import SceneError

FOLDERS = (".", "sparse/0", "sparse", "colmap/sparse/0")
MODELS = {0: (3, 1), 1: (4, 2), 2: (4, 1), 3: (5, 1), 4: (8, 2), 5: (8, 2), 6: (12, 2), 8: (4, 1), 9: (5, 1)}
"""Camera model → how many numbers it has, and how many of them are focal lengths."""
FEWEST = 2
"""Points that a picture must show, for the distance of what it shows to be known."""


class _File:
    def __init__(self, path: Path):
        self.path, self.bytes, self.at = path, path.read_bytes(), 0

    def take(self, form: str) -> tuple:
        size = struct.calcsize("<" + form)
        if self.at + size > len(self.bytes):
            raise SceneError(f"{self.path} is damaged: it ends too early; export the model from COLMAP again")
        found = struct.unpack_from("<" + form, self.bytes, self.at)
        self.at += size
        return found

    def text(self) -> str:
        end = self.bytes.find(b"\0", self.at)
        if end < 0:
            raise SceneError(f"{self.path} is damaged: a name has no end; export the model from COLMAP again")
        found, self.at = self.bytes[self.at : end], end + 1
        return found.decode("utf-8", "replace")


def posed(folder: Path) -> Posed | None:
    """Returns the scene of a folder, or of its `sparse/0`; None where it has none of this kind.

    Raises:
      SceneError: If a file is damaged, or a camera of a model that is not known.
    """
    models = (folder / name for name in FOLDERS)
    model = next((m for m in models if all((m / f"{n}.bin").is_file() for n in ("cameras", "images"))), None)
    if model is None:
        return None
    cameras = read_cameras(model / "cameras.bin")
    frames = sorted(read_images(model / "images.bin"), key=lambda frame: frame[0])
    pictures = folder / "images" if (folder / "images").is_dir() else folder
    lenses, sizes, poses = [], [], []
    for name, camera, turn, shift in frames:
        if camera not in cameras:
            raise SceneError(f"{model / 'images.bin'}: {name} has camera {camera}, which cameras.bin has not")
        lens, size = cameras[camera]
        lenses.append(lens)
        sizes.append(size)
        poses.append(np.concatenate([turn.T * FLIP, -(turn.T @ shift)[:, None]], 1))
    placed = np.asarray(poses).reshape(-1, 3, 4)
    points = read_points(model / "points3D.bin") if (model / "points3D.bin").is_file() else np.zeros((0, 3))
    return Posed(
        model / "images.bin",
        tuple(pictures / name for name, *_ in frames),
        placed,
        np.asarray(lenses).reshape(-1, 4),
        np.asarray(sizes).reshape(-1, 2),
        bounds=_bounds(placed, points),
        box=_box(points),
    )


def read_cameras(path: Path) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Returns for each camera its lens (f_x, f_y, c_x, c_y), and height and width."""
    file, found = _File(path), {}
    for _ in range(file.take("Q")[0]):
        number, model, width, height = file.take("iiQQ")
        if model not in MODELS:
            raise SceneError(f"{path}: camera model {model} is not known; undistort the pictures with COLMAP")
        count, focal = MODELS[model]
        values = file.take(f"{count}d")
        lens = (values[0], values[focal - 1], *values[focal : focal + 2])
        found[number] = np.array(lens), np.array([height, width], np.float64)
    return found


def read_images(path: Path) -> list[tuple[str, int, np.ndarray, np.ndarray]]:
    """Returns for each picture its name, its camera, and rotation and shift from the world to the camera."""
    file, found = _File(path), []
    for _ in range(file.take("Q")[0]):
        _, *pose, camera = file.take("i7di")
        name = file.text()
        seen = file.take("Q")[0]
        if seen * 24 > len(file.bytes):
            raise SceneError(
                f"{path} is damaged: {name} has {seen} points; export the model from COLMAP again"
            )
        file.at += 24 * seen
        found.append((name, camera, rotation(np.array(pose[:4])), np.array(pose[4:])))
    return found


def read_points(path: Path) -> np.ndarray:
    """Returns the places of the points, [n, 3]."""
    file, found = _File(path), []
    for _ in range(file.take("Q")[0]):
        _, *place = file.take("Q3d")
        file.take("3Bd")
        file.take(f"{2 * file.take('Q')[0]}i")
        found.append(place)
    return np.asarray(found).reshape(-1, 3)


def rotation(quaternion: np.ndarray) -> np.ndarray:
    """Returns the rotation of a quaternion (w, x, y, z); zeros, which is none, of zeros."""
    size = float(np.linalg.norm(quaternion))
    if not np.isfinite(size) or size < 1e-12:
        return np.zeros((3, 3))
    w, x, y, z = quaternion / size
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _bounds(poses: np.ndarray, points: np.ndarray) -> np.ndarray | None:
    """Returns the depths between which nearly all points ahead of each camera lie."""
    found = []
    for pose in poses:
        depth = (pose[:, 3] - points) @ pose[:, 2]
        depth = depth[depth > 0]
        if len(depth) < FEWEST:
            return None
        found.append(np.percentile(depth, [0.5, 99.5]) * [0.9, 1.1])
    return np.asarray(found)


def _box(points: np.ndarray) -> np.ndarray | None:
    if len(points) < FEWEST:
        return None
    low, high = np.percentile(points, [1, 99], axis=0)
    margin = 0.1 * (high - low) + 1e-6
    return np.stack([low - margin, high + margin])
