"""Views of the drawn scene, whose depth is known, warped into each other."""

import drawn_scene
import numpy as np
import pytest

from jaxviz import radiance

SIZE, FOCAL = (48, 48), 60.0


@pytest.fixture(scope="module")
def views():
    poses = [drawn_scene.looking((3.5 * np.cos(t), 3.5 * np.sin(t), 1.5)) for t in np.arange(5) * 0.12]
    lenses = np.tile([FOCAL, FOCAL, SIZE[1] / 2, SIZE[0] / 2], (5, 1)).astype(np.float32)
    cameras = radiance.Cameras(np.asarray(poses, np.float32), lenses, SIZE)
    pictures, seen = [], []
    for pose in poses:
        color, depth = drawn_scene.drawn(pose, FOCAL, SIZE)
        there = np.isfinite(depth)
        pictures.append(color)
        seen.append(
            radiance.Seen(color, np.where(there, depth, 0).astype(np.float32), there.astype(np.float32))
        )
    return pictures, seen, cameras


def test_a_picture_warped_by_depth_is_the_other_one(views):
    pictures, seen, cameras = views
    moved, known = radiance.warped(pictures[1], seen[1], seen[0], cameras[1:2], cameras[:1])
    there = np.asarray(known)
    opaque = seen[0].opacity > 0.5
    # Not so along edges, nor on what is seen at a flat angle: neighboring pixels differ in depth there.
    assert 0.5 * opaque.sum() < there.sum() <= opaque.sum()
    # Edges of checks are between pixels: most colors are alike, and the picture itself, not moved, is less so.
    errors = np.abs(np.asarray(moved) - pictures[0]).max(-1)[there]
    assert np.median(errors) < 1e-3
    assert errors.mean() < 0.4 * np.abs(pictures[1] - pictures[0]).max(-1)[there].mean()


def test_what_is_hidden_from_the_other_side_is_not_known(views):
    pictures, seen, cameras = views
    pose = drawn_scene.looking((-3.5, 0.2, 0.8))
    color, depth = drawn_scene.drawn(pose, FOCAL, SIZE)
    behind = radiance.Cameras(pose[None].astype(np.float32), cameras.lenses[:1], SIZE)
    there = np.isfinite(depth)
    other = radiance.Seen(color, np.where(there, depth, 0).astype(np.float32), there.astype(np.float32))
    _, known = radiance.warped(pictures[0], seen[0], other, cameras[:1], behind)
    assert np.asarray(known).sum() < 0.3 * there.sum()


def test_pictures_that_differ_by_side_are_less_consistent(views):
    pictures, seen, cameras = views
    random = np.random.default_rng(0)
    noisy = [np.clip(p + random.normal(0, 0.1, p.shape), 0, 1).astype(np.float32) for p in pictures]
    same = radiance.consistency(pictures, seen, cameras)
    other = radiance.consistency(noisy, seen, cameras, distance=lambda a, b: float(np.abs(a - b).mean()))
    assert same["rmse"] < other["rmse"]
    assert other["rmse"] == pytest.approx(0.12, abs=0.04)  # √(1 + ⅔²) of 0.1, between pixels
    assert other["distance"] > 0
    assert radiance.consistency(pictures, seen, cameras, 4)["known"] < same["known"]
    with pytest.raises(ValueError, match="apart is 5; expected 1 to 4"):
        radiance.consistency(pictures, seen, cameras, 5)
