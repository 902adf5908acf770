"""The commands that explain: saliency's targets and details, evaluate, patches, embed."""

import dataclasses
import json

import jax
import numpy as np
import pyarrow.parquet
import pytest
from stylizers import any_style, coder_of

from jaxviz import dream, images, jobs, saliency, stylization
from jaxviz.techniques.classes import neuron


@pytest.fixture
def folder(tmp_path, picture):
    """Six pictures of 64×64."""
    (tmp_path / "many").mkdir()
    for name in ("chelsea", "coffee", "astronaut", "rocket", "hubble_deep_field", "immunohistochemistry"):
        images.write(tmp_path / "many" / f"{name}.png", picture(name, 64))
    return tmp_path / "many"


def record(outcome):
    assert outcome.code == 0, outcome.stderr
    return json.loads(outcome.stdout)


def test_a_neuron_is_explained(command, photo, small, tmp_path):
    line = ("saliency", photo, "--size", 64, "--method", "guided", "--layer", "conv2", "--channel", 5)
    found = record(command(*line, "--at", "3,2", "--out", "a.npy", "--json", "-"))
    expected = saliency.guided(small, images.read(photo), neuron(small, (64, 64), "conv2", 5, (3, 2)))
    np.testing.assert_allclose(np.load(tmp_path / "a.npy"), expected, atol=1e-6)
    assert {name: found["settings"][name] for name in ("layer", "channel", "at")} == {
        "layer": "conv2",
        "channel": 5,
        "at": "3,2",
    }


def test_a_neuron_needs_no_classifier(command, photo, folder, tmp_path):
    line = ("--network", "vgg16", "--size", 48, "--method", "guided", "--layer", "relu1_2", "--channel", 5)
    found = record(command("saliency", photo, *line, "--out", "a.png", "--json", "-"))
    assert "scores" not in found
    assert command("saliency", folder, *line, "--out", "run").code == 0
    rows = pyarrow.parquet.read_table(tmp_path / "run" / "results-00000.parquet").to_pylist()
    assert set(rows[0]) == {"index", "name", "label", "failure"}
    assert command("saliency", photo, *line, "--top", 2).code == 2


def test_the_best_classes_are_explained_at_once(command, photo, small, tmp_path):
    line = ("saliency", photo, "--size", 64, "--top", 3)
    found = record(command(*line, "--out", "a.npy", "--json", "-"))
    best = [c["index"] for c in found["scores"][:3]]
    assert found["settings"]["label"] == best
    maps = np.load(tmp_path / "a.npy")
    for one, target in zip(maps, best, strict=True):
        expected = np.asarray(saliency.gradient(small, images.read(photo), target))
        np.testing.assert_allclose(one, expected, atol=1e-5 * expected.max())
    assert command(*line, "--out", "a.png").code == 0
    assert images.read(tmp_path / "a.png").shape[1] > 3 * 112


@pytest.mark.slow
def test_details_are_told_and_drawn(command, photo, tmp_path):
    line = ("saliency", photo, "--size", 64, "--json", "-", "--method")
    found = record(command(*line, "integrated-gradients", "--steps", 4))
    assert set(found["details"]) == {"score", "baseline_score", "gap"}
    found = record(command(*line, "occlusion", "--window", 32, "--stride", 16))
    assert np.shape(found["details"]["probabilities"]) == (3, 3)
    assert images.read(tmp_path / "saliency-probabilities.png").shape == (64, 64, 3)
    found = record(command(*line, "smoothgrad", "--samples", 2, "--seed", 5, "--sigma", 0.1))
    assert found["settings"]["key"] == 5


@pytest.mark.slow
def test_expected_gradients_compare_with_pictures(command, photo, folder, squeezenet, tmp_path):
    line = ("saliency", photo, "--size", 48, "--method", "expected-gradients", "--samples", 3)
    found = record(command(*line, "--references", folder, "--out", "a.npy", "--json", "-"))
    assert found["settings"]["references"] == str(folder)
    paths = sorted(folder.iterdir())
    references = np.stack([images.fit_square(images.read(path), 48) for path in paths])
    expected = saliency.expected_gradients(
        squeezenet,
        images.fit_square(images.read(photo), 48),
        found["settings"]["label"],
        references=references,
        samples=3,
    )
    np.testing.assert_allclose(np.load(tmp_path / "a.npy"), expected, atol=1e-5)
    run = ("saliency", folder, *line[2:], "--references", folder, "--out", "run")
    assert command(*run).code == 0
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert len(manifest["settings"]["options"]["references"]) == 64
    outcome = command(*line, "--references", "nowhere")
    assert (outcome.code, outcome.stderr.count("\n")) == (1, 1)
    assert "nowhere does not exist" in outcome.stderr


