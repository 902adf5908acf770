import sys
import tracemalloc
from fractions import Fraction

import av
import film_files
import numpy as np
import pytest
from PIL import Image

from jaxviz import video
from jaxviz.images import PictureError

COLORS = np.array([(200, 40, 90), (30, 160, 60), (20, 60, 220), (255, 255, 255), (0, 0, 0)], np.uint8)
BANDS = np.repeat(np.repeat(COLORS[:, None], 16, 0), 64, 1)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.avi", "a.gif"])
def test_film_is_read_frame_by_frame(tmp_path, name):
    frames = film_files.frames()
    fps = 10 if name == "a.gif" else Fraction(30000, 1001)
    codec = {"a.gif": "gif", "a.avi": "mpeg4"}.get(name, "libx264")
    film_files.film(tmp_path / name, frames, fps=fps, codec=codec)
    with video.read(tmp_path / name) as film:
        assert (film.size, film.sound, film.path) == ((48, 64), False, tmp_path / name)
        assert float(film.fps) == pytest.approx(float(fps), rel=1e-3)
        assert film.count is None or abs(film.count - 12) <= 1
        times, found = zip(*film.timed(), strict=True)
        assert film.damage == ""
    assert len(found) == 12
    assert found[0].dtype == np.uint8
    # Where the bar is tells which frame it is.
    inner = [int(frame[24, :, 0].astype(int).argmax()) for frame in found]
    assert [abs(x - 2 * k) <= 8 for k, x in enumerate(inner)] == [True] * 12
    np.testing.assert_allclose(found[5][24, [2, 14, 40]], frames[5][24, [2, 14, 40]], atol=60)
    np.testing.assert_allclose([float(t) for t in times], np.arange(12) / float(fps), atol=2e-3)


@pytest.mark.parametrize(
    ("matrix", "full"),
    [("ITU709", False), ("ITU709", True), ("ITU601", False), ("ITU601", True), (None, False)],
)
def test_colors_are_those_of_the_matrix_that_a_file_names(tmp_path, matrix, full):
    film_files.film(tmp_path / "a.mp4", [BANDS] * 2, matrix=matrix, full=full)
    with video.read(tmp_path / "a.mp4") as film:
        found = next(iter(film))
    np.testing.assert_allclose(found[8::16, 32].astype(int), COLORS, atol=4)


def test_high_definition_without_a_matrix_is_709(tmp_path):
    tall = np.repeat(np.repeat(COLORS[:, None], 144, 0), 16, 1)
    with av.open(str(tmp_path / "untold.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 720, 16, "yuv420p"
        frame = av.VideoFrame.from_ndarray(tall, format="rgb24")
        made = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
        made.colorspace = 2
        container.mux(stream.encode(made))
        container.mux(stream.encode())
    with video.read(tmp_path / "untold.mkv") as film:
        np.testing.assert_allclose(next(iter(film))[72::144, 8].astype(int), COLORS, atol=5)


def test_telephones_pictures_are_upright(tmp_path):
    film_files.film(tmp_path / "a.mp4", [BANDS] * 2)
    film_files.turned(tmp_path / "a.mp4")
    with video.read(tmp_path / "a.mp4") as film:
        assert film.size == (64, 80)
        found = next(iter(film))
    # What was at the top is at the right.
    np.testing.assert_allclose(found[32, 8::16][::-1].astype(int), COLORS, atol=6)


def test_transparency_lies_over_white(tmp_path):
    clear = Image.new("P", (32, 32), 0)
    clear.putpalette([255, 0, 0, 0, 0, 255])
    clear.paste(1, (0, 0, 16, 32))
    clear.save(tmp_path / "a.gif", transparency=0, save_all=True, append_images=[clear], duration=100)
    with video.read(tmp_path / "a.gif") as film:
        found = next(iter(film))
    np.testing.assert_array_equal(found[16, [4, 28]], [(0, 0, 255), (255, 255, 255)])


def test_times_of_an_uneven_film_are_kept(tmp_path):
    times = [0, 40, 80, 300, 340, 1000]
    film_files.film(tmp_path / "a.mkv", film_files.frames(6), times=times)
    with video.read(tmp_path / "a.mkv") as film:
        assert [round(1000 * at) for at, _ in film.timed()] == times


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4")])
def test_what_is_left_of_a_truncated_film_is_read_and_told(tmp_path, name, codec):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (40, 48, 64, 3), dtype=np.uint8)
    film_files.film(
        tmp_path / name, noise, codec=codec, **({"movflags": "+faststart"} if name == "a.mp4" else {})
    )
    film_files.cut(tmp_path / name, 0.6)
    with video.read(tmp_path / name) as film:
        count = len(list(film))
        assert 10 <= count <= 30
        assert "missing" in film.damage


def test_a_damaged_part_is_skipped(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "a.mp4"
    film_files.film(path, rng.integers(0, 255, (40, 48, 64, 3), dtype=np.uint8), movflags="+faststart")
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 6000] = bytes(6000)
    path.write_bytes(whole)
    with video.read(path) as film:
        assert 20 < len(list(film)) <= 40
        assert film.damage


def test_no_films_are_refused_by_name_and_cause(tmp_path):
    def refused(name, content, message):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(video.VideoError, match=message) as caught:
            video.read(path)
        assert str(caught.value).startswith(str(path))
        assert isinstance(caught.value, PictureError)

    refused("text.mp4", b"a letter to nobody\n" * 50, r"is no video that can be read \(invalid data")
    refused("empty.mp4", b"", "is empty")
    refused("none.mp4", None, "does not exist")
    refused("", None, "is a directory")
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=film_files.HERTZ, layout="mono")
        container.mux([packet for part in film_files.tone(0.2) for packet in stream.encode(part)])
        container.mux(stream.encode())
    refused("sound.mp4", None, "has sound and no pictures")
    film_files.film(tmp_path / "a.mp4", film_files.frames(3), movflags="+faststart")
    film_files.cut(tmp_path / "a.mp4", 0.45)
    refused("a.mp4", None, "has no frame that can be read")


def test_missing_package_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(b"0")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r'reading videos needs PyAV: pip install "jaxviz-vision\[video\]"'):
        video.read(tmp_path / "a.mp4")


def test_memory_does_not_grow_with_a_film(tmp_path):
    def peak(count):
        film_files.film(tmp_path / "a.mp4", film_files.frames(1, (240, 320)).repeat(count, 0))
        tracemalloc.start()
        with video.read(tmp_path / "a.mp4") as film, video.Writer(tmp_path / "b.mp4", 25) as out:
            for frame in film:
                out.add(frame)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(2)
    assert peak(60) < peak(6) + 500_000
