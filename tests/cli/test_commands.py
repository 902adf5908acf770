import json
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxviz
from jaxviz import images
from jaxviz.cli.synthesis.texture import height_width
from jaxviz.networks import compiled_features

LOW = ("--size", 32, "--steps", 3)


def record(path):
    return json.loads(path.read_text())


def check_common(found, command):
    assert found["settings"]["command"] == command
    assert {"network", "weights", "size"} <= set(found["settings"])
    assert set(found["seconds"]) == {"compile", "run"}
    assert min(found["seconds"].values()) >= 0
    assert {"jaxviz", "jax", "numpy"} <= set(found["versions"])
    assert found["device"]


def best_label(network, picture):
    scores = compiled_features(network, jnp.asarray(picture), ("logits",))["logits"]
    return network.labels[int(scores.argmax())]


def test_help_lists_the_commands(command):
    outcome = command("--help")
    assert outcome.code == 0
    for name in ("demo", "classify", "saliency", "attack", "invert", "texture", "style", "networks"):
        assert name in outcome.stdout


def test_classify_tells_five_classes(command, photo, tmp_path, squeezenet):
    outcome = command("classify", photo, "--size", 64, "--json", "a.json")
    assert (outcome.code, outcome.stderr) == (0, "")
    found = record(tmp_path / "a.json")
    check_common(found, "classify")
    assert found["labels"][0] == best_label(squeezenet, images.read(photo))
    assert [c["label"] for c in found["scores"]] == found["labels"]
    probabilities = [c["probability"] for c in found["scores"]]
    assert probabilities == sorted(probabilities, reverse=True)
    lines = outcome.stdout.splitlines()
    assert len(lines) == 5
    for line, each in zip(lines, found["scores"], strict=True):
        assert f"{each['label']} ({each['index']})" in line


def test_json_on_stdout_is_alone(command, photo):
    outcome = command("classify", photo, "--size", 64, "--json", "-")
    assert len(json.loads(outcome.stdout)["scores"]) == 5


@pytest.mark.parametrize("size", [64, 48])
def test_square_pictures_are_as_the_library_makes_them(command, photo, size, squeezenet, tmp_path):
    command("classify", photo, "--size", size, "--json", "a.json")
    square = images.fit_square(images.read(photo), size)
    assert record(tmp_path / "a.json")["labels"][0] == best_label(squeezenet, square)


def test_raw_saliency_is_the_librarys_result(command, photo, squeezenet, tmp_path):
    expected = jaxviz.saliency.gradient(squeezenet, images.read(photo), 285)
    for name in ("a.npy", "a.npz"):
        assert command("saliency", photo, "--size", 64, "--label", 285, "--out", name).code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), expected)
    with np.load(tmp_path / "a.npz") as file:
        np.testing.assert_array_equal(file["value"], expected)


def test_saliency_draws_a_map_and_an_overlay(command, photo, tmp_path):
    outcome = command("saliency", photo, "--size", 64, "--label", "Egyptian cat", "--json", "-")
    found = json.loads(outcome.stdout)
    check_common(found, "saliency")
    assert found["settings"]["label"] == 285
    assert re.fullmatch(r"class 285: Egyptian cat, score .*\n", outcome.stderr)
    command("saliency", photo, "--size", 64, "--label", 285, "--overlay", "--out", "over.jpg", "--quiet")
    plain, over = (images.read(tmp_path / name) for name in ("saliency.png", "over.jpg"))
    assert plain.shape == over.shape == (64, 64, 3)
    assert over.mean() > plain.mean()


def test_attack_reports_the_written_file(command, photo, squeezenet, tmp_path):
    outcome = command("attack", photo, "--size", 64, "--out", "a.png", "--json", "a.json")
    assert outcome.code == 0
    before, after = images.read(photo), images.read(tmp_path / "a.png")
    found = record(tmp_path / "a.json")
    check_common(found, "attack")
    assert found["labels"]["before"][0] == best_label(squeezenet, before)
    assert found["labels"]["after"][0] == best_label(squeezenet, after) != found["labels"]["before"][0]
    np.testing.assert_allclose(np.abs(after - before).max(), 8 / 255, atol=1e-6)
    assert found["distance"] == pytest.approx(8 / 255, abs=1e-6)
    assert found["notes"] == []
    assert outcome.stderr == ""
    assert f"after, as written\n  {found['scores']['after'][0]['probability']:6.1%}" in outcome.stdout
    difference = images.read(tmp_path / "a-difference.png")
    np.testing.assert_allclose(difference, np.clip(0.5 + 10 * (after - before), 0, 1), atol=0.5 / 255 + 1e-6)