def test_many_pictures_have_details_and_targets_in_their_rows(command, folder, small, tmp_path):
    line = ("saliency", folder, "--size", 64, "--save", "both")
    method = ("--method", "integrated-gradients", "--steps", 2)
    assert command(*line, *method, "--top", 2, "--out", "run").code == 0
    rows = pyarrow.parquet.read_table(tmp_path / "run" / "results-00000.parquet").to_pylist()
    assert all(len(row["target"]) == len(row["gap"]) == 2 for row in rows)
    assert all(row["target"] == row["indices"][:2] for row in rows)
    assert np.load(tmp_path / "run" / "arrays-00000.npz")["map"].shape == (6, 2, 64, 64, 3)
    assert len(list((tmp_path / "run" / "pictures").iterdir())) == 12
    unit = ("--method", "guided", "--layer", "conv2", "--channel", 5)
    assert command(*line, *unit, "--out", "neuron").code == 0
    manifest = json.loads((tmp_path / "neuron" / "manifest.json").read_text())
    assert manifest["settings"]["neuron"] == {"layer": "conv2", "channel": 5, "at": None}


@pytest.mark.parametrize(
    "by", ["insertion", "deletion", pytest.param("sanity", marks=pytest.mark.slow), "pointing"]
)
def test_evaluate(by, command, photo, small, tmp_path):
    line = ("evaluate", photo, "--size", 64, "--by", by, "--json", "-")
    if by == "pointing":
        mask = np.zeros((64, 64, 3), np.float32)
        mask[10:50, 10:50] = 1
        images.write(tmp_path / "mask.png", mask)
        line += ("--mask", "mask.png")
    found = record(command(*line, *(("--points", 4) if by == "deletion" else ())))
    expected = {
        "insertion": {"fractions", "scores", "area"},
        "deletion": {"fractions", "scores", "area"},
        "sanity": {"layers", "similarities"},
        "pointing": {"hit", "share", "area"},
    }
    assert set(found[by]) == expected[by]
    assert np.ptp(images.read(tmp_path / "evaluation.png")) > 0
    if by == "deletion":
        assert command(*line, "--points", 4, "--out", "a.npy").code == 0
        np.testing.assert_allclose(np.load(tmp_path / "a.npy"), found[by]["scores"], rtol=1e-5)


def test_patches_of_a_folder(command, folder, small, tmp_path):
    (folder / "broken.png").write_text("no picture")
    line = ("patches", folder, "--layer", "conv2", "--channels", "3,5-6", "--count", 4, "--size", 64)
    outcome = command(*line, "--out", "run", "--json", "p.json")
    assert outcome.code == 3
    assert "broken.png" in outcome.stderr
    told = json.loads((tmp_path / "p.json").read_text())
    assert [row["channel"] for row in told["channels"]] == [3, 5, 6]
    for row in told["channels"]:
        strengths = [patch["strength"] for patch in row["patches"]]
        assert strengths == sorted(strengths, reverse=True)
        assert len(strengths) == 4
    arrays = np.load(tmp_path / "run" / "patches.npz")
    assert arrays["pictures"].shape == arrays["reliefs"].shape
    assert arrays["pictures"].shape[:2] == (3, 4)
    assert np.ptp(images.read(tmp_path / "run" / "patches.png")) > 0
    assert command(*line, "--out", "run").code == 3  # a second run makes nothing twice, and draws again


@pytest.mark.parametrize("to", ["neighbors", "pca", "tsne"])
def test_embed_a_folder(to, command, folder, small, tmp_path):
    line = ("embed", folder, "--to", to, "--size", 64, "--out", "run", "--perplexity", 2, "--side", 3)
    found = record(command(*line, "--json", "-"))
    assert found["settings"]["layer"] == "relu2"
    assert np.ptp(images.read(tmp_path / "run" / f"{to}.png")) > 0
    arrays = np.load(tmp_path / "run" / f"{to}.npz")
    assert arrays["index"].tolist() == list(range(6))
    if to == "neighbors":
        assert arrays["neighbors"][:, 0].tolist() == list(range(6))
        assert found["neighbors"][0]["neighbors"][0] == found["neighbors"][0]["name"]
    else:
        assert arrays["places"].shape == (6, 2)


