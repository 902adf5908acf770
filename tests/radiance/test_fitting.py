import dataclasses
import json
import signal

import drawn_scene
import jax
import numpy as np
import pytest
import virtual_devices

from jaxviz import radiance
from jaxviz.radiance import files
from jaxviz.radiance.planning import Settings, changes, nodes_at

SIZE, FOCAL = (20, 20), 24.0
LITTLE = {
    **{"steps": 60, "nodes": 20, "first_nodes": 12, "samples": 4096},
    **{"density_channels": 4, "color_channels": 4, "learning_rate": 0.05},
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    drawn_scene.write_blender(
        folder / "s", drawn_scene.around(12), drawn_scene.around(3, seed=1), SIZE, FOCAL
    )
    return radiance.read(folder / "s")


@pytest.fixture(scope="module")
def settings(scene):
    return Settings.of(scene, **LITTLE)


@pytest.fixture(scope="module")
def fitted(scene, settings, tmp_path_factory):
    path = tmp_path_factory.mktemp("fit") / "field.npz"
    told = []
    return radiance.fit_into(path, scene, settings, record={"command": "a"}, on_step=told.append), path, told


def test_a_scene_is_learned_from_its_pictures(fitted, scene):
    made, _, told = fitted
    rows = radiance.measured(made.model, scene.test)
    blank = -10 * np.log10(np.mean((1 - np.asarray(scene.test.colors)) ** 2))
    assert radiance.means(rows)["psnr"] > blank + 5
    assert told[-1].step == made.step == 60
    assert max(told[-1].resolution) > 12
    seen = list(radiance.see(made.model, scene.test.cameras))
    for k, one in enumerate(seen):
        _, depth = drawn_scene.drawn(np.asarray(scene.test.cameras.poses[k]), FOCAL, SIZE)
        there = np.isfinite(depth) & (one.opacity > 0.9)
        assert there.sum() > 20
        assert np.median(np.abs(one.depth - depth)[there]) < 0.3


def test_a_field_in_a_file_shows_the_same(fitted, scene):
    made, path, _ = fitted
    again = radiance.load(path)
    cameras = scene.test.cameras[:1]
    for one, two in zip(radiance.see(made.model, cameras), radiance.see(again, cameras), strict=True):
        np.testing.assert_array_equal(one.color, two.color)
        np.testing.assert_array_equal(one.depth, two.depth)
    said = radiance.describe(path)
    assert said["record"]["command"] == "a"
    assert said["record"]["steps"] == 60
    assert not radiance.kept_beside(path).exists()


def test_a_run_that_was_stopped_goes_on_to_the_same_field(fitted, scene, settings, tmp_path):
    def stop(at):
        if at.step == 40:
            signal.raise_signal(signal.SIGINT)

    path = tmp_path / "field.npz"
    stopped = radiance.fit_into(path, scene, settings, on_step=stop)
    assert (stopped.interrupted, stopped.step) == (True, 40)
    with pytest.raises(radiance.FieldError, match="other settings: steps is 60 there and 50 here"):
        radiance.fit_into(path, scene, dataclasses.replace(settings, steps=50), resume=True)
    whole = radiance.fit_into(path, scene, settings, resume=True)
    assert len(whole.losses) == 20
    for one, two in zip(jax.tree.leaves(whole.model), jax.tree.leaves(fitted[0].model), strict=True):
        np.testing.assert_array_equal(one, two)


def rewritten(path, out, **changed):
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(arrays["header"].tobytes()) | changed.pop("header", {})
    arrays |= {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)} | changed
    np.savez(out, **arrays)
    return out


def test_files_that_are_no_field_of_this_version_are_refused(fitted, tmp_path):
    path, out = fitted[1], tmp_path / "bad.npz"
    with pytest.raises(radiance.FieldError, match="version 2; this jaxviz reads version 1"):
        radiance.load(rewritten(path, out, header={files.KIND: 2}))
    with pytest.raises(radiance.FieldError, match=r"basis has shape \[2, 2\], expected \[12, 27\]"):
        radiance.load(rewritten(path, out, basis=np.zeros((2, 2), np.float32)))
    with pytest.raises(radiance.FieldError, match="unit holds NaN"):
        radiance.load(rewritten(path, out, unit=np.float32(np.nan)))
    out.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(radiance.FieldError, match="is damaged, or no field"):
        radiance.load(out)
    np.savez(out, a=np.zeros(2))
    with pytest.raises(radiance.FieldError, match="is damaged, or no field"):
        radiance.load(out)
    with pytest.raises(ValueError, match=r"expected \.npz"):
        radiance.save(tmp_path / "a.png", fitted[0].model)


