"""What the commands that minimize keep beside the picture: film, page, snapshots, the numbers of the run."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from jaxviz import images

COMMANDS = {
    "invert": "invert cat.png --layer relu1_2",
    "texture": "texture cat.png --layer relu1_1 --exemplar-size 24",
    "style": "style cat.png cat.png --content-layer relu1_2 --style-layer relu1_1 --init noise",
}
USUAL = "--steps 6 --size 24"


@pytest.fixture(params=COMMANDS)
def words(request, photo):
    return [*COMMANDS[request.param].split(), *USUAL.split()]


def full(path, values):
    raise images.PictureError("disk full")


def test_a_run_tells_its_terms_and_memory_and_draws_film_and_page(words, command, tmp_path):
    told = command(*words, "--film", "a.gif", "--page", "a.html", "--json", "a.json", "--out", "a.png")
    assert told.code == 0
    found = json.loads((tmp_path / "a.json").read_text())
    layers = [name for name in found["terms"] if "relu" in name]
    assert layers
    parts = sum(found["terms"][name] for name in layers) + found["terms"]["prior"]
    assert found["terms"]["loss"] == pytest.approx(parts, rel=1e-5)
    assert found["terms"]["loss"] <= found["losses"][0]
    assert found["memory"]["peak"] > 1e8
    with Image.open("a.gif") as film:
        assert film.size == (24, 24)
        film.seek(film.n_frames - 1)
    page = (tmp_path / "a.html").read_text()
    assert page.count("<img") == page.count("<figure") == (4 if words[0] == "style" else 3)
    for name in (*layers, "peak memory", "rejections"):
        assert name in page


def test_a_run_that_could_not_be_written_goes_on_from_its_snapshot(words, command, tmp_path, monkeypatch):
    kept = ["--snapshot-every", "2"]
    assert command(*words, "--out", "whole.npy").code == 0
    with monkeypatch.context() as patch:
        patch.setattr(images, "write", full)
        assert command(*words, *kept, "--steps", "3", "--out", "part.npy").stderr == "jaxviz: disk full\n"
    assert (tmp_path / "part.snapshot.npz").exists()
    assert command(*words, *kept, "--resume", "--out", "part.npy").code == 0
    assert sorted(os.listdir(tmp_path)) == ["cat.png", "part.npy", "whole.npy"]
    np.testing.assert_array_equal(np.load("part.npy"), np.load("whole.npy"))


def test_a_snapshot_of_other_settings_is_refused(words, command, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(images, "write", full)
        assert command(*words, "--snapshot-every", "2", "--out", "a.npy").code == 1
    told = command(*words, "--seed", "1", "--snapshot-every", "2", "--resume", "--out", "a.npy")
    assert told.code == 2
    assert "a.snapshot.npz is of a run with other settings" in told.stderr


def test_a_budget_is_kept_to_or_the_least_is_told(words, command, tmp_path):
    told = command(*words, "--memory", "64GB", "--json", "a.json", "--out", "a.png")
    assert told.code == 0
    memory = json.loads((tmp_path / "a.json").read_text())["memory"]
    assert memory["budget"] == 64e9
    assert memory["window"] is None
    assert 0 < memory["predicted"] < 64e9
    told = command(*words, "--memory", "1MB", "--out", "b.png")
    assert told.code == 2
    assert "memory is 1,000,000 bytes; the least that would do for this picture" in told.stderr
    assert not (tmp_path / "b.png").exists()
