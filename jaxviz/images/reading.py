"""From files: pictures of many kinds, and arrays, as RGB in [0, 1]."""

import contextlib
import threading
import warnings
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageOps, UnidentifiedImageError

from jaxviz.images.pictures import MAX_PIXELS, Picture, PictureError, Pixels, to_floats


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
