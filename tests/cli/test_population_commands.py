"""Attacks of which many pictures have one result, by command."""

import json

import numpy as np
import pytest
from PIL import Image

import jaxviz
from jaxviz import attacks, images
from jaxviz.cli import populations
from jaxviz.optimization import Interrupted

NAMES = ("chelsea", "coffee", "astronaut", "rocket")
SHORT = ("--size", 48, "--steps", 6, "--minibatch", 2, "--json", "a.json")


@pytest.fixture
def folder(tmp_path, picture):
    """Eight pictures, half of them mirrored."""
    many = tmp_path / "many"
    many.mkdir()
    for name in NAMES:
        pixels = images.to_bytes(picture(name, 48))
        Image.fromarray(pixels).save(many / f"{name}.png")
        Image.fromarray(pixels[:, ::-1]).save(many / f"{name}-mirrored.png")
    return many


def record(tmp_path):
    return json.loads((tmp_path / "a.json").read_text())


def test_a_patch_is_written_to_be_printed_and_judged_on_held_out_pictures(command, folder, tmp_path, small):
    line = (
        "attack",
        "many",
        "--method",
        "patch",
        "--target",
        "toaster",
        "--patch-scale",
        "0.4,0.6",
        "--seed",
        3,
    )
    outcome = command(*line, *SHORT, "--devices", "1")
    assert outcome.code == 0, outcome.stderr
    assert "held-out pictures, seen as toaster (859)" in outcome.stdout
    with Image.open(tmp_path / "patch.png") as made:
        assert made.mode == "RGBA"
        assert made.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        pixels = np.asarray(made)
    assert pixels.shape[:2] == (609, 609)  # 29 pixels, each of them 21 across
    cells = pixels[10::21, 10::21]
    np.testing.assert_array_equal(cells.repeat(21, 0).repeat(21, 1), pixels)
    assert set(np.unique(pixels[..., 3])) >= {0, 255}
    mask = np.asarray(Image.open(tmp_path / "patch-mask.png").convert("L"))
    np.testing.assert_array_equal(mask, pixels[..., 3])
    for part in ("scenes", "success"):
        assert images.read(tmp_path / f"patch-{part}.png").shape[2] == 3
    found = record(tmp_path)
    settings = found["settings"]
    assert (settings["target"], settings["patch_size"], settings["shape"]) == (859, 29, "circle")
    assert (settings["patch_scale"], settings["rotation"], settings["seed"]) == ([0.4, 0.6], 22.5, 3)
    told = found["pictures"]
    assert (told["total"], told["failures"], told["labeled"]) == (8, [], False)
    assert len(told["trained"]) == len(told["held_out"]) == 4
    assert len(set(told["trained"]) | set(told["held_out"])) == 8
    assert len(found["losses"]) == 7
    assert found["success"]["counted"] == 4
    for row in found["success"]["patch"]:
        assert row["low"] <= row["share"] <= row["high"]
    held = np.stack([images.read(folder / name) for name in told["held_out"]])
    patch = attacks.Patch(images.to_floats(cells[..., :3]), images.to_floats(cells[..., 3]))
    again = attacks.patch_success(small, patch, held, target=859, key=3)
    probabilities = [row["probability"] for row in found["success"]["patch"]]
    np.testing.assert_allclose(probabilities, again.probabilities.mean(1), rtol=0.02)
    assert {"label", "index", "probability"} <= set(found["scenes"][0]["after"])


@pytest.mark.slow
def test_a_perturbation_is_drawn_and_kept_as_it_is(command, folder, tmp_path, small):
    (tmp_path / "list.txt").write_text(
        "".join(f"many/{name}.png\t{label}\n" for name, label in zip(NAMES, (285, 967, 1, 657), strict=True))
    )
    outcome = command("attack", "list.txt", "--method", "universal", "--epsilon", "16/255", *SHORT)
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.startswith("4 training pictures\n  fooling rate ")
    assert "fewer than 8 pictures" in outcome.stderr
    v = np.load(tmp_path / "universal.npy")
    assert v.shape == (48, 48, 3)
    assert np.abs(v).max() == pytest.approx(16 / 255, rel=1e-5)
    for name in ("universal", "universal-scenes"):
        assert images.read(tmp_path / f"{name}.png").shape[2] == 3
    found = record(tmp_path)
    assert found["settings"]["epsilon"] == pytest.approx(16 / 255)
    assert found["pictures"]["labeled"]
    pictures = np.stack([images.read(tmp_path / name) for name in found["pictures"]["trained"]])
    success = attacks.universal_success(small, v, pictures)
    rates = found["universal"]
    assert rates["fooling_rate"]["share"] == success.fooling_rate()[0]
    assert {"fooling_rate_of_noise", "accuracy_before", "accuracy_after"} <= set(rates)


def test_what_cannot_be_read_is_told(command, folder, tmp_path, small):
    (folder / "torn.png").write_text("no picture")
    outcome = command("attack", "many", "--method", "universal", *SHORT)
    assert outcome.code == 3
    assert "left out: torn.png: many/torn.png is no picture" in outcome.stderr
    assert [failure["name"] for failure in record(tmp_path)["pictures"]["failures"]] == ["torn.png"]


def test_after_ctrl_c_what_was_found_is_written_and_raw_numbers_beside_the_drawing(
    command, folder, tmp_path, small, monkeypatch
):
    def minimize(*arguments, **options):
        raise Interrupted(jaxviz.minimize(*arguments, **(options | {"steps": 2})))

    monkeypatch.setattr(populations, "minimize", minimize)
    line = ("attack", "many/*.png", "--method", "patch", "--target", 859, "--patch-size", 9)
    outcome = command(*line, "--shape", "square", "--out", "a.npy", *SHORT)
    assert outcome.code == 130
    assert outcome.stderr.splitlines()[-1] == "jaxviz: interrupted; the best so far was written"
    raw = np.load(tmp_path / "a.npy")
    assert raw.shape == (9, 9, 4)
    assert (raw[..., 3] == 1).all()
    drawn = np.asarray(Image.open(tmp_path / "a.png"))
    np.testing.assert_array_equal(drawn[::67, ::67], images.to_bytes(raw))
    assert (tmp_path / "a-scenes.png").exists()
    assert not (tmp_path / "a-success.png").exists()
    assert len(record(tmp_path)["losses"]) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            ("many/coffee.png", "--target", 3),
            "patch is one result for many pictures, and many/coffee.png is one",
        ),
        (("many",), "patch needs target"),
        (("many", "--target", 3, "--out", "a.jpg"), "--out is a.jpg; a patch has transparent parts"),
        (("many", "--target", 3, "--save", "arrays"), "--save is for attacks on each picture"),
        (("many", "--target", 3, "--patch-scale", "0.5"), "scale is"),
        (("many", "--target", 3, "--patch-scale", "a"), "--patch-scale is 'a'; expected numbers"),
        (("many", "--target", "toastr"), "--target is 'toastr', which is no class"),
        (("many", "--target", 3, "--epsilon", "0.1"), "patch takes no epsilon"),
    ],
)
def test_bad_lines_are_refused_in_one(command, folder, tmp_path, line, message):
    before = sorted(tmp_path.iterdir())
    outcome = command("attack", *line, "--method", "patch", "--size", 48)
    assert outcome.code == 2
    assert outcome.stderr.startswith("jaxviz: ")
    assert message in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