def test_a_terminal_is_told_what_was_written(command, photo, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    attack = ("attack", photo, "--size", 64, "--out", "a.png")
    assert command(*attack).stderr == "wrote a.png, a-difference.png, a-row.png\n"
    assert command(*attack, "--quiet").stderr == ""


def test_raw_attack_is_the_librarys_result(command, photo, squeezenet, tmp_path):
    before = images.read(photo)
    assert command("attack", photo, "--size", 64, "--label", 285, "--out", "a.npy", "--quiet").code == 0
    after = np.load(tmp_path / "a.npy")
    np.testing.assert_array_equal(after, jaxviz.attacks.fgsm(squeezenet, before, 285))
    assert np.abs(after - before).max() <= 8 / 255 + 1e-6
    assert after.min() >= 0
    assert after.max() <= 1
    assert (tmp_path / "a-difference.png").exists()


def test_attack_reaches_for_a_class_by_name(command, photo, squeezenet, tmp_path):
    command("attack", photo, "--size", 64, "--target", "Tabby", "--out", "a.npy", "--json", "a.json")
    assert record(tmp_path / "a.json")["settings"]["target"] == 281
    expected = jaxviz.attacks.fgsm(squeezenet, images.read(photo), 0, target=281)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), expected)


def test_an_attack_in_another_norm_is_measured_in_it(command, photo, squeezenet, tmp_path):
    line = ("attack", photo, "--size", 64, "--method", "pgd", "--norm", "l2", "--steps", 2, "--out", "a.npy")
    assert command(*line, "--json", "a.json").code == 0
    before, after = images.read(photo), np.load(tmp_path / "a.npy")
    label = squeezenet.labels.index(best_label(squeezenet, before))
    np.testing.assert_array_equal(after, jaxviz.attacks.pgd(squeezenet, before, label, norm="l2", steps=2))
    found = record(tmp_path / "a.json")
    assert found["settings"]["epsilon"] == 3
    assert found["distance"] == pytest.approx(float(np.linalg.norm(after - before)), rel=1e-5)
    assert found["distance"] <= 3 * (1 + 1e-5)


def test_an_attack_without_a_ball_ends_where_the_class_is_seen(command, photo, squeezenet, tmp_path):
    line = ("attack", photo, "--size", 64, "--method", "fooling", "--target", "goldfish", "--out", "a.png")
    outcome = command(*line, "--json", "a.json")
    assert outcome.code == 0
    found = record(tmp_path / "a.json")
    assert found["labels"]["after"][0] == "goldfish"
    assert found["settings"]["epsilon"] is None
    assert 1 < found["queries"] < 200
    assert f"{found['queries']} evaluations" in outcome.stdout
    assert set(found["distances"]) == {"linf", "l2", "l1"}
    assert images.read(tmp_path / "a-row.png").shape[1] > 4 * 64


def test_attack_lost_by_rounding_is_noted(command, photo, tmp_path):
    outcome = command("attack", photo, "--size", 64, "--epsilon", "0.1/255", "--json", "a.json")
    found = record(tmp_path / "a.json")
    assert found["labels"]["after"] == found["labels"]["before"]
    assert found["distance"] == 0
    assert len(found["notes"]) == 1
    assert found["notes"][0].endswith("take a larger --epsilon")
    assert outcome.stderr == found["notes"][0] + "\n"


@pytest.mark.parametrize("out", ["a.jpg", "a.webp"])
def test_file_that_leaves_the_ball_is_noted(command, photo, tmp_path, out):
    outcome = command("attack", photo, "--size", 64, "--out", out, "--json", "a.json")
    found = record(tmp_path / "a.json")
    assert found["distance"] > 8 / 255
    assert any("more than ε" in note and "or .npy" in note for note in found["notes"])
    assert "more than ε" in outcome.stderr
    quiet = command("attack", photo, "--size", 64, "--out", out, "--quiet")
    assert quiet.stderr == ""


