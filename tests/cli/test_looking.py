import json
import os
import re
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxviz
from jaxviz import images
from jaxviz.drawing import sheets
from jaxviz.networks import NETWORKS
from jaxviz.networks.structure import structure


def record(path):
    return json.loads(path.read_text())


def check_common(found, command):
    assert found["settings"]["command"] == command
    assert {"network", "weights", "layer", "count", "out"} <= set(found["settings"])
    assert set(found["seconds"]) == {"compile", "run"}
    assert min(found["seconds"].values()) >= 0
    assert {"jaxviz", "jax", "numpy"} <= set(found["versions"])
    assert found["device"]


def test_help_lists_the_commands(command):
    outcome = command("--help")
    for name in ("filters", "activations", "networks"):
        assert name in outcome.stdout


def test_filters_of_the_first_layer_are_drawn_in_color(command, squeezenet, tmp_path):
    assert command("filters", "--json", "a.json") == (0, "", "")
    found = record(tmp_path / "a.json")
    check_common(found, "filters")
    assert found["settings"]["layer"] == "conv1"
    assert found["settings"]["count"] == 64
    assert found["shape"] == [64, 3, 3, 3]
    kernels = np.asarray(jaxviz.features.filters(squeezenet))
    caption = "squeezenet1_1, conv1: all 64 filters of 3x3; grey is 0"
    expected = sheets.color_filters(kernels, caption=caption)
    drawn = images.read(tmp_path / "filters.png")
    np.testing.assert_allclose(drawn, expected, atol=1e-6)
    assert drawn.shape[1] <= 2000
    assert np.ptp(drawn, axis=-1).max() > 0.5
    command("filters", "--scale", "common", "--out", "b.png")
    assert (images.read(tmp_path / "b.png") != drawn).any()


def test_filters_of_higher_layers_are_drawn_in_blocks(command, vgg16, tmp_path):
    options = ("--network", "vgg16", "--layer", "conv2_1", "--count", 5, "--json", "-")
    outcome = command("filters", *options)
    found = json.loads(outcome.stdout)
    assert (outcome.code, outcome.stderr, found["settings"]["count"]) == (0, "", 5)
    assert found["shape"] == [128, 3, 3, 64]
    caption = (
        "vgg16, conv2_1: the first 5 of 128 filters of 3x3, each over the first 16 of 64 channels; grey is 0"
    )
    kernels = np.asarray(jaxviz.features.filters(vgg16, "conv2_1"))
    expected = sheets.kernel_blocks(kernels, count=5, caption=caption)
    np.testing.assert_allclose(images.read(tmp_path / "filters.png"), expected, atol=1e-6)


@pytest.mark.parametrize("layer", ["conv1", "fire3/expand3x3"])
def test_raw_filters_are_all_of_them(command, squeezenet, tmp_path, layer):
    for name in ("a.npy", "a.npz"):
        assert command("filters", "--layer", layer, "--count", 2, "--out", name).code == 0
    expected = jaxviz.features.filters(squeezenet, layer)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), expected)
    with np.load(tmp_path / "a.npz") as file:
        np.testing.assert_array_equal(file["value"], expected)


def test_activations_are_drawn_strongest_first(command, photo, squeezenet, tmp_path):
    arguments = ("activations", photo, "--layer", "fire4", "--size", 64)
    assert command(*arguments, "--count", 9, "--json", "a.json") == (0, "", "")
    found = record(tmp_path / "a.json")
    check_common(found, "activations")
    expected = jaxviz.features.activations(squeezenet, images.read(photo), "fire4")
    maps, order = np.asarray(expected.maps), np.asarray(expected.order)
    assert found["shape"] == list(maps.shape)
    assert [c["index"] for c in found["channels"]] == order[:9].tolist()
    for channel in found["channels"]:
        assert channel["maximum"] == pytest.approx(maps[..., channel["index"]].max(), rel=1e-5)
        assert channel["strength"] == pytest.approx(maps[..., channel["index"]].mean(), rel=1e-4)
    assert images.read(tmp_path / "activations.png").shape[1] <= 2000
    command(*arguments, "--count", 9, "--out", "a.npy")
    np.testing.assert_allclose(np.load(tmp_path / "a.npy"), maps, rtol=1e-5, atol=1e-4)
    outcome = command(*arguments, "--count", 10_000, "--out", "b.png", "--json", "-")
    assert json.loads(outcome.stdout)["settings"]["count"] == 256


def test_activations_before_a_relu_are_drawn_with_both_signs(command, photo, tmp_path):
    assert command("activations", photo, "--layer", "conv1", "--size", 64, "--count", 4).code == 0
    drawn = images.read(tmp_path / "activations.png")
    red, _, blue = np.moveaxis(drawn, -1, 0)
    assert (red - blue).max() > 0.3
    assert (blue - red).max() > 0.3


def test_activations_that_are_not_finite_are_refused(command, photo, tmp_path, monkeypatch):
    found = jaxviz.features.Activations(jnp.full((2, 2, 3), np.nan), jnp.zeros(3), jnp.arange(3))
    monkeypatch.setattr(jaxviz.features, "activations", lambda *arguments: found)
    outcome = command("activations", photo, "--layer", "conv1")
    assert outcome == (1, "", "jaxviz: the activations are NaN or infinite; take other weights\n")
    assert not (tmp_path / "activations.png").exists()