def test_paths_lead_around_and_before_a_scene(fitted, tmp_path):
    made = fitted[0].model
    ring = radiance.path("circle", made.cameras, made.space, frames=8)
    places = ring.poses[:, :, 3] - np.asarray(made.space.box).mean(0)
    assert np.ptp(np.linalg.norm(places, axis=1)) < 1e-4
    # Every camera looks at the middle.
    ahead = np.einsum("nij,nj->ni", np.swapaxes(ring.poses[:, :, :3], 1, 2), -places)
    np.testing.assert_allclose(ahead[:, :2], 0, atol=1e-4)
    assert (ahead[:, 2] < 0).all()
    spiral = radiance.path("spiral", made.cameras, made.space, frames=5, size=(10, 30))
    assert (spiral.count, spiral.size) == (5, (10, 30))
    np.testing.assert_allclose(spiral.lenses[0], [36, 12, 15, 5], rtol=1e-5)
    said = {"frames": [{"transform_matrix": pose.tolist()} for pose in ring.poses]}
    (tmp_path / "way.json").write_text(json.dumps(said))
    np.testing.assert_allclose(
        radiance.path(tmp_path / "way.json", made.cameras, made.space).poses, ring.poses, atol=1e-6
    )
    (tmp_path / "way.json").write_text(
        json.dumps({"frames": [{"transform_matrix": np.zeros((4, 4)).tolist()}]})
    )
    with pytest.raises(radiance.SceneError, match="a pose is singular"):
        radiance.path(tmp_path / "way.json", made.cameras, made.space)
    with pytest.raises(KeyError, match="no path is named 'loop'"):
        radiance.path("loop", made.cameras, made.space)


def test_two_devices_fit_as_one(tmp_path):
    made = virtual_devices.run("fitted_on_devices.py", 2, tmp_path / "made.npz", tmp_path / "scene")
    np.testing.assert_allclose(made["two/losses"], made["one/losses"], rtol=1e-4)
    np.testing.assert_allclose(made["two/planes"], made["one/planes"], atol=2e-3)


def test_growth_and_settings():
    settings = Settings(steps=100, first_nodes=16, nodes=64)
    assert changes(settings) == {5: 16, 12: 32, 30: 64, 60: 64}
    assert [nodes_at(settings, step) for step in (0, 12, 13, 30, 31, 99)] == [16, 16, 32, 32, 64, 64]
    with pytest.raises(ValueError, match="nodes is 8; expected a whole number of at least 16"):
        Settings(first_nodes=16, nodes=8)


def test_measures_are_scikit_images():
    metrics = pytest.importorskip("skimage.metrics")
    random = np.random.default_rng(0)
    one = random.random((20, 24, 3), np.float32)
    two = np.clip(one + random.normal(0, 0.1, one.shape), 0, 1).astype(np.float32)
    expected = metrics.structural_similarity(
        one, two, channel_axis=2, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    np.testing.assert_allclose(radiance.ssim(one, two), expected, atol=2e-5)
    np.testing.assert_allclose(radiance.psnr(one, two), metrics.peak_signal_noise_ratio(one, two), rtol=1e-5)
    with pytest.raises(ValueError, match="at least 11 pixels"):
        radiance.ssim(one[:8], two[:8])


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(("name", "least", "more"), [("lego_200", 27, {}), ("llff_fern", 21, {})])
def test_published_scenes_are_fitted(name, least, more, data):
    scene = radiance.read(f"{data}/multiview/{name}")
    made = radiance.fit(scene, Settings.of(scene, **more))
    assert radiance.means(radiance.measured(made.model, radiance.spread(scene.test, 25)))["psnr"] >= least
