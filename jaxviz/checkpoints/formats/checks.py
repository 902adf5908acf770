"""What the readers share: one form for every refusal, and what is checked whoever wrote the file."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import ml_dtypes
import numpy as np

from jaxviz.checkpoints.formats.base import Tensor, WeightsError

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
NUMBERS = {np.dtype(kind) for kind in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?")}
NUMBERS |= {BFLOAT16}
"""The types that a tensor can have."""
MAX_DIMENSIONS = 8
MAX_NAME = 256


def refusal(path: Path, expected: str, found: str) -> WeightsError:
    """Returns the error that names the file, what was expected and what was found."""
    return WeightsError(f"{path}: expected {expected}, found {found}")


def shown(text: object) -> str:
    """Returns a text of the file in a form that is short and safe to print."""
    text = text if isinstance(text, str) and text.isprintable() else repr(text)
    return text if len(text) <= 120 else text[:120] + "…"


@contextlib.contextmanager
def reading(path: Path, expected: str) -> Iterator[None]:
    """Turns what a damaged file makes libraries raise into WeightsError.

    The lists of what pickle, zipfile, h5py and protobuf may raise are open-ended, by their own word.
    """
    try:
        yield
    except WeightsError:
        raise
    except OSError as error:
        raise refusal(path, expected, shown(error.strerror or str(error))) from error
    except Exception as error:
        raise refusal(path, expected, f"damage ({type(error).__name__}: {shown(str(error))})") from error


def check_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raises WeightsError unless there are tensors, and their names can be printed."""
    if not tensors:
        raise refusal(path, "weights", "a file without any")
    for name in tensors:
        if not name or not name.isprintable() or len(name) > MAX_NAME:
            raise refusal(path, "names of printable letters", shown(repr(name)))


def byte_count(path: Path, name: str, shape: tuple, dtype: np.dtype) -> int:
    """Returns the size of an array; raises WeightsError for a shape or a type that no weights have."""
    if len(shape) > MAX_DIMENSIONS or not all(type(size) is int and 0 <= size < 2**48 for size in shape):
        raise refusal(path, f"the shape of {shown(name)}", shown(str(shape)))
    if dtype not in NUMBERS:
        raise refusal(path, f"numbers in {shown(name)}", shown(str(dtype)))
    return math.prod(shape) * dtype.itemsize


def part(path: Path, offset: int, count: int) -> bytes:
    """Returns so many bytes of a file; raises WeightsError if it ends before, without allocating them."""
    with reading(path, f"{count} bytes at {offset}"), path.open("rb") as file:
        if count > file.seek(0, 2) - offset:
            raise refusal(path, f"{count} bytes at {offset}", "the end of the file")
        file.seek(offset)
        data = file.read(count)
    if len(data) != count:
        raise refusal(path, f"{count} bytes at {offset}", f"{len(data)}")
    return data


def stored(path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype) -> Callable[[], np.ndarray]:
    """Returns the function that reads an array which lies in the file as it is in memory."""
    count = math.prod(shape) * dtype.itemsize
    return lambda: np.frombuffer(part(path, offset, count), dtype).reshape(shape)


def without_prefix(tensors: dict[str, Tensor], prefixes: tuple[str, ...]) -> dict[str, Tensor]:
    """Returns the tensors with a prefix taken off that all names have, as containers of a network add it."""
    for prefix in prefixes:
        if tensors and all(name.startswith(prefix) for name in tensors):
            return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors
