"""Weight files of every origin, read without running anything in them."""

import errno
import stat
from pathlib import Path

from jaxviz.checkpoints.formats import archives, keras, npz, onnx, pytorch, safetensors
from jaxviz.checkpoints.formats.base import Tensor, WeightFile, WeightsError
from jaxviz.checkpoints.formats.checks import check_tensors, reading, refusal

__all__ = ["Tensor", "WeightFile", "WeightsError", "open_file"]

EXPECTED = "a weight file (safetensors, PyTorch, Keras HDF5, npz or ONNX)"


def _beginning(path: Path) -> bytes:
    """Returns the first bytes of a regular file; says why there are none, where there are none."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise refusal(path, EXPECTED, "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file")
        if not status.st_size:
            raise refusal(path, EXPECTED, "an empty file")
        with path.open("rb") as file:
            return file.read(512)
    except FileNotFoundError as error:
        link = f"a symbolic link to {path.readlink()}, where nothing is" if path.is_symlink() else "none"
        raise refusal(path, EXPECTED, link) from error
    except OSError as error:
        looping = "a symbolic link that leads back to itself"
        found = looping if error.errno == errno.ELOOP else f"{error.strerror}"
        raise refusal(path, EXPECTED, found) from error
    except ValueError as error:
        # A path with a null byte is no path.
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path!r}: expected {EXPECTED}, found: {error}") from error


def _zipped(path: Path) -> WeightFile:
    members = archives.members(path)
    if any(name.endswith("/data.pkl") or name == "data.pkl" for name in members):
        return pytorch.read_zip(path)
    if any(name.endswith(".npy") for name in members):
        return npz.read(path)
    if "model.weights.h5" in members:
        raise refusal(path, EXPECTED, "Keras 3's own format; save with model.save('weights.h5')")
    raise refusal(path, EXPECTED, f"a zip archive of {len(members)} other files")


def open_file(path: Path) -> WeightFile:
    """Returns the contents of a weight file, whose format is told by its content and not by its name.

    Nothing in the file is run, and no other file is opened. Arrays are read when asked for.

    Args:
      path: A file, or a symbolic link to one.

    Raises:
      WeightsError: If there is no file, it cannot be read, is damaged, or holds anything but weights.
    """
    start = _beginning(path)
    with reading(path, EXPECTED):
        if start.startswith(b"PK\x03\x04"):
            file = _zipped(path)
        elif start.startswith(b"\x89HDF\r\n\x1a\n"):
            file = keras.read(path)
        elif start[257:262] == b"ustar":
            raise refusal(path, EXPECTED, "a tar archive; PyTorch ≥ 0.2 loads it, and saves it anew as zip")
        elif start[8:9] == b"{" and start[5:8] == bytes(3):
            # Before pickles: a header of 128 + 256 k bytes begins like one.
            file = safetensors.read(path)
        elif start[:1] == b"\x80" and start[1:2] <= b"\x05":
            file = pytorch.read_stream(path)
        elif path.suffix.lower() == ".onnx" or onnx.begins(start):
            file = onnx.read(path)
        else:
            raise refusal(path, EXPECTED, f"a file that begins {start[:16]!r}")
        check_tensors(path, file.tensors)
        return file