def test_invert_writes_picture_record_and_plot(command, photo, tmp_path):
    arguments = ("invert", photo, "--layer", "relu1_1", *LOW, "--out", "a.npy", "--seed", 3)
    outcome = command(*arguments, "--json", "a.json", "--plot", "loss.png")
    assert outcome == (0, "", "")
    found = record(tmp_path / "a.json")
    check_common(found, "invert")
    assert found["evaluations"] == len(found["losses"]) == 3
    assert 0 <= found["restarts"] <= found["rejections"] < 3
    assert found["settings"]["seed"] == 3
    assert images.read(tmp_path / "a.npy").shape == (32, 32, 3)
    assert images.read(tmp_path / "loss.png").shape == (384, 600, 3)
    command(*arguments, "--out", "b.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"))


def test_the_papers_preset_is_noted(command, photo):
    outcome = command("invert", photo, "--layer", "relu1_1", *LOW, "--preset", "paper", "--json", "-")
    assert outcome.stderr.startswith("preset 'paper': the paper inverted AlexNet;")
    assert outcome.stderr.endswith("this ran on vgg16\n")
    found = json.loads(outcome.stdout)
    assert found["notes"] == [outcome.stderr.strip()]
    assert found["preset"]["name"] == "paper"
    assert found["preset"]["fixes"]["alpha_weight"] == 8e-10
    assert found["preset"]["overridden"] == {"steps": 3}


def test_no_steps_give_the_start(command, photo, tmp_path):
    outcome = command(
        "style",
        photo,
        photo,
        "--size",
        32,
        "--steps",
        0,
        "--style-layer",
        "relu1_1",
        "--content-layer",
        "relu1_1",
        "--json",
        "-",
    )
    assert (outcome.code, outcome.stderr) == (0, "")
    assert json.loads(outcome.stdout)["losses"] == []
    shrunk = images.to_bytes(images.fit_longer(images.read(photo), 32))
    np.testing.assert_array_equal(images.to_bytes(images.read(tmp_path / "style.png")), shrunk)


def test_texture_has_the_size_asked_for(command, tmp_path, picture):
    images.write(tmp_path / "wide.png", images.resize(picture("brick", 64), 32, 64))
    options = ("--exemplar-size", 48, "--layer", "relu1_1", "--layer", "pool1=0.5", "--steps", 2)
    outcome = command("texture", "wide.png", "--size", "24x40", *options, "--json", "-")
    found = json.loads(outcome.stdout)
    check_common(found, "texture")
    assert found["settings"]["layer"] == ["relu1_1", "pool1=0.5"]
    assert images.read(tmp_path / "texture.png").shape[:2] == (24, 40)


def test_textures_are_mixed_and_can_be_tiled(command, photo, tmp_path, picture):
    images.write(tmp_path / "brick.png", picture("brick", 48))
    options = ("--size", "32x48", "--exemplar-size", 48, "--up-to", "pool1", "--steps", 2, "--json", "-")
    line = ("texture", photo, "brick.png", "--shares", "0.7,0.3", "--tileable", "--pooling", "average")
    outcome = command(*line, *options)
    assert (outcome.code, outcome.stderr) == (0, "")
    found = json.loads(outcome.stdout)
    assert found["settings"]["pictures"] == [str(photo), "brick.png"]
    assert found["settings"]["tileable"] is True
    assert found["preset"]["overridden"] == {"steps": 2, "pooling": "average"}
    assert images.read(tmp_path / "texture.png").shape == (32, 48, 3)


@pytest.mark.slow
def test_texture_by_scales(command, photo, tmp_path):
    options = ("--size", "48", "--exemplar-size", 48, "--up-to", "pool1", "--pyramid", 24, "--steps", 2)
    assert command("texture", photo, *options, "--json", "a.json").code == 0
    assert len(record(tmp_path / "a.json")["losses"]) == 6


