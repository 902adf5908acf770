"""To files: all or nothing, whatever ends the process."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from jaxviz.images.pictures import ARRAY_SUFFIXES, PICTURE_SUFFIXES, PictureError, to_bytes


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
      image: [h, w, 3], or [h, w] for grey; bytes, as plots are, stand for themselves.

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


def write_cutout(path: str | Path, image: np.ndarray, alpha: np.ndarray, *, dpi: int = 300) -> None:
    """Writes a PNG that is transparent in parts, with the size at which it is to be printed.

    Args:
      path: `.png`.
      image: [h, w, 3], in [0, 1].
      alpha: [h, w], from 0, transparent, to 1.
      dpi: Pixels per inch of the print.

    Raises:
      PictureError: If the file cannot be written.
    """
    with atomically(path) as temporary:
        whole = np.concatenate([to_bytes(image), to_bytes(alpha)[..., None]], -1)
        PillowImage.fromarray(whole).save(temporary, dpi=(dpi, dpi))


def checked_suffix(path: str | Path) -> str:
    """Returns a path's suffix in lower case; raises ValueError where no format has it."""
    suffix = Path(path).suffix.lower()
    if suffix not in PICTURE_SUFFIXES + ARRAY_SUFFIXES:
        known = ", ".join((*PICTURE_SUFFIXES, *ARRAY_SUFFIXES))
        raise ValueError(f"{path} cannot be written as {suffix or 'a file without suffix'}; expected {known}")
    return suffix
