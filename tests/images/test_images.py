import io
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from jaxviz import images, samples
from jaxviz.images import PictureError

RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, (6, 9, 3)).astype(np.uint8)
FLOATS = (BYTES / 255).astype(np.float32)
SMOOTH = np.linspace(0, 255, 32 * 48).reshape(32, 48).astype(np.uint8)[..., None].repeat(3, 2)


def saved(folder, name, image, **options):
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(folder / name, **options)
    return folder / name


def png_of_size(path, width, height, rows=b""):
    """Writes a 1-bit PNG; without rows it has no pixels, so decoding it fails."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + (chunk(b"IDAT", zlib.compress(rows)) if rows else b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.TIFF", "a.PNG"])
def test_lossless_formats_are_read_exactly(tmp_path, name):
    read = images.read(saved(tmp_path, name, BYTES))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, FLOATS)


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "a.webp"])
def test_lossy_formats_are_read_nearly(tmp_path, name):
    read = images.read(saved(tmp_path, name, SMOOTH, quality=95))
    np.testing.assert_allclose(read, SMOOTH / 255, atol=0.03)


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = images.read(saved(tmp_path, "a.png", BYTES, exif=exif))
    np.testing.assert_array_equal(read, UPRIGHT[orientation](FLOATS))


def test_damaged_exif_is_passed_over(tmp_path):
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01"
    read = images.read(saved(tmp_path, "a.jpg", SMOOTH, exif=exif, quality=95))
    np.testing.assert_allclose(read, SMOOTH / 255, atol=0.03)


def test_grey_becomes_three_equal_channels(tmp_path):
    read = images.read(saved(tmp_path, "a.png", BYTES[..., 0]))
    np.testing.assert_array_equal(read, FLOATS[..., :1].repeat(3, 2))


def test_grey_of_16_bits_keeps_its_precision(tmp_path):
    values = RANDOM.integers(0, 65536, (4, 5)).astype(np.uint16)
    read = images.read(saved(tmp_path, "a.png", values))
    np.testing.assert_allclose(read[..., 1], values / 65535, rtol=1e-6)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white(tmp_path, mode):
    image = Image.fromarray(np.dstack([BYTES, BYTES[..., :1]])).convert(mode)
    values = np.asarray(image.convert("RGBA")) / 255
    read = images.read(saved(tmp_path, "a.png", image))
    np.testing.assert_allclose(read, values[..., :3] * values[..., 3:] + 1 - values[..., 3:], atol=1e-6)


def test_palette_is_looked_up(tmp_path):
    image = Image.fromarray(BYTES).quantize(8)
    read = images.read(saved(tmp_path, "a.png", image))
    np.testing.assert_array_equal(read, np.asarray(image.convert("RGB"), np.float32) / 255)


def test_transparent_palette_entry_is_white(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60])
    read = images.read(saved(tmp_path, "a.png", image, transparency=b"\x00\xff"))
    np.testing.assert_allclose(read[0] * 255, [[255, 255, 255], [40, 50, 60]], atol=1e-4)


def test_one_bit_is_black_and_white(tmp_path):
    path = png_of_size(tmp_path / "a.png", 4, 1, b"\x00\xa0")
    np.testing.assert_array_equal(images.read(path)[0, :, 0], [1, 0, 1, 0])


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_cmyk_is_converted(tmp_path, name):
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    np.testing.assert_allclose(images.read(saved(tmp_path, name, image))[8, 8], [0, 1, 1], atol=0.02)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
def test_npy_holds_floats_of_any_precision(tmp_path, dtype):
    np.save(tmp_path / "a.npy", FLOATS.astype(dtype))
    read = images.read(tmp_path / "a.npy")
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, FLOATS, atol=1e-3)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1)])
def test_grey_npy_becomes_three_channels(tmp_path, shape):
    values = RANDOM.random(shape, np.float32)
    np.save(tmp_path / "a.npy", values)
    np.testing.assert_array_equal(images.read(tmp_path / "a.npy"), values.reshape(4, 5, 1).repeat(3, 2))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((2, 2, 3), np.nan), "NaN or infinite"),
        (np.full((2, 2, 3), np.inf), "NaN or infinite"),
        (np.full((2, 2, 3), 1e300), "NaN or infinite"),
        (np.full((2, 2, 3), 1.5), "[1.5, 1.5]; expected [0, 1]"),
        (np.full((2, 2, 3), -0.5), "[-0.5, -0.5]; expected [0, 1]"),
        (BYTES, "uint8; expected floats in [0, 1] (divide bytes by 255)"),
        (np.zeros((2, 2), np.int64), "int64"),
        (np.zeros((2, 2), bool), "bool"),
        (np.zeros((2, 2), np.complex64), "complex64"),
        (np.zeros(4), "[4]; expected [height, width, 3]"),
        (np.zeros((2, 2, 4)), "[2, 2, 4]; expected [height, width, 3]"),
        (np.zeros((1, 2, 2, 3)), "[1, 2, 2, 3]; expected [height, width, 3]"),
        (np.zeros((0, 2, 3)), "[0, 2, 3]; expected [height, width, 3]"),
    ],
)
def test_unsuitable_npy_is_refused(tmp_path, values, message):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(PictureError) as caught:
        images.read(tmp_path / "a.npy")
    assert message in str(caught.value)


def test_npy_that_is_no_plain_array_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, FLOATS)
    whole = path.read_bytes()
    archive = io.BytesIO()
    np.savez(archive, value=FLOATS)
    np.save(path, np.array([{}], object), allow_pickle=True)
    for content in (b"", b"text", whole[:-8], whole[:40], archive.getvalue(), path.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(PictureError, match=r"is no NumPy array that can be read .* numpy\.save"):
            images.read(path)


def test_npy_over_the_limit_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", FLOATS)
    with pytest.raises(PictureError, match=r"9×6 pixels, over the limit of 53; .*--max-pixels"):
        images.read(tmp_path / "a.npy", max_pixels=53)


def jpeg_bytes():
    buffer = io.BytesIO()
    Image.fromarray(SMOOTH).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no picture that can be read; expected PNG"),
        (b"no picture at all", "no picture that can be read; expected PNG"),
        (jpeg_bytes()[:-200], "damaged or unreadable"),
        (jpeg_bytes()[:40], "a.png"),
    ],
)
def test_file_that_is_no_picture_is_refused(tmp_path, content, message):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(PictureError) as caught:
        images.read(tmp_path / "a.png")
    assert str(tmp_path / "a.png") in str(caught.value)
    assert message in str(caught.value)


def test_missing_file_and_directory_are_refused(tmp_path):
    with pytest.raises(PictureError, match=r"a\.png does not exist; check the path"):
        images.read(tmp_path / "a.png")
    with pytest.raises(PictureError, match="is a directory; give the path of one picture"):
        images.read(tmp_path)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_no_damage_gets_past_the_reader(tmp_path, name):
    random = np.random.default_rng(1)
    buffer = io.BytesIO()
    Image.fromarray(SMOOTH).save(buffer, name)
    for round_number in range(60):
        data = np.frombuffer(buffer.getvalue(), np.uint8).copy()
        if round_number % 2:
            data = data[: random.integers(len(data))]
        else:
            data[random.integers(0, min(len(data), 200), 4)] = random.integers(0, 256, 4)
        (tmp_path / "a").write_bytes(data.tobytes())
        try:
            read = images.read(tmp_path / "a", max_pixels=10_000)
        except PictureError:
            continue
        assert read.ndim == 3
        assert 0 <= read.min() <= read.max() <= 1


def test_huge_picture_is_refused_before_it_is_decoded(tmp_path):
    path = png_of_size(tmp_path / "a.png", 20_000, 6_000)
    with pytest.raises(
        PictureError, match=r"20000×6000 pixels, over the limit of 100,000,000; .*--max-pixels"
    ):
        images.read(path)
    with pytest.raises(PictureError, match="damaged"):
        images.read(path, max_pixels=200_000_000)


def test_limit_of_pixels_can_be_set(tmp_path):
    path = saved(tmp_path, "a.png", BYTES)
    with pytest.raises(PictureError, match="over the limit of 53"):
        images.read(path, max_pixels=53)
    pillow_limit = Image.MAX_IMAGE_PIXELS
    assert images.read(path, max_pixels=54).shape == (6, 9, 3)
    assert pillow_limit == Image.MAX_IMAGE_PIXELS


def test_photographs_and_painting():
    cat = samples.photograph("chelsea")
    assert cat.shape == (300, 451, 3)
    assert samples.photograph("camera").shape == (512, 512, 3)
    first = samples.painting(32)
    np.testing.assert_array_equal(first, samples.painting(32))
    assert (first != samples.painting(32, seed=1)).any()
    for values in (cat, first):
        assert values.dtype == np.float32
        assert 0 <= values.min() < values.max() <= 1


def test_photograph_tells_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    with pytest.raises(ImportError, match="pip install scikit-image"):
        samples.photograph("chelsea")


def test_a_thousand_damaged_arrays_are_refused_or_read(tmp_path):
    random = np.random.default_rng(0)
    np.save(tmp_path / "whole.npy", np.linspace(0, 1, 48, dtype=np.float32).reshape(4, 4, 3))
    whole = (tmp_path / "whole.npy").read_bytes()
    header = len(whole) - 4 * 48
    messages = []
    for k in range(1000):
        data = bytearray(whole)
        if k % 10 == 0:
            data = data[: random.integers(0, len(data))]
        else:
            reach = header if k % 10 < 9 else len(data)
            for place in random.integers(0, reach, random.integers(1, 4)):
                data[place] ^= 1 << int(random.integers(0, 8))
        path = tmp_path / "damaged.npy"
        path.write_bytes(data)
        try:
            read = images.read(path)
        except images.PictureError as error:
            messages.append(str(error))
        else:
            assert read.dtype == np.float32
            assert read.min() >= 0
            assert read.max() <= 1
    assert len(messages) > 700
    assert not any("\n" in message for message in messages)


def test_pictures_that_were_much_enlarged_are_told():
    dot, small, large = (np.zeros((*shape, 3), np.float32) for shape in ((1, 1), (100, 120), (224, 224)))
    assert images.enlarged(dot, large) == "1×1 pixels, enlarged to 224×224"
    assert images.enlarged(small, large) == "120×100 pixels, enlarged to 224×224"
    assert images.enlarged(large, small) == images.enlarged(large, large) == ""


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_tiffs_are_turned_as_they_say(tmp_path, dtype):
    pixels = np.arange(32, dtype=dtype).reshape(4, 8)
    orientation = {274: 6}
    Image.fromarray(pixels).save(tmp_path / "turned.tif", tiffinfo=orientation)
    expected = np.rot90(pixels, -1) / np.iinfo(dtype).max
    np.testing.assert_allclose(images.read(tmp_path / "turned.tif")[..., 0], expected, rtol=1e-6)


@pytest.mark.parametrize("photometric", [0, 1])
def test_grey_tiffs_of_16_bits_whose_white_is_zero_are_turned_round(tmp_path, photometric):
    pixels = np.array([[0, 1000], [30000, 65535]], np.uint16)
    tags = [
        (256, 2),
        (257, 2),
        (258, 16),
        (259, 1),
        (262, photometric),
        (273, 8),
        (277, 1),
        (278, 2),
        (279, 8),
    ]
    directory = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    start = struct.pack("<2sHI", b"II", 42, 16) + pixels.astype("<u2").tobytes()
    path = tmp_path / "grey.tif"
    path.write_bytes(start + struct.pack("<H", len(tags)) + directory + bytes(4))
    expected = pixels / 65535 if photometric else 1 - pixels / 65535
    np.testing.assert_allclose(images.read(path)[..., 0], expected, rtol=0, atol=1e-6)


def test_transparent_grey_of_16_bits_is_white(tmp_path):
    pixels = np.array([[1000, 1001], [0, 65535]], np.uint16)
    path = saved(tmp_path, "grey.png", pixels, transparency=1000)
    np.testing.assert_allclose(images.read(path)[..., 0], [[1, 1001 / 65535], [0, 1]], rtol=1e-6)


@pytest.mark.parametrize("bits", [0x7FF0000000000001, 0x7FF8000000000000, 0x7E37E43C8800759C])
def test_doubles_that_are_no_floats_are_refused_without_a_warning(tmp_path, bits):
    """NaN that signals, NaN that does not, and 1e300."""
    np.save(tmp_path / "a.npy", np.full(12, bits, np.uint64).view(np.float64).reshape(2, 2, 3))
    with pytest.raises(PictureError, match="NaN or infinite"):
        images.read(tmp_path / "a.npy")
