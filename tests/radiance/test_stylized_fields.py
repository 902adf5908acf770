"""A scene in the style of pictures: deferred gradients, colors, geometry, blends, runs, files."""

import dataclasses
import json
import signal

import drawn_scene
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxviz import radiance
from jaxviz.radiance import files, painting, recoloring
from jaxviz.radiance.deferring import deferred, picture, spread
from jaxviz.radiance.models import budget_of
from jaxviz.radiance.planning import Settings
from jaxviz.radiance.stylizing import JUDGED

SIZE, FOCAL = (20, 20), 24.0
LITTLE = {
    **{"steps": 60, "nodes": 20, "first_nodes": 12, "samples": 4096},
    **{"density_channels": 4, "color_channels": 4, "learning_rate": 0.05},
}
# Twenty pixels are few enough, and few steps have to be small ones.
FEW = {"steps": 18, "color_steps": 12, "downscale": 1, "learning_rate": 0.03, "last_rate": 0.003}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    drawn_scene.write_blender(folder / "s", drawn_scene.around(6), drawn_scene.around(2, seed=1), SIZE, FOCAL)
    scene = radiance.read(folder / "s")
    return radiance.fit(scene, Settings.of(scene, **LITTLE)).model


@pytest.fixture(scope="module")
def paintings(picture):
    return [picture(name, 48) for name in ("coffee", "immunohistochemistry")]


@pytest.fixture(scope="module")
def styled(model, vgg16, paintings, tmp_path_factory):
    path = tmp_path_factory.mktemp("styled") / "styled.npz"
    return radiance.stylize_into(path, model, vgg16, paintings[:1], record={"command": "a"}, **FEW), path


def test_pixels_are_spread_over_patches():
    assert sorted(spread(103, 10).reshape(-1).tolist()) == list(range(110))
    assert np.ptp(np.asarray(spread(103, 10)), axis=1).min() > 90


@pytest.mark.parametrize("patch", [37, 400])
def test_a_deferred_gradient_is_the_direct_one(model, patch):
    camera, (h, w) = model.cameras[:1], model.cameras.size
    weights = jax.random.normal(jax.random.key(0), (h, w, 3))

    def loss(view):
        # Of all pixels together: no patch has a loss of its own.
        return jnp.sum(jnp.sin(view * weights)) ** 2 + jnp.sum(jnp.diff(view, axis=0) ** 2), view.mean()

    render = painting.pixels(model, camera, budget_of(model, patch, 4))
    whole = painting.pixels(model, camera, budget_of(model, h * w, 4))
    work = painting.begun(model)

    def direct(paint):
        color, complete = whole(paint, jnp.arange(h * w))
        return loss(color.reshape(h, w, 3))[0], complete.all()

    (value, complete), expected = jax.jit(jax.value_and_grad(direct, has_aux=True))(work.paint)
    (found, mean), slope = jax.jit(lambda p: deferred(loss, render, p, (h, w), patch=patch))(work.paint)
    assert bool(complete)
    np.testing.assert_allclose(found, value, rtol=1e-5)
    assert 0 < float(mean) < 1
    for one, two in zip(jax.tree.leaves(slope), jax.tree.leaves(expected), strict=True):
        assert np.linalg.norm(one - two) <= 1e-5 * np.linalg.norm(two)


def test_its_memory_is_that_of_a_patch(model):
    work = painting.begun(model)

    def needed(size, patch):
        camera = radiance.resized(model.cameras[:1], (size, size))
        render = painting.pixels(model, camera, budget_of(model, patch))

        def loss(view):
            return jnp.sum(view**2), None

        program = jax.jit(lambda p: deferred(loss, render, p, (size, size), patch=patch))
        return program.lower(work.paint).compile().memory_analysis().temp_size_in_bytes

    small, large, whole = needed(32, 256), needed(128, 256), needed(128, 128 * 128)
    # The picture itself and its gradient are of its size, in three numbers a pixel; nothing else may be.
    assert large - small < 8 * (128**2 - 32**2) * 3 * 4
    assert large < whole / 8


def colors_seen(model, cameras=None):
    seen = list(radiance.see(model, model.cameras if cameras is None else cameras))
    return recoloring.colors_of(model, seen), seen


