import json

import film_files
import jax
import numpy as np
import pytest

from jaxviz import cli, stylization, video
from jaxviz.cli import filming
from jaxviz.cli.session import Incomplete, Session, Stopped
from jaxviz.images import PictureError


@pytest.fixture(scope="module")
def model():
    return stylization.initialize("transformer", jax.random.key(0), styles=("a", "b"), width=4, blocks=1)


@pytest.fixture
def run(model, tmp_path, monkeypatch):
    """The function that stylizes a film as a command does, and returns what its JSON says."""
    monkeypatch.chdir(tmp_path)

    def made(source, **given):
        given = {"json": "record.json", "quiet": True, "no_cache": True} | given
        with Session("stylize", given, usual_out="stylized.png") as session:
            filming.stylize_film(session, source, model, model.codes(["b"]), None, 1.0)
        return json.loads((tmp_path / "record.json").read_text())

    return made


def test_what_is_a_film():
    assert all(filming.is_film(f"a{suffix}") for suffix in video.SUFFIXES)
    assert filming.is_film("A.MP4")
    assert not any(filming.is_film(name) for name in ("a.png", "folder", "*.jpg", "mp4"))


def test_even_sides():
    assert filming.even((1080, 1920), 640) == (360, 640)
    assert filming.even((33, 41), 41) == (32, 40)
    assert filming.even((10, 400), 100) == (16, 100)


def test_film_is_stylized_with_its_sound(run, model, tmp_path):
    frames = film_files.frames(20)
    film_files.film(tmp_path / "a.mp4", frames, fps=24, sound="aac")
    record = run("a.mp4")
    assert (record["frames"], record["fps"], record["size"], record["sound"]) == (20, 24, [48, 64], "copied")
    assert record["settings"]["out"] == "stylized.mp4"
    assert record["seconds"]["all"] > 0
    assert "flicker" not in record
    with video.read(tmp_path / "stylized.mp4") as film, video.read(tmp_path / "a.mp4") as source:
        assert (film.fps, film.size) == (24, (48, 64))
        found, expected = list(film), list(stylization.film(model, source, model.codes(["b"])))
    assert len(found) == 20
    # The file halves the resolution of colors, which this network draws at random.
    for drawn, wanted, plain in zip(found, expected, frames, strict=True):
        apart = np.abs(drawn / 255 - wanted).mean()
        assert apart < 0.05
        assert np.abs(plain / 255 - wanted).mean() > 2 * apart
    assert film_files.sound_of(tmp_path / "stylized.mp4")[2] == pytest.approx(film_files.TONE, abs=2)


def test_temporal_tells_the_flicker(run, tmp_path):
    film_files.film(tmp_path / "a.mp4", film_files.frames(6))
    record = run("a.mp4", temporal=0.8, out=tmp_path / "b.mp4")
    assert 0 < record["flicker"]["with"] < record["flicker"]["without"]
    assert record["notes"][0].startswith("flicker 0.")


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_pictures_that_move_are_written_too(run, tmp_path, suffix):
    film_files.film(tmp_path / "a.gif", film_files.frames(4), codec="gif", fps=10)
    record = run("a.gif", size=32, out=tmp_path / f"b{suffix}")
    assert (record["frames"], record["size"]) == (4, [24, 32])
    if suffix == ".gif":
        with video.read(tmp_path / "b.gif") as film:
            assert (film.size, len(list(film))) == ((24, 32), 4)
    else:
        assert (tmp_path / "b.webp").stat().st_size > 0


def test_a_truncated_film_gives_what_there_is_and_says_so(run, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, 48, 64, 3), dtype=np.uint8)
    film_files.film(tmp_path / "a.mp4", noise, movflags="+faststart")
    film_files.cut(tmp_path / "a.mp4", 0.5)
    with pytest.raises(Incomplete):
        run("a.mp4")
    record = json.loads((tmp_path / "record.json").read_text())
    assert "missing" in record["damage"]
    assert "a.mp4 cannot be read to its end (" in record["notes"][0]
    with video.read(tmp_path / "stylized.mp4") as film:
        assert len(list(film)) == record["frames"] > 5


def test_ctrl_c_leaves_a_playable_film(run, tmp_path, monkeypatch):
    film_files.film(tmp_path / "a.mp4", film_files.frames(20))
    add = video.Writer.add

    def interrupted(self, frame, at=None):
        if self.count == 11:
            raise KeyboardInterrupt
        add(self, frame, at)

    monkeypatch.setattr(video.Writer, "add", interrupted)
    with pytest.raises(Stopped) as caught:
        run("a.mp4")
    assert cli._explained(caught.value)[0] == 130
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["frames"] == 11
    assert record["notes"] == ["stylized.mp4 ends at frame 11 of 20"]
    with video.read(tmp_path / "stylized.mp4") as film:
        assert len(list(film)) == 11


def test_ctrl_c_before_a_frame_leaves_nothing(run, tmp_path, monkeypatch):
    film_files.film(tmp_path / "a.mp4", film_files.frames(3))

    def interrupted(self, frame, at=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(video.Writer, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("a.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_wrong_films_are_refused(run, tmp_path):
    film_files.film(tmp_path / "a.mp4", film_files.frames(3))
    with pytest.raises(ValueError, match=r"b\.png cannot be written as \.png; expected \.gif, \.webp, \.mp4"):
        run("a.mp4", out=tmp_path / "b.png")
    with pytest.raises(video.VideoError, match="does not exist"):
        run("none.mp4")
    with pytest.raises(PictureError, match="over the limit of 1,000"):
        run("a.mp4", max_pixels=1000)
    with pytest.raises(ValueError, match="steadiness is 3"):
        run("a.mp4", temporal=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]


def test_the_command_takes_films(command, model, tmp_path):
    film_files.film(tmp_path / "a.mp4", film_files.frames(3))
    stylization.save(tmp_path / "m.safetensors", model)
    given = ("stylize", "a.mp4", "--model", "m.safetensors", "--style", "b")
    assert command(*given, "--temporal", "0.5", "--size", "32", "--out", "b.mp4")[0] == 0
    with video.read(tmp_path / "b.mp4") as film:
        assert (film.size, len(list(film))) == ((24, 32), 3)
    outcome = command(*given, "--grid", "3")
    assert outcome[0] == 2
    assert "a.mp4 is a film" in outcome[2]