def test_embed_by_the_codes_of_styles(command, folder, tmp_path, vgg16):
    model = dataclasses.replace(any_style(vgg16), projector=coder_of(vgg16))
    stylization.save(tmp_path / "styles.safetensors", model)
    stylization.save(tmp_path / "plain.safetensors", any_style(vgg16))
    line = ("embed", folder, "--size", 32, "--out", "run")
    found = record(command(*line, "--features", "styles.safetensors", "--json", "-"))
    assert found["model"]["projector"]["attributes"]["size"] == 4
    points, index = jobs.read_features(tmp_path / "run", "style")
    assert (points.shape, index.tolist()) == ((6, 8), list(range(6)))
    kept = stylization.load(tmp_path / "styles.safetensors").projector
    pixels = images.fit_square(images.read(sorted(folder.iterdir())[2]), 32)
    np.testing.assert_allclose(points[2], jax.jit(type(kept).code)(kept, pixels), atol=1e-5)
    unlike = 1 - points @ points.T
    arrays = np.load(tmp_path / "run" / "neighbors.npz")
    np.testing.assert_allclose(arrays["distances"], np.sort(unlike, 1), atol=1e-5)
    outcome = command(*line, "--features", "plain.safetensors")
    assert outcome.code == 2
    assert "plain has no projector of styles" in outcome.stderr
    outcome = command(*line, "--features", "styles.safetensors", "--layer", "fire4")
    assert "--features and --layer both say" in outcome.stderr


def test_one_picture_is_a_data_set_too(command, photo, small, tmp_path):
    line = ("--layer", "conv2", "--channels", 3, "--size", 64)
    assert command("patches", photo, *line, "--out", "a").code == 0
    outcome = command("embed", photo, "--to", "tsne", "--size", 64, "--out", "b")
    assert outcome.code == 2
    assert "there are 1 points; expected at least 3" in outcome.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "saliency cat.png --method grad-cam --layer fire9 --channel 3",
            ("--channel explains a neuron", "guided"),
        ),
        ("saliency cat.png --channel 3", ("--channel needs the --layer",)),
        ("saliency cat.png --at 3,2", ("--at is a place of a neuron",)),
        ("saliency cat.png --layer fire4 --channel 3 --at 3", ("--at is '3'", "such as 6,7")),
        ("saliency cat.png --layer fire4 --channel 999 --size 64", ("no channel 999; it has 256",)),
        ("saliency cat.png --layer fire4 --channel 3 --at 99,0 --size 64", ("no position 99,0",)),
        ("saliency cat.png --layer logits --channel 3 --at 0,0 --size 64", ("has no positions",)),
        ("saliency cat.png --layer fire44 --channel 3 --size 64", ("'fire44'", "fire4")),
        ("saliency cat.png --top 2 --label 3", ("top is for the best classes",)),
        ("saliency cat.png --top 1001 --size 64", ("top is 1001",)),
        ("saliency cat.png --method occlusion --window 4 --stride 5 --size 64", ("stride is 5",)),
        ("saliency cat.png --method occlusion --baseline gray", ("'gray'", "grey")),
        ("saliency cat.png --samples 3", ("gradient takes no samples", "smoothgrad")),
        ("evaluate cat.png --by insert", ("'insert'", "insertion")),
        ("evaluate cat.png --by pointing", ("--mask is for --by pointing, which needs it",)),
        ("patches cat.png --layer logits --size 64", ("has no positions",)),
        ("patches cat.png --layer fire3 --channels a-b", ("--channels is 'a-b'",)),
        ("patches cat.png --layer fire3 --channels 200 --size 64", ("no channel 200; it has 128",)),
        ("patches nothing --layer fire3", ("nothing does not exist",)),
        ("embed cat.png --to map", ("'map'", "pca")),
        ("embed cat.png --metric l3", ("'l3'", "l2")),
    ],
)
def test_bad_input_gives_one_line(line, words, command, photo):
    outcome = command(*line.split())
    assert outcome.code in (1, 2)
    assert outcome.stderr.count("\n") == 1, outcome.stderr
    for word in words:
        assert word in outcome.stderr


def test_visualize_channels_and_classes(command, small, tmp_path):
    line = ("visualize", "--layer", "relu1_2", "--channels", "3,9", "--size", 24, "--steps", 2)
    found = record(command(*line, "--out", "a.npy", "--json", "-"))
    assert found["targets"] == ["relu1_2 3", "relu1_2 9"]
    assert np.shape(found["losses"]) == (2, 2)
    assert np.load(tmp_path / "a.npy").shape == (2, 24, 24, 3)
    assert command(*line).code == 0
    assert images.read(tmp_path / "visualization.png").shape[1] > 2 * 112
    classes = ("visualize", "--network", "squeezenet1_1", "--label", "goldfish", "--method", "class-model")
    found = record(command(*classes, "--size", 48, "--steps", 2, "--json", "-", "--out", "b.png"))
    assert found["targets"] == ["goldfish (1)"]
    assert images.read(tmp_path / "b.png").shape == (48, 48, 3)


