import json

import drawn_scene
import numpy as np
import pytest

from jaxviz import images, video

FIT = ("--steps", "8", "--nodes", "12", "--samples", "1024")


@pytest.fixture
def scene(tmp_path):
    drawn_scene.write_blender(
        tmp_path / "scene", drawn_scene.around(4), drawn_scene.around(2, seed=1), (12, 16), 20.0
    )
    return tmp_path


def test_a_scene_is_fitted_rendered_and_flown_through(command, scene):
    outcome = command("field", "fit", "scene", "--out", "a.npz", *FIT, "--json", "a.json")
    assert outcome.code == 0
    assert "PSNR" in outcome.stderr
    found = json.loads((scene / "a.json").read_text())
    assert len(found["losses"]) == found["steps"] == 8
    assert [row["view"] for row in found["views"]] == ["r_0.png", "r_1.png"]
    assert found["scene"]["views"] == 4
    outcome = command(
        "field", "render", "a.npz", "--scene", "scene", "--views", "1", "--depth", "--json", "b.json"
    )
    assert outcome.code == 0
    again = json.loads((scene / "b.json").read_text())
    assert again["views"][0]["psnr"] == pytest.approx(found["views"][1]["psnr"], abs=1e-3)
    assert images.read(scene / "renders/r_1.png").shape == (12, 16, 3)
    assert np.load(scene / "renders/r_1_depth.npy").shape == (12, 16)
    outcome = command("field", "fly", "a.npz", "--frames", "3", "--size", "32", "--out", "fly.mp4")
    assert outcome.code == 0
    with video.read(scene / "fly.mp4") as film:
        assert (film.size, len(list(film))) == ((24, 32), 3)


def test_a_field_is_stylized_and_then_seen_as_any_other(command, scene, photo):
    images.write(scene / "paint.png", images.fit_square(images.read(photo), 48))
    # After a few steps nothing is solid.
    enough = ("--steps", "60", "--nodes", "20", "--samples", "4096", "--learning-rate", "0.05")
    assert command("field", "fit", "scene", "--out", "a.npz", *enough).code == 0
    line = (
        "field",
        "stylize",
        "a.npz",
        "paint.png",
        "cat.png",
        "--style-weights",
        "1,3",
        "--style-scale",
        "6",
    )
    few = ("--steps", "2", "--color-steps", "1")
    outcome = command(*line, *few, "--out", "s.npz", "--json", "s.json")
    assert outcome.code == 0
    assert "distance from the nearest features" in outcome.stderr
    found = json.loads((scene / "s.json").read_text())
    assert found["steps"] == 3
    assert {name: len(values) for name, values in found["losses"].items()} == {
        **{"difference": 1, "nearest": 2, "content": 2, "tv": 2}
    }
    assert set(found["nearest"]) == {"before", "after"}
    assert found["values"]["network"] == "vgg16"
    assert command("field", "render", "s.npz", "--views", "0", "--out", "seen").code == 0
    assert images.read(scene / "seen/0000.png").shape == (12, 16, 3)
    assert command("field", "fly", "s.npz", "--frames", "2", "--size", "16", "--out", "fly.gif").code == 0
    outcome = command("field", "stylize", "a.npz", "paint.png", "--style-scale", "6", "--colors", "only")
    assert outcome.code == 0
    assert command("field", "render", "styled.npz", "--views", "0", "--out", "seen").code == 0
    for given, code, text in (
        (("a.npz", "none.png"), 1, "none.png"),
        (("none.npz", "paint.png"), 1, "none.npz does not exist"),
        (("a.npz", "paint.png"), 2, "style 1 has 8×8 pixels, and a feature of relu3_3 sees 40×40"),
        (("a.npz", "paint.png", "--blend", "views", "--style-scale", "6"), 2, "there is one style"),
        (("a.npz", "paint.png", "--style-scale", "6", "--preset", "art"), 2, "nearest: arf"),
        (("a.npz", "paint.png", "--out", "a.png"), 2, "expected .npz"),
    ):
        outcome = command("field", "stylize", *given)
        assert (outcome.code, text in outcome.stderr) == (code, True), outcome.stderr


def test_presets_of_stylization_are_told(command):
    outcome = command("field", "presets", "--json", "-")
    found = json.loads(outcome.stdout)["presets"]
    assert found["arf"]["paper"].startswith("Zhang")
    assert "content_weight" in command("field", "presets").stdout


BAD = [
    (("field", "fit", "none"), 1, "none is no folder"),
    (("field", "fit", "scene", "--out", "a.png"), 2, "expected .npz"),
    (("field", "fit", "scene", "--space", "round"), 2, "no space is named 'round'"),
    (("field", "fit", "scene", "--space", "forward"), 1, "tells no near and far"),
    (("field", "render", "text.npz"), 1, "text.npz is damaged, or no field"),
    (("field", "render", "none.npz"), 1, "none.npz does not exist"),
    (("field", "fly", "none.npz", "--out", "a.avi"), 2, "a.avi"),
]


@pytest.mark.parametrize(("given", "code", "text"), BAD)
def test_bad_input_is_told(given, code, text, command, scene):
    (scene / "text.npz").write_text("no field")
    before = sorted(path.name for path in scene.iterdir())
    outcome = command(*given)
    assert outcome.code == code
    assert text in outcome.stderr
    assert sorted(path.name for path in scene.iterdir()) == before
