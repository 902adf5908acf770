import json
import struct

import drawn_scene
import numpy as np
import pytest

from jaxviz import radiance
from jaxviz.images import PictureError
from jaxviz.radiance import colmap
from jaxviz.radiance.rays import of_pixels

SIZE, FOCAL = (24, 32), 30.0


@pytest.fixture
def blender(tmp_path):
    drawn_scene.write_blender(
        tmp_path / "scene", drawn_scene.around(3), drawn_scene.around(2, seed=1), SIZE, FOCAL
    )
    return tmp_path / "scene"


@pytest.fixture
def llff(tmp_path):
    drawn_scene.write_llff(tmp_path / "scene", drawn_scene.ahead(4), SIZE, FOCAL)
    return tmp_path / "scene"


@pytest.fixture
def model(tmp_path):
    drawn_scene.write_colmap(tmp_path / "scene", drawn_scene.around(4), SIZE, FOCAL)
    return tmp_path / "scene"


def pixels(cameras, space, view):
    h, w = cameras.size
    row, column = (part.ravel() for part in np.mgrid[:h, :w])
    return of_pixels(cameras, space, np.full(h * w, view), row, column)


def test_blender_has_poses_lenses_and_transparent_pictures_over_white(blender):
    scene = radiance.read(blender)
    poses = np.stack(drawn_scene.around(3))
    np.testing.assert_allclose(scene.train.cameras.poses, poses, atol=1e-6)
    np.testing.assert_allclose(scene.train.cameras.lenses, [[FOCAL, FOCAL, 16, 12]] * 3, rtol=1e-6)
    np.testing.assert_allclose(
        scene.train.colors, drawn_scene.pictures(poses, SIZE, FOCAL), atol=0.5 / 255 + 1e-6
    )
    assert (scene.test.count, scene.space.forward, scene.space.background) == (2, False, "white")
    rays = pixels(scene.train.cameras, scene.space, 1)
    origins, directions = drawn_scene.rays(poses[1], FOCAL, SIZE)
    np.testing.assert_allclose(rays.directions, directions.reshape(-1, 3), atol=1e-6)
    np.testing.assert_allclose(rays.origins, origins.reshape(-1, 3), atol=1e-6)
    np.testing.assert_allclose(rays.looks, rays.directions)


def test_llff_and_colmap_tell_the_same_cameras(llff, tmp_path):
    poses = drawn_scene.ahead(4)
    drawn_scene.write_colmap(tmp_path / "other", poses, SIZE, FOCAL, points=False)
    one = radiance.read(llff, space="box", hold=0)
    two = radiance.read(tmp_path / "other", hold=0)
    np.testing.assert_allclose(one.train.cameras.poses, poses, atol=1e-5)
    np.testing.assert_allclose(two.train.cameras.poses, poses, atol=1e-5)
    for scene in (one, two):
        np.testing.assert_allclose(scene.train.cameras.lenses, [[FOCAL, FOCAL, 16, 12]] * 4, rtol=1e-5)
        np.testing.assert_array_equal(scene.train.colors, one.train.colors)