@pytest.mark.slow
def test_visualize_a_layer_directions_and_variants(command, tmp_path):
    line = ("visualize", "--layer", "relu1_2", "--size", 24, "--steps", 2, "--json", "-")
    assert record(command(*line, "--out", "layer.png"))["targets"] == ["relu1_2"]
    np.save(tmp_path / "two.npy", np.eye(64)[:2])
    found = record(command(*line, "--direction", "two.npy", "--out", "towards.npy"))
    assert found["targets"] == ["relu1_2, direction 1", "relu1_2, direction 2"]
    for path, code, word in (
        ("none.npy", 1, "does not exist"),
        ("towards.npy", 2, "expected numbers, [n, 64]"),
    ):
        outcome = command(*line, "--direction", path)
        assert outcome.code == code
        assert word in outcome.stderr
    channels = record(command(*line, "--channels", "0,1", "--out", "channels.npy"))
    np.testing.assert_allclose(found["losses"], channels["losses"], rtol=1e-3)
    variants = (*line, "--channels", "3,9", "--method", "diverse", "--count", 3)
    assert record(command(*variants, "--out", "variants.npy"))["settings"]["count"] == 3
    assert np.load(tmp_path / "variants.npy").shape == (2, 3, 24, 24, 3)
    assert command(*variants[:-4], "--method", "diverse", "--count", 2, "--out", "variants.png").code == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("visualize", ("give --layer, and --channels or --direction of it, or --label",)),
        ("visualize --label 3 --layer relu1_1", ("or --label",)),
        ("visualize --channels 3", ("give --layer",)),
        ("visualize --label 3 --at 1,1", ("give --layer too",)),
        ("visualize --layer relu1_1 --at 1,1", ("give its --channels too",)),
        ("visualize --layer relu1_1 --channels 3 --direction a.npy", ("not both",)),
        ("visualize --layer relu1_1 --channels 3 --diversity 1", ("diversity", "it belongs to diverse")),
        ("visualize --label 3", ("has no classifier", "squeezenet1_1")),
        ("visualize --layer relu1_1 --channels 64", ("no channel 64; it has 64",)),
        ("visualize --layer relu1_1 --channels 3 --at 999,0", ("no position 999,0",)),
        ("visualize --layer relu9 --channels 3", ("'relu9'",)),
        (
            "visualize --layer relu1_1 --channels 3 --method class-model --still",
            ("class-model takes no still",),
        ),
    ],
)
def test_bad_targets_of_visualize_give_one_line(line, words, command):
    outcome = command(*line.split())
    assert outcome.code == 2
    assert outcome.stderr.count("\n") == 1, outcome.stderr
    for word in words:
        assert word in outcome.stderr


@pytest.mark.slow
def test_dreams_of_a_folder(command, folder, tmp_path, vgg16):
    line = ("dream", folder, "--layer", "relu2_2", "--octaves", 1, "--steps", 1, "--size", 64, "--ratio", 2)
    assert command(*line, "--save", "both", "--out", "run").code == 0
    arrays = np.load(tmp_path / "run" / "arrays-00000.npz")
    pixels = images.read(folder / "astronaut.png")
    expected = dream.dream(vgg16, pixels, layers={"relu2_2": 1.0}, octaves=1, steps=1)
    np.testing.assert_allclose(arrays["dream"][0], expected, atol=1e-5)
    assert len(list((tmp_path / "run" / "pictures").iterdir())) == 6


def test_dream(command, photo, tmp_path):
    line = ("dream", photo, "--layer", "relu1_2", "--octaves", 2, "--steps", 2, "--size", 48)
    found = record(command(*line, "--json", "-", "--seed", 4))
    assert found["settings"]["layers"] == {"relu1_2": 1.0}
    assert found["settings"]["key"] == 4
    assert images.read(tmp_path / "dream.png").shape == (48, 48, 3)
    assert found["preset"]["name"] == "default"
    assert set(found["preset"]["overridden"]) == {"layers", "octaves", "steps"}
    once = (*line, "--octaves", 1)
    assert command(*once, "--guide", photo, "--out", "guided.npy").code == 0
    published = record(command(*once, "--preset", "google", "--json", "-"))
    assert (published["settings"]["network"], published["preset"]["fixes"]["jitter"]) == ("vgg16", 32)
    assert "preset 'google' is meant for googlenet" in published["notes"][0]
    outcome = command("dream", photo, "--layer", "relu9")
    assert (outcome.code, outcome.stderr.count("\n")) == (2, 1)
    assert "no layer of vgg16 is named 'relu9'" in outcome.stderr
