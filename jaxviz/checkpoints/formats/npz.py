"""NumPy archives: a zip of .npy members, each with a header that says type and shape."""

import io
import re
import warnings
import zipfile
from functools import partial
from pathlib import Path

import numpy as np

from jaxviz.checkpoints.formats import archives
from jaxviz.checkpoints.formats.base import Tensor, WeightFile
from jaxviz.checkpoints.formats.checks import byte_count, reading, refusal, shown

BEGINNING = 2**14
"""Bytes that hold any header that NumPy reads: it takes no more than 10 000."""
KINDS = {"_W": "/kernel", "_b": "/bias"}


def _header(path: Path, info: zipfile.ZipInfo) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Returns shape, whether in Fortran's order, type, and where the numbers begin."""
    file = io.BytesIO(archives.beginning(path, info, BEGINNING))
    with reading(path, f"a .npy header in {shown(info.filename)}"), warnings.catch_warnings():
        # NumPy and Python warn of headers that are old or strange; they are read, or they are refused.
        warnings.simplefilter("ignore")
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
        else:
            raise refusal(path, "version 1 or 2 of .npy", shown(str(version)))
    if dtype.hasobject or dtype.names or dtype.subdtype:
        kind = "Python objects, which are pickled and not read" if dtype.hasobject else shown(str(dtype))
        raise refusal(path, f"numbers in {shown(info.filename)}", kind)
    return shape, fortran, dtype, file.tell()


def _array(path: Path, info: zipfile.ZipInfo) -> np.ndarray:
    shape, fortran, dtype, start = _header(path, info)
    data = archives.content(path, info)
    array = np.frombuffer(data, dtype, offset=start).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), copy=False)


def read(path: Path) -> WeightFile:
    """Returns the arrays of an archive of NumPy, under the names that they have in it.

    Two spellings of Keras are made one: `conv1_W` and `conv1_b` are returned as `conv1/kernel` and
    `conv1/bias`; `conv1/kernel` remains what it is. Objects are not unpickled.
    """
    tensors: dict[str, Tensor] = {}
    for member, info in archives.members(path).items():
        if not member.endswith(".npy"):
            raise refusal(path, "arrays of NumPy alone", shown(member))
        shape, _, dtype, start = _header(path, info)
        if (count := byte_count(path, member, shape, dtype.newbyteorder("="))) != info.file_size - start:
            raise refusal(path, f"{count} bytes of numbers in {shown(member)}", f"{info.file_size - start}")
        name = re.sub("_[Wb]$", lambda match: KINDS[match[0]], member.removesuffix(".npy"))
        if name in tensors:
            raise refusal(path, "each name once", f"{shown(name)} twice")
        tensors[name] = Tensor(shape, dtype.newbyteorder("="), partial(_array, path, info))
    return WeightFile(path, "npz", tensors)
