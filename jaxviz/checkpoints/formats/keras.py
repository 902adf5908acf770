"""Weights of Keras in HDF5, in the layout of Keras Applications: a group for each layer, by name."""

import importlib.util
import itertools
import json
import math
import os
import re
import subprocess
import sys
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxviz.checkpoints.formats import hdf5_worker
from jaxviz.checkpoints.formats.base import Tensor, WeightFile
from jaxviz.checkpoints.formats.checks import byte_count, part, reading, refusal, shown, stored

SECONDS = 60
OLDER = {
    "W": "kernel",
    "b": "bias",
    "gamma": "gamma",
    "beta": "beta",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",
}
"""Ending in Keras 1 → kind; what it called a deviation is a variance."""


def _kind(name: str) -> str:
    """Returns what a weight is to its layer.

    Example:
      >>> _kind("conv1_conv/kernel:0"), _kind("conv1_W_1:0"), _kind("bn_conv1_running_std_1:0")
      ('kernel', 'kernel', 'moving_variance')
    """
    last = name.rsplit("/", 1)[-1].split(":")[0]
    match = re.search(rf"_({'|'.join(OLDER)})(_\d+)?$", last)
    return OLDER[match[1]] if match else re.sub(r"_\d+$", "", last)


def isolated(path: Path) -> dict[str, Any]:
    """Returns what HDF5's library says of a file, from a process that may hang or crash on it."""
    if importlib.util.find_spec("h5py") is None:
        raise refusal(path, "to read HDF5", "no package h5py; pip install h5py")
    command = [sys.executable, "-P", hdf5_worker.__file__, os.path.abspath(path)]
    # Each thread of a linear algebra library that is not used would reserve memory.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    try:
        ended = subprocess.run(command, capture_output=True, timeout=SECONDS, env=environment, check=False)
    except subprocess.TimeoutExpired as error:
        raise refusal(path, "a Keras HDF5 file", f"damage that keeps HDF5 busy for {SECONDS} s") from error
    try:
        return json.loads(ended.stdout)
    except ValueError as error:
        lines = ended.stderr.decode(errors="replace").strip().splitlines() or ["no word"]
        found = f"damage that ended HDF5 with status {ended.returncode} ({shown(lines[-1])})"
        raise refusal(path, "a Keras HDF5 file", found) from error


def _chunk(
    path: Path, record: dict[str, Any], shape: tuple[int, ...], place: list[Any], dtype: np.dtype
) -> np.ndarray:
    """Returns one chunk, its filters undone in reverse; the mask has a bit for each that was not applied."""
    _, offset, size, mask = place
    data = part(path, offset, size)
    count = math.prod(shape) * dtype.itemsize
    for i, code in reversed(list(enumerate(record["filters"]))):
        if mask >> i & 1:
            continue
        if code == hdf5_worker.DEFLATE:
            data = zlib.decompressobj().decompress(data, max(count, 1))
        else:
            data = np.frombuffer(data, np.uint8).reshape(dtype.itemsize, -1).T.tobytes()
    return np.frombuffer(data, dtype).reshape(shape)


def _chunked(path: Path, record: dict[str, Any], dtype: np.dtype) -> np.ndarray:
    shape, window = record["shape"], tuple(record["chunk_shape"])
    name = shown(record["name"])
    places = {tuple(chunk[0]): chunk for chunk in record["chunks"]}
    starts = itertools.product(*(range(0, n, c) for n, c in zip(shape, window, strict=True)))
    with reading(path, f"the chunks of {name}"):
        array = np.empty(shape, dtype)
        for start in starts:
            if start not in places:
                raise refusal(path, f"a chunk of {name} at {start}", "none")
            chunk = _chunk(path, record, window, places[start], dtype)
            target = array[tuple(slice(i, i + c) for i, c in zip(start, window, strict=True))]
            target[...] = chunk[tuple(slice(n) for n in target.shape)]
        return array


def _tensor(path: Path, record: dict[str, Any]) -> Tensor:
    dtype, shape = np.dtype(record["dtype"]), tuple(record["shape"])
    native = dtype.newbyteorder("=")
    byte_count(path, record["name"], shape, native)
    contiguous = "offset" in record
    read = (
        stored(path, record["offset"], shape, dtype) if contiguous else partial(_chunked, path, record, dtype)
    )
    return Tensor(shape, native, lambda: read().astype(native, copy=False))


def interpret(path: Path, description: dict[str, Any]) -> WeightFile:
    """Returns the weights that `hdf5_worker` described."""
    if "tensors" not in description:
        raise refusal(path, description["expected"], shown(description["found"]))
    tensors: dict[str, Tensor] = {}
    for record in description["tensors"]:
        name = f"{record['layer']}/{_kind(record['name'])}"
        if name in tensors:
            raise refusal(path, "each name once", f"{shown(name)} twice")
        tensors[name] = _tensor(path, record)
    return WeightFile(path, "keras", tensors)


def read(path: Path) -> WeightFile:
    """Returns the weights of a Keras network, named `layer/kind`.

    Kinds are kernel, bias, gamma, beta, moving_mean and moving_variance, also where Keras 1 called them W, b,
    running_mean and running_std. Numbers lie in the file as they are, or in chunks of gzip and shuffle.
    """
    return interpret(path, isolated(path))
