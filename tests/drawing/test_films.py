import errno
import os
import sys

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from jaxviz.drawing import films
from jaxviz.images import PictureError

COLORS = np.array([(0.9, 0.1, 0.2), (0.2, 0.8, 0.1), (0.1, 0.3, 0.9), (0.5, 0.5, 0.5), (1, 1, 1)], np.float32)
RAMP = np.linspace(0.2, 1, 41, dtype=np.float32)[None, :, None]
FRAMES = [np.broadcast_to(color, (33, 41, 3)) * RAMP for color in COLORS]


def read(path):
    """The frames of a film as a viewer sees them, [n, h, w, 3], in [0, 1], and how long they stand, in seconds."""
    if path.suffix == ".mp4":
        with av.open(str(path)) as file:
            stream = file.streams.video[0]
            frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(stream)]
            return np.stack(frames) / 255, [float(stream.duration * stream.time_base)]
    with Image.open(path) as file:
        frames, seconds = [], []
        for frame in ImageSequence.Iterator(file):
            frames.append(np.asarray(frame.convert("RGB")))
            seconds.append(file.info["duration"] / 1000)
        return np.stack(frames) / 255, seconds


@pytest.mark.parametrize("suffix", films.SUFFIXES)
def test_film_is_read_back(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    films.write(path, FRAMES, fps=20)
    found, seconds = read(path)
    padded = (34, 42) if suffix == ".mp4" else (33, 41)
    assert found.shape == (5, *padded, 3)
    assert sum(seconds) == pytest.approx(5 / 20)
    np.testing.assert_allclose(found[:, :33, :41], FRAMES, atol=10 / 255)
    assert np.abs(found[:, :33, :41] - FRAMES).mean() < 2.5 / 255
    assert list(tmp_path.iterdir()) == [path]


def test_odd_sides_of_an_mp4_are_padded_with_their_last_pixels(tmp_path):
    films.write(tmp_path / "a.mp4", FRAMES)
    found, _ = read(tmp_path / "a.mp4")
    np.testing.assert_allclose(found[:, -1, :41], found[:, -2, :41], atol=4 / 255)
    np.testing.assert_allclose(found[:, :33, -1], found[:, :33, -2], atol=4 / 255)


def test_mp4_is_what_every_player_reads(tmp_path):
    films.write(tmp_path / "a.mp4", FRAMES, fps=29.97)
    with av.open(str(tmp_path / "a.mp4")) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate) == pytest.approx(29.97, rel=1e-4)
        assert stream.codec_context.colorspace == 1


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_time_does_not_drift_from_the_frames_per_second(tmp_path, suffix):
    many = [np.full((2, 2, 3), k / 47, np.float32) for k in range(48)]
    films.write(tmp_path / f"a{suffix}", many, fps=24)
    found, seconds = read(tmp_path / f"a{suffix}")
    assert len(found) == 48
    assert sum(seconds) == pytest.approx(2)
    films.write(tmp_path / f"b{suffix}", many, fps=60)
    assert min(read(tmp_path / f"b{suffix}")[1]) >= {".gif": 0.02, ".webp": 0.016}[suffix]


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_film_repeats_for_ever(tmp_path, suffix):
    films.write(tmp_path / f"a{suffix}", FRAMES)
    with Image.open(tmp_path / f"a{suffix}") as file:
        assert file.info["loop"] == 0


@pytest.mark.parametrize("suffix", films.SUFFIXES)
@pytest.mark.parametrize("shape", [(33, 41, 3), (1, 1, 3), (1, 300, 3)])
def test_film_of_one_frame_of_any_size(tmp_path, suffix, shape):
    path = tmp_path / f"A{suffix.upper()}"
    films.write(path, [np.full(shape, COLORS[2], np.float32)])
    found, _ = read(path.rename(tmp_path / f"a{suffix}"))
    np.testing.assert_allclose(found[0], np.broadcast_to(COLORS[2], found[0].shape), atol=5 / 255)
    assert len(found) == 1


