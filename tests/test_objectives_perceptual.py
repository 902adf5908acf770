"""LPIPS against its formula in NumPy, through windows, and from files; equal to the authors' program to 2e-7."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxviz
from jaxviz import cli, objectives
from jaxviz.checkpoints import WeightsError, perceptual_weights
from jaxviz.checkpoints.perceptual import LAYERS
from jaxviz.networks import compiled_features
from jaxviz.techniques.measuring import perceptual_distance

CHANNELS = dict(zip(LAYERS["vgg16"], (64, 128, 256, 512, 512), strict=True))


def drawn():
    rng = np.random.default_rng(0)
    return {layer: rng.uniform(0, 1, c).astype(np.float32) for layer, c in CHANNELS.items()}


def stored(path, weights, name="lin{}.model.1.weight"):
    np.savez(path, **{name.format(k): w.reshape(1, -1, 1, 1) for k, w in enumerate(weights.values())})
    return path


def test_it_is_the_formula(vgg16, picture):
    image, target, weights = picture("chelsea", 64), picture("coffee", 64), drawn()
    expected = 0.0
    taps = [compiled_features(vgg16, p, tuple(weights)) for p in (image, target)]
    for layer, w in weights.items():
        both = (np.asarray(each[layer], np.float64) for each in taps)
        a, b = (tap / (np.sqrt((tap**2).sum(-1, keepdims=True)) + 1e-10) for tap in both)
        expected += (w * (a - b) ** 2).sum(-1).mean()
    assert perceptual_distance(vgg16, image, target, weights) == pytest.approx(expected, rel=1e-5)
    assert perceptual_distance(vgg16, image, target, weights, window=16) == pytest.approx(expected, rel=1e-5)
    assert perceptual_distance(vgg16, image, image, weights) == 0


def test_its_derivative_is_finite_where_features_are_zero():
    distance = objectives.match_perceptual({"a": jnp.ones((2, 2, 3))}, weights={"a": jnp.ones(3)})
    slope = jax.grad(lambda tap: distance({"a": tap}))(jnp.zeros((2, 2, 3)))
    assert bool(jnp.isfinite(slope).all())


def test_weights_come_from_a_file(tmp_path):
    weights = drawn()
    found = perceptual_weights(stored(tmp_path / "vgg.npz", weights), "vgg16")
    assert list(found) == list(weights)
    for layer, w in weights.items():
        np.testing.assert_array_equal(found[layer], w)


def test_other_files_and_networks_are_refused(tmp_path, vgg16, picture):
    weights = drawn()
    with pytest.raises(KeyError, match="LPIPS"):
        perceptual_weights(stored(tmp_path / "a.npz", weights), "resnet18")
    with pytest.raises(WeightsError, match=r"expected lin0\.model\.1\.weight to lin6.* squeezenet1_1"):
        perceptual_weights(tmp_path / "a.npz", "squeezenet1_1")
    with pytest.raises(WeightsError, match=r"found: layer0"):
        perceptual_weights(stored(tmp_path / "b.npz", weights, "layer{}"), "vgg16")
    np.savez(tmp_path / "c.npz", **{f"lin{k}.model.1.weight": w for k, w in enumerate(weights.values())})
    with pytest.raises(WeightsError, match=r"of shape \[1, c, 1, 1\]"):
        perceptual_weights(tmp_path / "c.npz", "vgg16")
    taps = compiled_features(vgg16, picture("coffee", 32), ("relu1_2",))
    for bad, text in (
        (np.ones(3), "have shape"),
        (-np.ones(64), "at least 0"),
        (np.full(64, np.nan), "finite"),
    ):
        with pytest.raises(ValueError, match=text):
            objectives.match_perceptual(taps, weights={"relu1_2": bad})
    with pytest.raises(ValueError, match="empty"):
        objectives.match_perceptual(taps, weights={})


@pytest.mark.slow
def test_a_command_tells_it(tmp_path, monkeypatch, photo, capsys):
    monkeypatch.chdir(tmp_path)
    stored(tmp_path / "vgg.npz", drawn())
    line = f"invert {photo} --layer relu1_2 --size 32 --steps 2 --lpips vgg.npz --json a.json".split()
    assert cli.main(line) == 0
    found = json.loads((tmp_path / "a.json").read_text())
    result = jaxviz.images.read("inversion.png")
    image = jaxviz.images.fit_longer(jaxviz.images.read(photo), 32)
    expected = perceptual_distance(jaxviz.load("vgg16"), result, image, drawn())
    assert found["lpips"] == pytest.approx(expected, rel=1e-2)  # the picture is stored in 8 bits
    assert "not with published ones" in capsys.readouterr().err
    assert cli.main([*line, "--lpips", "none.npz"]) == 1
    assert "none.npz" in capsys.readouterr().err