def test_a_forward_facing_scene_is_warped_and_all_that_is_seen_lies_in_its_box(llff):
    scene = radiance.read(llff, hold=2)
    assert scene.space.forward
    assert (scene.train.names, scene.test.names) == (
        ("image001.png", "image003.png"),
        ("image000.png", "image002.png"),
    )
    # The mean camera is the middle: nothing but noise is left of a mean rotation.
    both = np.concatenate([scene.train.cameras.poses, scene.test.cameras.poses])
    np.testing.assert_allclose(both[:, :, 3].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(both[:, :, 2].mean(0)[:2], 0, atol=1e-6)
    rays = pixels(scene.train.cameras, scene.space, 0)
    ends = np.stack([rays.origins, rays.origins + rays.directions])
    assert (ends >= scene.space.box[0] - 1e-5).all()
    assert (ends <= scene.space.box[1] + 1e-5).all()
    np.testing.assert_allclose(rays.near, 0, atol=1e-6)
    np.testing.assert_allclose(rays.far, 1, atol=1e-5)


def test_colmap_knows_what_is_to_be_modelled_by_its_points(model):
    scene = radiance.read(model, hold=0)
    corners = np.array([corner for low, high, _ in drawn_scene.BOXES for corner in (low, high)])
    assert not scene.space.forward
    assert (scene.space.box[0] < corners.min(0) + 0.1).all()
    assert (scene.space.box[1] > corners.max(0) - 0.1).all()
    assert 0 < scene.space.near < 3


def test_pictures_become_smaller_and_lenses_with_them(blender):
    scene = radiance.read(blender, downscale=2)
    assert scene.train.colors.shape == (3, 12, 16, 3)
    np.testing.assert_allclose(scene.train.cameras.lenses[0], [15, 15, 8, 6], rtol=1e-6)


def change(path, **changed):
    said = json.loads(path.read_text())
    path.write_text(json.dumps(said | changed))


def test_bad_scenes_are_told(blender, tmp_path):
    train = blender / "transforms_train.json"
    said = json.loads(train.read_text())
    with pytest.raises(radiance.SceneError, match=r"no folder"):
        radiance.read(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(radiance.SceneError, match=r"expected transforms_train"):
        radiance.read(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"downscale is 0.5"):
        radiance.read(blender, downscale=0.5)
    change(train, aabb=[[1, 0, 0], [0, 1, 1]])
    with pytest.raises(radiance.SceneError, match=r"aabb"):
        radiance.read(blender)
    singular = np.zeros((4, 4)).tolist()
    change(
        train, aabb=[[0, 0, 0], [1, 1, 1]], frames=[{**said["frames"][0], "transform_matrix": singular}] * 2
    )
    with pytest.raises(radiance.SceneError, match=r"r_0\.png is singular"):
        radiance.read(blender)
    change(train, frames=[said["frames"][0]] * 3)
    (blender / "transforms_test.json").unlink()
    with pytest.raises(radiance.SceneError, match=r"stand at one place"):
        radiance.read(blender)
    change(train, frames=said["frames"][:1])
    with pytest.raises(radiance.SceneError, match=r"1 view; expected several"):
        radiance.read(blender)
    change(train, frames=said["frames"])
    (blender / "train/r_1.png").unlink()
    with pytest.raises(radiance.SceneError, match=r"r_1.png is missing"):
        radiance.read(blender)
    (blender / "train/r_1.png").write_text("no picture")
    with pytest.raises(PictureError, match=r"no picture"):
        radiance.read(blender)
    drawn_scene.save(blender / "train/r_1.png", np.zeros((8, 8, 3)))
    with pytest.raises(radiance.SceneError, match=r"8×8 pixels; expected 32×24"):
        radiance.read(blender)
    train.write_text("{")
    with pytest.raises(radiance.SceneError, match=r"cannot be read"):
        radiance.read(blender)


def test_bad_llff_and_colmap_are_told(llff, tmp_path):
    (llff / "images/image003.png").unlink()
    with pytest.raises(radiance.SceneError, match=r"4 poses and .* 3 pictures"):
        radiance.read(llff)
    np.save(llff / "poses_bounds.npy", np.zeros((3, 15)))
    with pytest.raises(radiance.SceneError, match=r"row of 17 numbers"):
        radiance.read(llff)
    drawn_scene.write_colmap(tmp_path / "other", drawn_scene.around(2), SIZE, FOCAL)
    model = tmp_path / "other/sparse/0"
    whole = (model / "images.bin").read_bytes()
    (model / "images.bin").write_bytes(whole[:-30])
    with pytest.raises(radiance.SceneError, match=r"images\.bin is damaged"):
        radiance.read(tmp_path / "other")
    (model / "images.bin").write_bytes(whole)
    camera = struct.pack("<Q", 1) + struct.pack("<iiQQ", 7, 99, 32, 24)
    (model / "cameras.bin").write_bytes(camera)
    with pytest.raises(radiance.SceneError, match=r"camera model 99"):
        radiance.read(tmp_path / "other")


def test_quaternions_are_rotations():
    turn = drawn_scene.around(3)[2][:, :3]
    np.testing.assert_allclose(colmap.rotation(drawn_scene.quaternion(turn)), turn, atol=1e-12)


@pytest.mark.data
@pytest.mark.slow
def test_published_scenes_are_read(data):
    fern = radiance.read(f"{data}/multiview/llff_fern")
    assert (fern.train.count, fern.test.count, fern.space.forward) == (17, 3, True)
    lego = radiance.read(f"{data}/multiview/lego_200")
    assert (lego.train.count, lego.test.count) == (100, 200)
    np.testing.assert_allclose(lego.train.cameras.lenses[0, 0], 277.7778, rtol=1e-5)