def test_networks_are_listed(command):
    outcome = command("networks")
    assert (outcome.code, outcome.stderr) == (0, "")
    for name in NETWORKS:
        line = rf"^    {name} +(shipped|jaxviz weights fetch {name})$"
        assert len(re.findall(line, outcome.stdout, re.MULTILINE)) == 1
    papers = [line for line in outcome.stdout.splitlines() if not line.startswith(" ")]
    assert len(papers) == len({entry.paper for entry in NETWORKS.values()})
    assert "total" not in outcome.stdout


def test_taps_of_a_network_are_listed_in_columns(command):
    paper, name, header, *rows = command("networks", "resnet18").stdout.splitlines()
    assert name == "    resnet18  jaxviz weights fetch resnet18"
    assert paper.startswith("He, Zhang, Ren, Sun")
    assert header.split() == ["tap", "shape", "stride,", "px", "field,", "px", "centre,", "px", "parameters"]
    assert len({len(row) for row in (header, *rows)}) == 1
    assert rows[0].split() == ["conv1", "112×112×64", "2", "7", "0.5", "9,408"]
    cells = {row.split()[0]: row.split()[1:] for row in rows}
    assert cells["conv5_2"] == ["7×7×512", "32", "435", "0.5", "-"]
    assert cells["logits"] == ["1000", "-", "224", "112", "513,000"]
    assert rows[-1].split() == ["total", "11,689,512"]


def test_json_has_the_same(command):
    found = json.loads(command("networks", "vgg16", "--json", "-").stdout)["networks"]["vgg16"]
    built = structure(NETWORKS["vgg16"].architecture)
    assert list(found["taps"]) == list(built.parts)
    assert found["taps"]["conv5_3"] == {
        "shape": [14, 14, 512],
        "stride": [16, 16],
        "field": [196, 196],
        "center": [8.0, 8.0],
        "parameters": 512 * 512 * 9 + 512,
    }
    assert found["parameters"] == 14_714_688


@pytest.fixture
def files(tmp_path, photo):
    """A folder with a cat, one pixel, and a bad array; tests run in it."""
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    np.save(tmp_path / "nan.npy", np.full((8, 8, 3), np.nan))
    (tmp_path / "text.weights").write_bytes(b"no weights")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("filters --layer conv99", 2, ("no convolution of squeezenet1_1 is named 'conv99'", "conv1")),
        ("filters --layer relu1", 2, ("layer 'relu1' of squeezenet1_1 is no convolution", "conv1")),
        ("filters --layer logits", 2, ("layer 'logits' of squeezenet1_1 is no convolution",)),
        ("filters --network resnet", 2, ("no network is named 'resnet'", "resnet18")),
        ("filters --network resnet18", 1, ("resnet18: expected weights=FILE",)),
        ("filters --weights none", 1, ("none",)),
        ("filters --weights text.weights", 1, ("text.weights",)),
        ("filters --scale both", 2, ("no scale is named 'both'", "each, common")),
        ("filters --count 0", 2, ("--count", "1")),
        ("filters --out a.txt", 2, ("a.txt cannot be written as .txt; expected .png",)),
        ("filters --out none/a.png", 1, ("none/a.png cannot be written",)),
        ("filters --json none/a.json", 1, ("none/a.json cannot be written",)),
        ("activations cat.png", 2, ("--layer", "--help")),
        ("activations --layer fire2", 2, ("Missing argument",)),
        ("activations none.png --layer fire2", 1, ("none.png does not exist", "check the path")),
        ("activations nan.npy --layer fire2", 1, ("nan.npy holds NaN", "replace them")),
        ("activations cat.png --layer fire99", 2, ("no layer of squeezenet1_1 is named 'fire99'", "fire9")),
        ("activations cat.png --layer logits", 2, ("'logits' of squeezenet1_1 has no positions",)),
        ("activations cat.png --layer fire9 --size 9", 2, ("'fire9'", "9×9; take a larger one")),
        ("activations cat.png --layer fire2 --size 0", 2, ("--size", "1")),
        ("activations cat.png --layer fire2 --count 0", 2, ("--count", "1")),
        ("activations cat.png --layer fire2 --max-pixels 9", 1, ("over the limit of 9", "--max-pixels")),
        ("activations cat.png --layer fire2 --out a.txt", 2, ("a.txt cannot be written as .txt",)),
        ("networks vgg", 2, ("no network is named 'vgg'", "vgg16")),
        ("networks vgg16 --json none/a.json", 1, ("none/a.json cannot be written",)),
    ],
)
def test_what_is_wrong_is_told_in_one_line(command, files, line, code, words):
    before = sorted(os.listdir(files))
    outcome = command(*line.split())
    assert (outcome.code, outcome.stdout) == (code, "")
    assert re.fullmatch(r"jaxviz: .*\n", outcome.stderr)
    for word in words:
        assert word in outcome.stderr
    assert sorted(os.listdir(files)) == before


def test_a_single_pixel_is_a_picture(command, files):
    enlarged = command("activations", "dot.png", "--layer", "fire2", "--size", 32)
    assert enlarged == (0, "", "dot.png is 1×1 pixels, enlarged to 32×32\n")
    outcome = command("activations", "dot.png", "--network", "vgg16", "--layer", "relu1_2", "--size", 1)
    assert outcome == (0, "", "")
    assert images.read(files / "activations.png").size


def test_filters_are_drawn_without_matplotlib(tmp_path):
    program = "import sys; from jaxviz import cli; print(cli.main(sys.argv[1:]), 'matplotlib' in sys.modules)"
    process = subprocess.run(
        [sys.executable, "-c", program, "filters"],
        cwd=tmp_path,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert process.stdout == "0 False\n"
    assert (tmp_path / "filters.png").exists()
