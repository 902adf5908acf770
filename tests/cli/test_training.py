import json
from pathlib import Path

import numpy as np
import pytest
import trainings
from PIL import Image as PillowImage

from jaxviz import images, stylization, training
from jaxviz.cli import training as commands

SMALL = (
    "--steps",
    "2",
    "--batch-size",
    "1",
    "--size",
    "32",
    "--style-size",
    "32",
    "--width",
    "2",
    "--tell-every",
    "1",
)


@pytest.fixture
def pictures(tmp_path):
    random = np.random.default_rng(0)
    for folder, count in (("photos", 2), ("paintings", 2)):
        (tmp_path / folder).mkdir()
        for k in range(count):
            pixels = random.integers(0, 255, (40, 44, 3), np.uint8)
            PillowImage.fromarray(pixels).save(tmp_path / folder / f"{k}.png")
    return tmp_path


def test_a_network_is_trained_and_can_be_used(command, pictures, monkeypatch):
    for layers in ("content_layers", "style_layers"):  # of the preset's, which are deep, the first
        monkeypatch.setitem(training.MULTI["default"].values, layers, {"relu1_1": 1.0})
    whole = commands._recipe
    monkeypatch.setattr(commands, "_recipe", lambda *given: trainings.shallow(whole(*given)))
    (pictures / "photos/note.png").write_text("no picture")
    given = ("train", "multi", "--content", "photos", "--style", "paintings", "--out", "run", *SMALL)
    outcome = command(*given, "--json", "a.json")
    assert outcome[0] == 0
    found = json.loads((pictures / "a.json").read_text())
    assert found["steps"] == 2
    assert found["settings"]["command"] == "train multi"
    assert set(found["losses"]) == {"loss", "content", "style", "tv"}
    model = stylization.load(pictures / "run/model.safetensors")
    assert model.styles == ("0", "1")
    said = stylization.record(pictures / "run/model.safetensors")
    assert said["command"].startswith("jaxviz train multi --content photos --style paintings")
    assert "--width 2" in said["command"]
    sheet = images.read(pictures / "run/sheets/0000002.png")
    assert sheet.std() > 0
    outcome = command(*given)
    assert outcome[0] == 1
    assert "--resume" in outcome[2]
    outcome = command(*given, "--resume")
    assert outcome[0] == 0
    assert len(training.read_log(pictures / "run/log.csv")) == 2


@pytest.mark.slow
def test_a_data_set_is_content_and_products_may_have_16_bits(command, pictures, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(Path(__file__).parents[1] / "data"))
    given = ("train", "fast", "--content", "tfds:drawn:test[:4]", "--style", "paintings/0.png", *SMALL)
    # After the first step two runs of Adam that began a rounding apart part further.
    given += ("--steps", "1")
    losses = {}
    for precision in ("float32", "bfloat16"):
        outcome = command(*given, "--precision", precision, "--out", precision, "--json", "a.json")
        assert outcome[0] == 0, outcome[2]
        losses[precision] = json.loads((pictures / "a.json").read_text())["losses"]["loss"]
        model = stylization.load(pictures / precision / "model.safetensors")
        assert model.params["conv1"]["kernel"].dtype == np.float32
    assert losses["bfloat16"] != losses["float32"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)


BAD = [
    (("train", "fast", "--content", "none", "--style", "paintings/0.png"), 1, "none does not exist"),
    (("train", "fast", "--content", "photos", "--style", "paintings"), 2, "2 paintings; fast takes one"),
    (("train", "fast", "--content", "photos", "--style", "text.png"), 1, "text.png is no picture"),
    (("train", "fast", "--content", "photos", "--style", "paintings/0.png", "--preset", "x"), 2, "no preset"),
    (("train", "fast", "--content", "photos", "--style", "paintings/0.png", "--norm", "layer"), 2, "no norm"),
    (("train", "multi", "--content", "photos", "--style", "paintings", "--norm", "batch"), 2, "one style"),
    (
        ("train", "fast", "--content", "photos", "--style", "paintings/0.png", "--size", "33"),
        2,
        "multiple of 8",
    ),
    (("train", "adain", "--content", "photos", "--style", "empty"), 1, "empty has no picture"),
    (
        ("train", "cast", "--content", "photos", "--style", "paintings", "--queue", "3"),
        2,
        "queue is 3 and batch 4",
    ),
    (("train", "cast", "--content", "photos", "--style", "paintings/0.png"), 2, "1 painting; cast takes 2"),
    (
        ("train", "cast", "--content", "photos", "--style", "paintings", "--start", "x"),
        2,
        "no model is named 'x'",
    ),
    (
        ("train", "cast", "--content", "photos", "--style", "paintings", "--tv-weight", "1"),
        2,
        "No such option",
    ),
    (("train", "fast", "--content", "photos", "--style", "paintings/0.png", "--start", "x"), 2, "no model"),
]


@pytest.mark.parametrize(("given", "code", "text"), BAD)
def test_bad_input_is_told_before_any_work(given, code, text, command, pictures):
    (pictures / "text.png").write_text("no picture")
    (pictures / "empty").mkdir()
    outcome = command(*given, "--out", "run")
    assert outcome[0] == code
    assert text in outcome[2]
    assert not (pictures / "run").exists()


def test_presets_are_told(command):
    outcome = command("train", "presets", "adain")
    assert outcome[0] == 0
    assert "adain2017" in outcome[1]
    assert "Huang, Belongie" in outcome[1]
    found = json.loads(command("train", "presets", "--json", "-")[1])["presets"]
    assert set(found) == set(training.METHODS)
    assert command("train", "presets", "adian")[0] == 2