def test_strips_are_sheets_or_arrays_of_each_layer(command, photo, tmp_path):
    layers = ("--layer", "relu1_1", "--layer", "pool1")
    for name, line in (("invert", (*LOW,)), ("texture", (*LOW, "--exemplar-size", 48))):
        assert command(name, photo, *layers, *line, "--strip", "--out", "a.npy", "--json", "a.json").code == 0
        assert np.load(tmp_path / "a.npy").shape == (2, 32, 32, 3)
        found = record(tmp_path / "a.json")
        check_common(found, name)
        assert list(found["layers"]) == ["relu1_1", "pool1"]
        for each in found["layers"].values():
            assert each["loss"] == min(each["losses"])
            assert each["evaluations"] == 3
        assert command(name, photo, *layers, *line, "--strip", "--out", "a.png").code == 0
        h, w, _ = images.read(tmp_path / "a.png").shape
        assert h > 128
        assert w > 3 * 128


def test_several_seeds_are_a_row_of_pictures(command, photo, tmp_path):
    line = ("invert", photo, "--layer", "relu1_1", *LOW, "--seed", 4)
    assert command(*line, "--seeds", 2, "--out", "a.npy", "--json", "a.json").code == 0
    found = record(tmp_path / "a.json")
    assert [each["seed"] for each in found["seeds"]] == [4, 5]
    assert [each["loss"] for each in found["seeds"]] == [min(losses) for losses in found["losses"]]
    assert command(*line, "--out", "b.npy").code == 0
    np.testing.assert_allclose(np.load(tmp_path / "a.npy")[0], np.load(tmp_path / "b.npy"), atol=1e-3)
    assert command(*line, "--seeds", 2, "--out", "a.png").code == 0
    assert images.read(tmp_path / "a.png").shape[1] > 2 * 128


@pytest.mark.slow
def test_inversion_of_a_classifiers_layer_takes_its_square(command, tmp_path, picture, monkeypatch):
    network = jaxviz.initialize("alexnet", jax.random.key(0))
    monkeypatch.setattr(jaxviz, "load", lambda *_, classifier, **__: network if classifier else None)
    images.write(tmp_path / "wide.png", images.resize(picture("chelsea", 64), 30, 60))
    line = ("--network", "alexnet", "--layer", "relu6", "--layer", "conv1=0.5", "--steps", 1)
    outcome = command("invert", "wide.png", *line, "--json", "a.json")
    assert outcome.code == 0
    assert "layers of the classifier need 224×224 pixels: the centre was cut out" in outcome.stderr
    assert record(tmp_path / "a.json")["settings"]["size"] == 224
    assert images.read(tmp_path / "inversion.png").shape == (224, 224, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("40", (20, 40)), ("7X9", (7, 9)), ("7×9", (7, 9)), ("1", (1, 1))],
)
def test_size_of_a_texture_is_a_pair_or_the_longer_side(text, expected):
    assert height_width(text, np.zeros((32, 64, 3), np.float32)) == expected


def test_style_keeps_the_contents_shape(command, photo, tmp_path, picture):
    images.write(tmp_path / "wide.png", images.resize(picture("coffee", 64), 30, 60))
    layers = ("--content-layer", "relu2_1", "--style-layer", "relu1_1")
    options = (*layers, *LOW, "--init", photo, "--style-size", 24, "--optimizer", "adam")
    outcome = command("style", "wide.png", photo, "wide.png", *options, "--json", "a.json")
    assert outcome == (0, "", "")
    found = record(tmp_path / "a.json")
    check_common(found, "style")
    assert found["settings"]["styles"] == [str(photo), "wide.png"]
    assert found["evaluations"] == len(found["losses"]) == 3
    assert 0 <= found["restarts"] <= found["rejections"] < 3
    assert images.read(tmp_path / "style.png").shape == (16, 32, 3)


def test_networks_are_listed_with_their_taps(command):
    outcome = command("networks")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "    vgg16                shipped" in outcome.stdout
    assert "    vgg19                jaxviz weights fetch vgg19" in outcome.stdout
    one = command("networks", "squeezenet1_1").stdout
    assert re.search(r"relu1 +111×111×64 ", one)
    taps = json.loads(command("networks", "vgg16", "--json", "-").stdout)["networks"]["vgg16"]["taps"]
    assert taps["relu3_3"]["shape"] == [56, 56, 256]


def test_version(command):
    outcome = command("--version")
    assert (outcome.code, outcome.stdout) == (0, f"jaxviz {jaxviz.__version__}\n")