@pytest.mark.parametrize("suffix", films.SUFFIXES)
def test_frames_of_a_pyramid_become_of_the_last_ones_size(tmp_path, suffix):
    pyramid = [
        np.full((n, n + 1, 3), color, np.float32) for n, color in zip((4, 9, 20), COLORS, strict=False)
    ]
    films.write(tmp_path / f"a{suffix}", pyramid)
    found, _ = read(tmp_path / f"a{suffix}")
    assert found.shape[:3] == (3, 20, 22 if suffix == ".mp4" else 21)
    for frame, color in zip(found, COLORS, strict=False):
        np.testing.assert_allclose(frame, np.broadcast_to(color, frame.shape), atol=8 / 255)


def test_values_out_of_range_are_clipped_and_bytes_taken_as_they_are(tmp_path):
    films.write(tmp_path / "a.webp", [np.full((4, 4, 3), 7, np.float32), np.full((4, 4, 3), 7, np.uint8)])
    found, _ = read(tmp_path / "a.webp")
    np.testing.assert_allclose(found.mean((1, 2, 3)), [1, 7 / 255], atol=2 / 255)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 17, 100, 1000])
@pytest.mark.parametrize("most", [2, 3, 6])
def test_any_run_gives_a_bounded_film_with_its_first_and_last_frame(count, most):
    film = films.Film(most=most)
    for k in range(count):
        film.add(np.full((1, 1, 3), (k % 256, k // 256, 0), np.uint8))
        assert len(film.frames) <= most
    kept = [int(frame[0, 0] @ (1, 256, 0)) for frame in film.frames]
    assert (kept[0], kept[-1]) == (0, count - 1)
    assert len(set(np.diff(kept)[:-1])) <= 1
    assert len(kept) >= min(count, most // 2 + 1)
    assert (np.diff(kept) > 0).all()


def test_film_keeps_copies(tmp_path):
    film, frame = films.Film(), np.zeros((2, 2, 3), np.uint8)
    for _ in range(3):
        film.add(frame)
        frame += 100
    film.write(tmp_path / "a.webp", fps=1)
    found, seconds = read(tmp_path / "a.webp")
    np.testing.assert_allclose(found[:, 0, 0, 0] * 255, (0, 100, 200), atol=2)
    assert seconds == [1, 1, 1]


@pytest.mark.parametrize("name", ["a", "a.png", "a.avi"])
def test_unknown_suffix_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"cannot be written as .*; expected \.gif, \.webp, \.mp4"):
        films.write(tmp_path / name, FRAMES)
    with pytest.raises(ValueError, match=r"expected \.gif, \.webp, \.mp4"):
        films.checked(name)
    assert not list(tmp_path.iterdir())


def test_wrong_arguments_are_refused(tmp_path):
    path = tmp_path / "a.gif"
    with pytest.raises(ValueError, match="would be a film without frames"):
        films.write(path, [])
    with pytest.raises(ValueError, match="would be a film without frames"):
        films.Film().write(path)
    for fps in (0, -1, 1000, float("nan")):
        with pytest.raises(ValueError, match=r"fps is .*; expected a number in \(0, 120\]"):
            films.write(path, FRAMES, fps=fps)
    with pytest.raises(ValueError, match="most is 1; expected at least 2"):
        films.Film(most=1)
    with pytest.raises(ValueError, match=r"20000×1 pixels; a \.webp has at most 16383 a side"):
        films.write(tmp_path / "a.webp", [np.zeros((1, 20000, 3), np.uint8)])
    assert not list(tmp_path.iterdir())


def test_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r'films of \.mp4 need PyAV: pip install "jaxviz-vision\[video\]"'):
        films.checked("a.mp4")
    assert films.checked("a.GIF") == ".gif"
    films.write(tmp_path / "a.gif", FRAMES)


@pytest.mark.parametrize("suffix", films.SUFFIXES)
def test_failed_write_leaves_the_old_film_and_nothing_else(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"a{suffix}"
    films.write(path, FRAMES)
    old = path.read_bytes()

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Image.Image, "save", full)
    monkeypatch.setattr(av, "open", full)
    with pytest.raises(PictureError) as caught:
        films.write(path, FRAMES)
    assert str(caught.value) == f"{path} cannot be written (No space left on device); choose another path"
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(PictureError, match="No such file or directory"):
        films.write(tmp_path / "none" / path.name, FRAMES)
