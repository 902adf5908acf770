"""Pictures in files and as arrays: reading, writing, resizing, on the host with NumPy and Pillow.

Inside the library a picture is RGB, float32, [height, width, 3], in [0, 1].
"""

import contextlib
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image as PillowImage
from PIL import ImageOps, UnidentifiedImageError

Picture = Float[np.ndarray, "h w 3"]
Resized = Float[np.ndarray, "_ _ 3"]
Pixels = Picture | UInt8[np.ndarray, "h w 3"]
"""A picture as its file has it: floats in [0, 1], or bytes that stand for their value / 255."""
Cut = Resized | UInt8[np.ndarray, "_ _ 3"]
MAX_PIXELS = 100_000_000
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
ARRAY_SUFFIXES = (".npy", ".npz")


class PictureError(ValueError):
    """A file that cannot be used as a picture; the message names it, the cause and the remedy."""


def read(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Returns the picture in a file as RGB in [0, 1].

    EXIF orientation is applied, transparency is laid over white, grey, 16-bit, palette and CMYK pictures are
    converted. A `.npy` file must hold floats in [0, 1], [h, w, 3] or [h, w].

    Args:
      path: PNG, JPEG, WebP, TIFF, BMP or `.npy`.
      max_pixels: Larger pictures are refused before they are decoded.

    Raises:
      PictureError: If the file is missing, is no picture, is damaged, too large, or holds values out of range.
    """
    return to_floats(decode(path, max_pixels=max_pixels))


def decode(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Returns the picture in a file as `read` does, but as bytes where its colors are bytes.

    A quarter of the memory, and what is cut away need not become floats: `to_floats` gives what `read` gives.

    Args:
      path: As for `read`.
      max_pixels: As for `read`.

    Raises:
      PictureError: As `read` does.
    """
    path = Path(path)
    if path.is_dir():
        raise PictureError(f"{path} is a directory; give the path of one picture")
    if path.suffix.lower() == ".npy":
        return _read_array(path, max_pixels)
    if not path.exists():
        raise PictureError(f"{path} does not exist; check the path")
    try:
        # Not by its path: Pillow maps such files into memory, and turns grey TIFFs wrongly then.
        with quiet, path.open("rb") as stream, PillowImage.open(stream) as file:
            check_pixels(path, file.height, file.width, max_pixels)
            file.load()
            inverted = _is_inverted(file)
            ImageOps.exif_transpose(file, in_place=True)  # else it copies what is upright too
            values = _to_rgb(file, path)
            return 1 - values if inverted else values
    except UnidentifiedImageError as error:
        raise PictureError(
            f"{path} is no picture that can be read; expected PNG, JPEG, WebP, TIFF or BMP"
        ) from error
    except Exception as error:  # Pillow's decoders raise many kinds
        if isinstance(error, PictureError | MemoryError):
            raise
        raise PictureError(
            f"{path} is damaged or unreadable ({error}); save it again or take another"
        ) from error


class _Quiet:
    """Silences Pillow and NumPy while any thread reads a picture.

    Pillow's own limit can't be passed to a call, and would refuse what --max-pixels allows. It warns of damage
    in metadata, which the picture does not suffer from. Limit and filters belong to the whole process: the
    first thread to read sets them and the last one restores them, or one would restore what another has set.
    """

    def __init__(self) -> None:
        self.lock, self.reading, self.undo = threading.Lock(), 0, contextlib.ExitStack()

    def __enter__(self) -> None:
        with self.lock:
            if self.reading == 0:
                self.undo.enter_context(warnings.catch_warnings(action="ignore"))
                self.undo.callback(setattr, PillowImage, "MAX_IMAGE_PIXELS", PillowImage.MAX_IMAGE_PIXELS)
                PillowImage.MAX_IMAGE_PIXELS = None
            self.reading += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.reading -= 1
            if self.reading == 0:
                self.undo.close()


quiet = _Quiet()


def open_array(path: Path) -> np.ndarray:
    """Returns the array of an `.npy` file, whatever it holds, without reading its values.

    Raises:
      PictureError: If the file is not there, or holds no array of numbers.
    """
    if not path.exists():
        raise PictureError(f"{path} does not exist; check the path")
    try:
        with quiet:  # of headers that are old or strange
            return np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # a damaged header makes NumPy's parser raise many kinds
        reason = " ".join(str(error).split())[:120]
        raise PictureError(
            f"{path} is no NumPy array that can be read ({reason}); save it with numpy.save"
        ) from error


def _read_array(path: Path, max_pixels: int) -> Picture:
    values = open_array(path)
    if values.ndim not in (2, 3) or values.shape[2:] not in ((), (1,), (3,)) or values.size == 0:
        raise PictureError(
            f"{path} holds an array of shape {list(values.shape)}; expected [height, width, 3]"
        )
    if not np.issubdtype(values.dtype, np.floating):
        raise PictureError(f"{path} holds {values.dtype}; expected floats in [0, 1] (divide bytes by 255)")
    check_pixels(path, values.shape[0], values.shape[1], max_pixels)
    with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite or NaN is refused below
        pixels = np.array(values, np.float32).reshape(*values.shape[:2], -1)
    return _in_range(np.repeat(pixels, 3 // pixels.shape[2], axis=2), path)


def check_pixels(path: Path, height: int, width: int, max_pixels: int) -> None:
    """Raises PictureError for a picture of more pixels than are allowed."""
    if height * width > max_pixels:
        raise PictureError(
            f"{path} has {width}×{height} pixels, over the limit of {max_pixels:,}; "
            "make it smaller or raise --max-pixels"
        )


def _in_range(values: Picture, path: Path) -> Picture:
    if not np.isfinite(values).all():
        raise PictureError(f"{path} holds NaN or infinite values; replace them first")
    if values.min() < 0 or values.max() > 1:
        span = f"[{values.min():.4g}, {values.max():.4g}]"
        raise PictureError(f"{path} holds values in {span}; expected [0, 1]")
    return values


def _is_inverted(file: PillowImage.Image) -> bool:
    # Pillow heeds TIFF's PhotometricInterpretation 0, white is zero, in pictures of 8 bits, and not of 16.
    return file.format == "TIFF" and file.mode.startswith("I;16") and file.getexif().get(262) == 0


def _to_rgb(file: PillowImage.Image, path: Path) -> Pixels:
    if file.mode.startswith("I") or file.mode == "F":
        values: np.ndarray = np.asarray(file, np.float32)
        see_through = values == file.info.get("transparency", -1)
        values = values if file.mode == "F" else values / np.float32(65535)
        values = np.where(see_through, np.float32(1), values)
        return _in_range(np.repeat(values[..., None], 3, axis=2), path)
    if file.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in file.info:
        values = np.asarray(file.convert("RGBA"), np.float32) / 255
        alpha = values[..., 3:]
        return values[..., :3] * alpha + (1 - alpha)
    return np.asarray(file if file.mode == "RGB" else file.convert("RGB"))


def to_floats(image: np.ndarray) -> np.ndarray:
    """Returns bytes of any shape as float32 in [0, 1], divided by 255; floats as they are.

    Example:
      >>> jaxviz.images.to_floats(np.array([0, 51, 255], np.uint8))
      array([0. , 0.2, 1. ], dtype=float32)
    """
    return np.divide(image, np.float32(255), dtype=np.float32) if image.dtype == np.uint8 else image


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Returns the picture as a file stores it: clipped to [0, 1] and rounded to 8 bits."""
    return np.round(np.clip(np.asarray(image, np.float32), 0, 1) * 255).astype(np.uint8)


def temporary_beside(path: str | Path) -> Path:
    """Returns a new empty file in the folder of `path`.

    Raises:
      PictureError: If `path` is a directory or a device, or its folder does not exist or cannot be written to.
    """
    path = Path(path)
    with writing(path):
        if path.exists() and not path.is_file():
            raise OSError("it is a directory or a device")
        descriptor, name = tempfile.mkstemp(prefix=".jaxviz-", suffix=path.suffix, dir=path.parent)
    os.close(descriptor)
    return Path(name)


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turns an OSError of its block into a PictureError that names `path`, cause and remedy."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise PictureError(f"{path} cannot be written ({reason}); choose another path") from error


@contextlib.contextmanager
def atomically(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` that takes its place at the end; on an error nothing is left.

    Raises:
      PictureError: As `temporary_beside` does.
    """
    temporary = temporary_beside(path)
    try:
        with writing(path):
            yield temporary
            mask = os.umask(0)
            os.umask(mask)
            temporary.chmod(0o666 & ~mask)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write(path: str | Path, image: np.ndarray) -> None:
    """Writes an image, or the raw array where the suffix is `.npy` or `.npz`; never a partial file.

    Args:
      path: `.png`, `.jpg`, `.webp`, `.tif` or `.bmp`: 8 bits, clipped to [0, 1]; `.npy` or `.npz` (as `value`):
        the floats as they are.
      image: [h, w, 3], or [h, w] for grey.

    Raises:
      ValueError: If the suffix is unknown.
      PictureError: If the file cannot be written.
    """
    path = Path(path)
    suffix = checked_suffix(path)
    with atomically(path) as temporary:
        if suffix == ".npy":
            np.save(temporary, np.asarray(image, np.float32))
        elif suffix == ".npz":
            np.savez(temporary, value=np.asarray(image, np.float32))
        else:
            PillowImage.fromarray(to_bytes(image)).save(temporary, quality=95)


def checked_suffix(path: str | Path) -> str:
    """Returns a path's suffix in lower case; raises ValueError where no format has it."""
    suffix = Path(path).suffix.lower()
    if suffix not in PICTURE_SUFFIXES + ARRAY_SUFFIXES:
        known = ", ".join((*PICTURE_SUFFIXES, *ARRAY_SUFFIXES))
        raise ValueError(f"{path} cannot be written as {suffix or 'a file without suffix'}; expected {known}")
    return suffix


def resize(image: Pixels, height: int, width: int) -> Resized:
    """Returns the picture at another size: Pillow's antialiased bicubic in float, clipped to [0, 1].

    Raises:
      ValueError: If the size is over `MAX_PIXELS`.
    """
    return to_floats(cut(image, (height, width), (height, width)))


def cut(image: Pixels, whole: tuple[int, int], part: tuple[int, int]) -> Cut:
    """Returns the centre, `part` pixels of it, of the picture that `resize` makes `whole` pixels large.

    Bytes stay bytes where the picture has that size already.

    Args:
      image: Floats in [0, 1], or bytes.
      whole: Height and width of the resized picture.
      part: Height and width of what is cut out; no larger.

    Raises:
      ValueError: If the size is over `MAX_PIXELS`.

    Example:
      >>> jaxviz.images.cut(np.zeros((8, 9, 3), np.uint8), (8, 9), (4, 4)).dtype
      dtype('uint8')
    """
    (height, width), (h, w) = whole, part
    top, left = (height - h) // 2, (width - w) // 2
    if image.shape[:2] == (height, width):
        return image[top : top + h, left : left + w]
    if height * width > MAX_PIXELS:
        old = f"{image.shape[1]}×{image.shape[0]}"
        raise ValueError(
            f"a picture of {old} pixels would become {width}×{height}, over the limit of {MAX_PIXELS:,}; "
            "take a smaller size, or cut it to a less extreme shape"
        )
    made = np.empty((h, w, 3), np.float32)
    for c in range(3):
        channel = PillowImage.fromarray(to_floats(image[..., c]))
        # Pillow's own `box` would resize the part alone, but rounds its places otherwise in the last bit.
        channel = channel.resize((width, height), PillowImage.Resampling.BICUBIC)
        np.clip(np.asarray(channel.crop((left, top, left + w, top + h))), 0, 1, out=made[..., c])
    return made


def fit_longer(image: Pixels, size: int) -> Resized:
    """Returns the picture with its longer side of `size` pixels, aspect kept."""
    h, w = image.shape[:2]
    scale = size / max(h, w)
    return resize(image, max(1, round(h * scale)), max(1, round(w * scale)))


def fit_square(image: Pixels, size: int) -> Resized:
    """Returns `size`×`size` pixels for a classifier.

    A picture of exactly that size is taken as it is; of any other, the shorter side is made round(8/7 · `size`)
    pixels (256 for 224) and the centre cut out.
    """
    return to_floats(cut_square(image, size))


def cut_square(image: Pixels, size: int) -> Cut:
    """Returns what `fit_square` returns, but bytes of a picture of bytes from which it is only cut."""
    h, w = image.shape[:2]
    if (h, w) == (size, size):
        return image
    scale = round(8 * size / 7) / min(h, w)
    return cut(image, (max(size, round(h * scale)), max(size, round(w * scale))), (size, size))


def enlarged(before: np.ndarray, after: np.ndarray) -> str:
    """Returns what to say of a picture whose shorter side was made more than twice as long; else nothing.

    Example:
      >>> enlarged(np.zeros((1, 1, 3)), np.zeros((256, 256, 3)))
      '1×1 pixels, enlarged to 256×256'
    """
    (h, w), (height, width) = before.shape[:2], after.shape[:2]
    if min(height, width) <= 2 * min(h, w):
        return ""
    return f"{w}×{h} pixels, enlarged to {width}×{height}"