def test_a_styled_scene_has_the_styles_colors_and_its_own_shape(model, styled, paintings):
    made, _ = styled
    before, after = colors_seen(model)[1], colors_seen(made.model)[1]
    for one, two in zip(before, after, strict=True):
        np.testing.assert_allclose(one.depth, two.depth, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(one.opacity, two.opacity, atol=1e-5)
        # White stays behind it, as much as is seen of it.
        white = 1 - np.asarray(two.opacity)[..., None]
        assert white.max() > 0.5
        assert (two.color >= white - 1e-4).all()
    assert made.step == 30
    assert 0 < made.nearest[1] < 1
    assert np.isfinite([v for told in made.losses for v in told.values()]).all()
    pixels = paintings[0].reshape(-1, 3)
    found = colors_seen(made.model)[0]
    np.testing.assert_allclose(found.mean(0), pixels.mean(0), atol=0.05)
    np.testing.assert_allclose(found.std(0), pixels.std(0), atol=0.08)


def test_its_colors_are_the_same_from_all_directions(styled):
    made, _ = styled
    assert made.model.flat
    # Nothing but the mean over directions is left, so it cannot come back.
    assert float(jnp.abs(made.model.field.basis[:, 3:]).max()) == 0


def test_the_first_steps_fit_the_colors(styled):
    differences = [told["difference"] for told in styled[0].losses if "difference" in told]
    assert len(differences) == FEW["color_steps"]
    assert min(differences[-2:]) < differences[0]
    assert set(styled[0].losses[-1]) == {"nearest", "content", "tv"}


def test_then_the_style_comes_nearer(styled, model):
    # Over all views, before the colors are matched, which has no regard for features.
    each = [told["nearest"] for told in styled[0].losses if "nearest" in told]
    turns = np.reshape(each, (-1, model.cameras.count)).mean(1)
    assert (np.diff(turns) < 0).all()


def test_a_map_of_colors_is_exact(model, paintings):
    colors, seen = colors_seen(model)
    wanted = paintings[0].reshape(-1, 3)
    change = recoloring.matched(colors, wanted)
    moved = colors @ change[:, :3].T + change[:, 3]
    np.testing.assert_allclose(moved.mean(0), wanted.mean(0), atol=1e-3)
    np.testing.assert_allclose(np.cov(moved.T), np.cov(wanted.T), atol=2e-3)
    # The field's tint shows what the map makes of a view's picture.
    tinted = dataclasses.replace(model, tint=jnp.asarray(change))
    for one, two in zip(seen, radiance.see(tinted, model.cameras), strict=True):
        np.testing.assert_allclose(recoloring.recolored(model, one, change), two.color, atol=1e-4)
    twice = recoloring.after(change, change)
    np.testing.assert_allclose(
        colors @ twice[:, :3].T + twice[:, 3], moved @ change[:, :3].T + change[:, 3], rtol=1e-4, atol=1e-5
    )


def test_colors_only_changes_colors_alone(model, vgg16, paintings):
    made = radiance.stylize(model, vgg16, paintings[:1], colors="only")
    assert (made.step, made.model.flat) == (0, False)
    np.testing.assert_array_equal(made.model.field.color.planes, model.field.color.planes)
    found = colors_seen(made.model)[0]
    np.testing.assert_allclose(found.mean(0), paintings[0].reshape(-1, 3).mean(0), atol=0.05)


@pytest.mark.slow
def test_the_scenes_colors_can_be_kept(model, vgg16, paintings):
    made = radiance.stylize(model, vgg16, paintings[:1], colors="keep", **FEW)
    before, after = colors_seen(model)[0], colors_seen(made.model)[0]
    np.testing.assert_allclose(after.mean(0), before.mean(0), atol=0.03)
    np.testing.assert_allclose(after.std(0), before.std(0), atol=0.05)
    assert np.abs(np.asarray(made.model.field.color.planes - model.field.color.planes)).max() > 0.01


def test_styles_are_blended_by_weights_or_from_side_to_side(model):
    cameras = model.cameras
    even = recoloring.shares_of_views(cameras, np.array([0.25, 0.75]), "weights")
    np.testing.assert_allclose(even, np.tile([0.25, 0.75], (cameras.count, 1)))
    places = np.asarray(cameras.poses).copy()
    places[:, :, 3] = np.arange(cameras.count)[:, None] * [0.1, 1.0, 0.0]
    row = radiance.Cameras(places, cameras.lenses, cameras.size)
    found = recoloring.shares_of_views(row, np.array([1.0, 1.0, 2.0]) / 4, "views")
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(found[[0, -1]], [[1, 0, 0], [0, 0, 1]], atol=1e-6)
    assert (np.diff(found[:, 0]) <= 1e-6).all()
    assert (np.diff(found[:, 2]) >= -1e-6).all()
    with pytest.raises(ValueError, match="one style"):
        recoloring.shares_of_views(row, np.ones(1), "views")
    with pytest.raises(KeyError, match="no way to blend styles is named 'sides'"):
        recoloring.shares_of_views(row, np.ones(2) / 2, "sides")


def test_shares_decide_which_style_is_painted(model, vgg16, paintings):
    one, two = (
        radiance.stylize(model, vgg16, paintings, shares=shares, **FEW | {"steps": 2}).model
        for shares in ([1, 0], [0, 1])
    )
    means = [colors_seen(each)[0].mean(0) for each in (one, two)]
    wanted = [painting.reshape(-1, 3).mean(0) for painting in paintings]
    for k in (0, 1):
        assert np.abs(means[k] - wanted[k]).max() < np.abs(means[k] - wanted[1 - k]).max()


def test_a_run_that_was_stopped_goes_on_to_the_same_scene(model, vgg16, paintings, styled, tmp_path):
    def stop(at):
        if at.step == 16:
            signal.raise_signal(signal.SIGINT)

    path = tmp_path / "styled.npz"
    stopped = radiance.stylize_into(path, model, vgg16, paintings[:1], on_step=stop, **FEW)
    assert (stopped.interrupted, stopped.step) == (True, 16)
    # What was reached is a scene like any other.
    assert radiance.load(path).flat
    with pytest.raises(radiance.FieldError, match="other settings: steps is 18 there and 9 here"):
        radiance.stylize_into(path, model, vgg16, paintings[:1], resume=True, **FEW | {"steps": 9})
    with pytest.raises(radiance.FieldError, match="styles_sha256"):
        radiance.stylize_into(path, model, vgg16, paintings[1:], resume=True, **FEW)
    whole = radiance.stylize_into(path, model, vgg16, paintings[:1], resume=True, **FEW)
    assert len(whole.losses) == 14
    assert not radiance.kept_beside(path).exists()
    for one, two in zip(jax.tree.leaves(whole.model), jax.tree.leaves(styled[0].model), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_styled_field_is_a_file_of_a_version(model, styled, tmp_path):
    made, path = styled
    said = radiance.describe(path)
    assert said["styled"]["version"] == files.STYLED
    assert said["styled"]["preset"] == "default"
    assert said["record"] == {"command": "a"}
    again = radiance.load(path)
    camera = model.cameras[:1]
    for one, two in zip(radiance.see(made.model, camera), radiance.see(again, camera), strict=True):
        np.testing.assert_array_equal(one.color, two.color)
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(arrays["header"].tobytes()) | {"styled": {"version": 9}}
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(radiance.FieldError, match="styled field of version 9; this jaxviz reads version 1"):
        radiance.load(tmp_path / "other.npz")


def test_bad_input_is_told(model, vgg16, paintings):
    def refused(message, kind=ValueError, styles=paintings[:1], **given):
        with pytest.raises(kind, match=message):
            radiance.stylize(model, vgg16, styles, **given)

    refused("styles is empty", styles=[])
    refused(
        r"style 2 has 48×20 pixels, and a feature of relu3_3 sees 40×40",
        styles=[paintings[0], paintings[0][:20]],
    )
    refused("style 1 holds NaN", styles=[np.full((48, 48, 3), np.nan, np.float32)])
    refused("no preset of stylization is named 'art'; nearest: arf", KeyError, preset="art")
    refused("no way of colors is named 'mine'", KeyError, colors="mine")
    refused("no option of a stylization is named 'step'", KeyError, step=3)
    refused("no layer of vgg16 is named 'relu9_1'", KeyError, layers=("relu9_1",))
    refused("steps is 0", steps=0)
    refused("downscale is 0.5", downscale=0.5)
    refused("2 shares for 1 styles", shares=[1, 1])
    refused("content_weight is -1", content_weight=-1.0)


def test_the_papers_preset_counts_epochs():
    values = radiance.STYLIZING["arf"].values
    assert radiance.steps_of(values, 17) == (34, 170)
    assert (values["learning_rate"], values["last_rate"]) == (0.1, 0.01)
    assert JUDGED >= 1


def test_pictures_of_patches_are_the_picture(model):
    camera = model.cameras[:1]
    flat = painting.painted(model, painting.begun(model).paint)
    (seen,) = radiance.see(flat, camera)
    render = painting.pixels(model, camera, budget_of(model, 64, 8))
    found, complete = picture(render, painting.begun(model).paint, camera.size, 64)
    assert bool(jnp.asarray(complete).all())
    np.testing.assert_allclose(found, seen.color, atol=1e-5)
