from fractions import Fraction

import film_files
import numpy as np
import pytest

from jaxviz import video
from jaxviz.images import PictureError


def test_film_is_written_and_read_back(tmp_path):
    frames = film_files.frames(20)
    for fps in (24, Fraction(30000, 1001), 12.5):
        video.write(tmp_path / "a.mp4", iter(frames), fps)
        with video.read(tmp_path / "a.mp4") as film:
            assert (film.size, film.count, film.sound) == ((48, 64), 20, False)
            assert film.fps == Fraction(fps)
            found = np.stack(list(film))
        assert np.abs(found.astype(int) - frames).mean() < 3
    assert list(tmp_path.iterdir()) == [tmp_path / "a.mp4"]


def test_floats_and_odd_sides(tmp_path):
    frames = np.random.default_rng(0).random((3, 1, 1, 3)).repeat(33, 1).repeat(41, 2).astype(np.float32)
    video.write(tmp_path / "a.mp4", frames, 10)
    with video.read(tmp_path / "a.mp4") as film:
        assert film.size == (34, 42)
        np.testing.assert_allclose(np.stack(list(film))[:, :33, :41] / 255, frames, atol=5 / 255)


@pytest.mark.parametrize(
    ("name", "codec", "how", "heard"),
    [
        ("a.mp4", "aac", "copied", "aac"),
        ("a.mkv", "libopus", "copied", "opus"),
        ("a.mov", "pcm_s16le", "encoded as AAC", "aac"),
    ],
)
def test_sound_of_the_source_is_kept(tmp_path, name, codec, how, heard):
    frames = film_files.frames(50)
    film_files.film(tmp_path / name, frames, sound=codec)
    with video.Writer(tmp_path / "out.mp4", 25, sound_from=tmp_path / name) as film:
        for frame in frames:
            film.add(frame)
        assert film.sound == how
    kind, seconds, hertz = film_files.sound_of(tmp_path / "out.mp4")
    assert kind == heard
    assert seconds == pytest.approx(2, abs=0.06)
    assert hertz == pytest.approx(film_files.TONE, abs=1)
    with video.read(tmp_path / "out.mp4") as film:
        assert film.sound
        assert len(list(film)) == 50
        assert film.damage == ""


def test_sound_ends_with_the_pictures(tmp_path):
    frames = film_files.frames(50)
    film_files.film(tmp_path / "a.mp4", frames, sound="aac")
    video.write(tmp_path / "out.mp4", frames[:20], 25, sound_from=tmp_path / "a.mp4")
    assert film_files.sound_of(tmp_path / "out.mp4")[1] == pytest.approx(0.8, abs=0.06)


def test_a_source_without_sound_gives_none(tmp_path):
    film_files.film(tmp_path / "a.mp4", film_files.frames(3))
    video.write(tmp_path / "out.mp4", film_files.frames(3), 25, sound_from=tmp_path / "a.mp4")
    with video.read(tmp_path / "out.mp4") as film:
        assert not film.sound


def test_uneven_times_are_written(tmp_path):
    times = [Fraction(k, 1000) for k in (0, 40, 80, 300, 340, 1000)]
    with video.Writer(tmp_path / "a.mp4", 25) as film:
        for at, frame in zip(times, film_files.frames(6), strict=True):
            film.add(frame, at)
    with video.read(tmp_path / "a.mp4") as film:
        assert [at for at, _ in film.timed()] == times


def _interrupt():
    raise KeyboardInterrupt


def test_an_interrupted_film_is_playable_if_caught_inside_and_gone_if_not(tmp_path):
    frames = film_files.frames()
    with video.Writer(tmp_path / "a.mp4", 25) as film:
        try:
            for k, frame in enumerate(frames):
                if k == 7:
                    raise KeyboardInterrupt
                film.add(frame)
        except KeyboardInterrupt:
            pass
    with video.read(tmp_path / "a.mp4") as found:
        assert len(list(found)) == film.count == 7
    old = (tmp_path / "a.mp4").read_bytes()
    interrupted = (part if k < 7 else _interrupt() for k, part in enumerate(frames))
    with pytest.raises(KeyboardInterrupt):
        video.write(tmp_path / "a.mp4", interrupted, 25)
    assert (tmp_path / "a.mp4").read_bytes() == old
    assert list(tmp_path.iterdir()) == [tmp_path / "a.mp4"]


def test_wrong_arguments_are_refused(tmp_path):
    path, frames = tmp_path / "a.mp4", film_files.frames(2)
    with pytest.raises(ValueError, match=r"cannot be written as \.mkv; expected \.mp4"):
        video.write(tmp_path / "a.mkv", frames, 25)
    for fps in (0, -1, 2000, float("nan")):
        with pytest.raises(ValueError, match=r"fps is .*; expected a number in \(0, 1000\]"):
            video.write(path, frames, fps)
    with pytest.raises(ValueError, match="would be a film without frames"):
        video.write(path, [], 25)
    with pytest.raises(ValueError, match=r"a frame has 20×10 pixels; expected 64×48, as the first one has"):
        video.write(path, [frames[0], frames[1][:10, :20]], 25)
    with pytest.raises(ValueError, match=r"20000×2 pixels; an \.mp4 has at most 16384 a side"):
        video.write(path, np.zeros((1, 2, 20000, 3), np.uint8), 25)
    with pytest.raises(video.VideoError, match="does not exist"):
        video.write(path, frames, 25, sound_from=tmp_path / "none.mp4")
    with pytest.raises(PictureError, match="cannot be written"):
        video.write(tmp_path / "none" / "a.mp4", frames, 25)
    assert not list(tmp_path.iterdir())
