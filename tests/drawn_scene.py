"""A few textured boxes, seen by cameras whose poses are known exactly, and files of them in three formats."""

import json
import struct

import numpy as np
from PIL import Image as PillowImage

BOXES = (
    ((-0.9, -0.6, -0.5), (-0.1, 0.5, 0.3), (0.9, 0.3, 0.2)),
    ((0.1, -0.7, -0.5), (0.8, -0.1, 0.7), (0.2, 0.5, 0.9)),
    ((0.2, 0.2, -0.5), (0.9, 0.9, 0.1), (0.3, 0.8, 0.3)),
)
"""Lowest corner, highest corner, color."""


def rays(pose, focal, size):
    """Origins and unit directions of the pixels of a camera that looks along -z with y up, [h, w, 3]."""
    h, w = size
    x, y = np.meshgrid(np.arange(w) + 0.5 - w / 2, np.arange(h) + 0.5 - h / 2)
    inside = np.stack([x / focal, -y / focal, -np.ones_like(x)], -1)
    directions = inside @ pose[:, :3].T
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return np.broadcast_to(pose[:, 3], directions.shape), directions


def drawn(pose, focal, size):
    """The picture, [h, w, 3], over white, and the distance of what is seen, [h, w]; infinite where nothing is."""
    o, d = rays(pose, focal, size)
    color, depth = np.ones((*size, 3)), np.full(size, np.inf)
    for low, high, paint in BOXES:
        with np.errstate(divide="ignore"):
            t = np.stack([(np.array(low) - o) / d, (np.array(high) - o) / d])
        near, far = t.min(0).max(-1), t.max(0).min(-1)
        hit = (near < far) & (near > 0) & (near < depth)
        at = o + near[..., None] * d
        face = t.min(0).argmax(-1)
        checks = np.floor((at + 0.05) / 0.4).sum(-1) % 2
        shade = 0.6 + 0.2 * face[..., None] / 2 + 0.2 * checks[..., None]
        color = np.where(hit[..., None], shade * np.array(paint), color)
        depth = np.where(hit, near, depth)
    return color.astype(np.float32), depth


def looking(place, at=(0, 0, 0), up=(0, 0, 1)):
    """The pose [3, 4] of a camera that stands at a place and looks at a point."""
    back = np.asarray(place, float) - at
    back /= np.linalg.norm(back)
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(back, right), back, np.asarray(place, float)], 1)


def around(count, distance=3.5, seed=0):
    """Poses on the upper half of a sphere, evenly spread."""
    k = np.arange(count) + 0.5
    z = 0.15 + 0.75 * k / count
    turn = np.pi * (1 + 5**0.5) * k + seed
    r = np.sqrt(1 - z**2)
    return [
        looking(distance * np.array([a * np.cos(t), a * np.sin(t), h]))
        for a, t, h in zip(r, turn, z, strict=True)
    ]


def ahead(count, distance=4.0):
    """Poses that face the boxes from one side, a little apart."""
    k = np.arange(count)
    return [
        looking(
            (
                0.5 * np.cos(2.4 * i) * (i / count) ** 0.5,
                -distance,
                0.5 * np.sin(2.4 * i) * (i / count) ** 0.5,
            )
        )
        for i in k
    ]


def pictures(poses, size=(24, 24), focal=30.0):
    return np.stack([drawn(pose, focal, size)[0] for pose in poses])


def save(path, color, alpha=None):
    values = np.round(np.clip(color, 0, 1) * 255).astype(np.uint8)
    if alpha is not None:
        values = np.concatenate([values, np.round(alpha[..., None] * 255).astype(np.uint8)], -1)
    PillowImage.fromarray(values).save(path)


def write_blender(folder, train, test, size=(24, 24), focal=30.0):
    """transforms_train.json and transforms_test.json with transparent pictures."""
    for name, poses in (("train", train), ("test", test)):
        (folder / name).mkdir(parents=True)
        frames = []
        for k, pose in enumerate(poses):
            color, depth = drawn(pose, focal, size)
            save(folder / name / f"r_{k}.png", color, np.isfinite(depth))
            frames.append(
                {"file_path": f"./{name}/r_{k}", "transform_matrix": [*pose.tolist(), [0, 0, 0, 1]]}
            )
        said = {"camera_angle_x": 2 * np.arctan(size[1] / 2 / focal), "frames": frames}
        (folder / f"transforms_{name}.json").write_text(json.dumps(said))


def write_images(folder, poses, size, focal):
    (folder / "images").mkdir(parents=True)
    depths = []
    for k, pose in enumerate(poses):
        color, depth = drawn(pose, focal, size)
        save(folder / "images" / f"image{k:03}.png", color)
        depths.append(depth[np.isfinite(depth)])
    return depths


def write_llff(folder, poses, size=(24, 32), focal=30.0):
    """poses_bounds.npy, meant for pictures of twice the size, as LLFF's are for the full one."""
    depths = write_images(folder, poses, size, focal)
    rows = []
    for pose, depth in zip(poses, depths, strict=True):
        down, right, back = -pose[:, 1], pose[:, 0], pose[:, 2]
        lens = [2 * size[0], 2 * size[1], 2 * focal]
        matrix = np.stack([down, right, back, pose[:, 3], lens], 1)
        rows.append([*matrix.ravel(), depth.min(), depth.max()])
    np.save(folder / "poses_bounds.npy", np.array(rows))


def write_colmap(folder, poses, size=(24, 32), focal=30.0, points=True):
    """sparse/0/cameras.bin, images.bin and points3D.bin, of a simple pinhole camera."""
    write_images(folder, poses, size, focal)
    model = folder / "sparse/0"
    model.mkdir(parents=True)
    camera = struct.pack("<Q", 1) + struct.pack("<iiQQ", 7, 0, size[1], size[0])
    (model / "cameras.bin").write_bytes(camera + struct.pack("<3d", focal, size[1] / 2, size[0] / 2))
    frames = [struct.pack("<Q", len(poses))]
    for k, pose in enumerate(poses):
        turn = (pose[:, :3] * [1, -1, -1]).T
        shift = -turn @ pose[:, 3]
        frames.append(
            struct.pack("<i7di", k, *quaternion(turn), *shift, 7) + f"image{k:03}.png".encode() + b"\0"
        )
        frames.append(struct.pack("<Q", 1) + struct.pack("<ddq", 1.0, 2.0, 5))
    (model / "images.bin").write_bytes(b"".join(frames))
    if points:
        corners = [corner for low, high, _ in BOXES for corner in (low, high)]
        packed = [struct.pack("<Q", len(corners))]
        for k, corner in enumerate(corners):
            packed.append(struct.pack("<Q3d3BdQ2i", k, *corner, 9, 9, 9, 0.5, 1, 3, 4))
        (model / "points3D.bin").write_bytes(b"".join(packed))


def quaternion(turn):
    """(w, x, y, z) of a rotation."""
    values, vectors = np.linalg.eigh(
        np.array(
            [
                [turn[0, 0] - turn[1, 1] - turn[2, 2], 0, 0, 0],
                [turn[1, 0] + turn[0, 1], turn[1, 1] - turn[0, 0] - turn[2, 2], 0, 0],
                [turn[2, 0] + turn[0, 2], turn[2, 1] + turn[1, 2], turn[2, 2] - turn[0, 0] - turn[1, 1], 0],
                [turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1], turn.trace()],
            ]
        )
        / 3
    )
    x, y, z, w = vectors[:, values.argmax()]
    return np.array([w, x, y, z]) * (1 if w >= 0 else -1)
