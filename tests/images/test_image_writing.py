import errno
import os

import numpy as np
import pytest
from PIL import Image

from jaxviz import images
from jaxviz.images import PictureError

RANDOM = np.random.default_rng(0)
FLOATS = RANDOM.random((6, 9, 3), np.float32)


@pytest.fixture
def umask():
    """A umask of 0o027 while the test runs."""
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.tiff", "a.PNG"])
def test_picture_is_written_with_8_bits(tmp_path, name):
    images.write(tmp_path / name, FLOATS)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / name)), np.round(FLOATS * 255))


@pytest.mark.parametrize(("name", "kind"), [("a.jpg", "JPEG"), ("a.jpeg", "JPEG"), ("a.webp", "WEBP")])
def test_suffix_chooses_the_format(tmp_path, name, kind):
    images.write(tmp_path / name, FLOATS)
    with Image.open(tmp_path / name) as file:
        assert (file.format, file.size) == (kind, (9, 6))


def test_grey_is_written(tmp_path):
    images.write(tmp_path / "a.png", FLOATS[..., 0])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), np.round(FLOATS[..., 0] * 255))


def test_raw_arrays_are_written_as_they_are(tmp_path):
    values = FLOATS[..., 0] * 40 - 7
    images.write(tmp_path / "a.npy", values)
    images.write(tmp_path / "a.npz", values)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), values)
    with np.load(tmp_path / "a.npz") as file:
        np.testing.assert_array_equal(file["value"], values)


def test_bytes_are_clipped_and_rounded():
    np.testing.assert_array_equal(
        images.to_bytes(np.array([-1, 0, 0.4 / 255, 0.6 / 255, 254.6 / 255, 1, 9])),
        [0, 0, 0, 1, 255, 255, 255],
    )


@pytest.mark.parametrize("name", ["a", "a.gif", "a.png.txt", "png"])
def test_unknown_suffix_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"cannot be written as .*; expected \.png, "):
        images.write(tmp_path / name, FLOATS)
    assert not list(tmp_path.iterdir())


def test_unwritable_paths_are_refused(tmp_path):
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "file").touch()
    for path, reason in (
        ("none/a.png", "No such file or directory"),
        ("folder.png", "it is a directory or a device"),
        ("pipe.png", "it is a directory or a device"),
        ("file/a.png", "Not a directory"),
    ):
        with pytest.raises(PictureError) as caught:
            images.write(tmp_path / path, FLOATS)
        assert str(caught.value) == f"{tmp_path / path} cannot be written ({reason}); choose another path"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png", "pipe.png"]


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    images.write(path, FLOATS)
    old = path.read_bytes()

    def full(self, target, **options):
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(PictureError, match=r"a\.png cannot be written \(No space left on device\)"):
        images.write(path, FLOATS / 2)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_interrupted_write_leaves_nothing(tmp_path):
    def write():
        with images.atomically(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("umask")
def test_written_file_has_the_permissions_of_any_new_file(tmp_path):
    images.write(tmp_path / "a.png", FLOATS)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o640


def test_resizing_to_the_same_size_changes_nothing():
    same = images.resize(FLOATS, 6, 9)
    assert np.shares_memory(same, FLOATS)
    np.testing.assert_array_equal(same, FLOATS)


def test_resizing_keeps_colors_and_range():
    constant = np.full((5, 7, 3), (0.2, 0.5, 0.9), np.float32)
    np.testing.assert_allclose(
        images.resize(constant, 11, 4), np.full((11, 4, 3), (0.2, 0.5, 0.9)), rtol=1e-6
    )
    edges = images.resize(np.round(FLOATS), 24, 36)
    assert edges.dtype == np.float32
    assert (edges.min(), edges.max()) == (0, 1)


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [((6, 9), 18, (12, 18)), ((9, 6), 18, (18, 12)), ((6, 9), 4, (3, 4)), ((1, 300), 30, (1, 30))],
)
def test_longer_side_is_fitted(shape, size, expected):
    assert images.fit_longer(np.zeros((*shape, 3), np.float32), size).shape[:2] == expected


def test_picture_of_the_classifiers_size_is_taken_as_it_is():
    square = RANDOM.random((7, 7, 3), np.float32)
    assert images.fit_square(square, 7) is square


@pytest.mark.parametrize(
    ("shape", "resized"), [((64, 96), (80, 120)), ((96, 64), (120, 80)), ((300, 300), (80, 80))]
)
def test_other_picture_is_resized_and_its_centre_cut_out(shape, resized):
    picture = RANDOM.random((*shape, 3), np.float32)
    top, left = ((side - 70) // 2 for side in resized)
    expected = images.resize(picture, *resized)[top : top + 70, left : left + 70]
    np.testing.assert_array_equal(images.fit_square(picture, 70), expected)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 224])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (40, 3), (224, 223)])
def test_square_has_the_size_asked_for(shape, size):
    assert images.fit_square(np.ones((*shape, 3), np.float32), size).shape == (size, size, 3)


def test_extreme_shapes_are_refused_before_they_fill_the_memory():
    line = np.zeros((1, 5000, 3), np.float32)
    with pytest.raises(ValueError, match="5000×1 pixels would become 1280000×256, over the limit"):
        images.fit_square(line, 224)
    with pytest.raises(ValueError, match="take a smaller size"):
        images.fit_longer(FLOATS, 10**9)


def test_bytes_are_written_as_they_are(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    images.write(tmp_path / "a.png", values)
    with Image.open(tmp_path / "a.png") as found:
        np.testing.assert_array_equal(np.asarray(found), values)
