"""What `torch.save` writes of a state dict, in both of its formats, read without PyTorch."""

import io
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxviz.checkpoints.formats import archives, pickles
from jaxviz.checkpoints.formats.base import Tensor, WeightFile
from jaxviz.checkpoints.formats.checks import part, reading, refusal, shown, without_prefix

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
NESTED = ("state_dict", "model_state_dict", "model")
"""Where training scripts keep the state dict in a checkpoint."""


def _state_dict(path: Path, value: Any) -> dict[str, pickles.Strided]:
    """Returns the named tensors of what was saved, or of the first dict in it where a checkpoint has them."""
    # A dict can contain itself, so the search has an end of its own.
    for _ in NESTED:
        if type(value) is dict:
            value = next((value[key] for key in NESTED if type(value.get(key)) is dict), value)
    if type(value) is not dict:
        found = "a tensor alone" if type(value) is pickles.Strided else f"a {type(value).__name__}"
        raise refusal(path, "a dict of tensors", found)
    named = {name: x for name, x in value.items() if type(name) is str and type(x) is pickles.Strided}
    if not named:
        names = shown(", ".join(str(name) for name in list(value)[:8]) or "nothing")
        raise refusal(path, f"tensors, at the top or under {', '.join(NESTED)}", names)
    return named


def _array(tensor: pickles.Strided, start: int, swapped: bool, data: Callable[[], bytes]) -> np.ndarray:
    """Returns the array of a tensor, of whose storage the data begin with number `start`."""
    dtype = tensor.storage.dtype
    words = np.frombuffer(data(), f"<u{dtype.itemsize}")
    flat = (words.byteswap() if swapped else words).view(dtype)[tensor.offset - start :]
    strides = [stride * dtype.itemsize for stride in tensor.strides]
    return np.asarray(np.lib.stride_tricks.as_strided(flat, tensor.shape, strides), order="C")


def _file(path: Path, value: Any, read: Callable[[pickles.Strided], Callable[[], np.ndarray]]) -> WeightFile:
    named = _state_dict(path, value)
    tensors = {name: Tensor(x.shape, x.storage.dtype, read(x)) for name, x in named.items()}
    return WeightFile(path, "pytorch", without_prefix(tensors, ("module.",)))


def read_zip(path: Path) -> WeightFile:
    """Returns the tensors of a file of PyTorch 1.6 or later.

    A state dict may lie under "state_dict", "model_state_dict" or "model"; other values are left away, and
    so is the "module." that DataParallel puts before every name.
    """
    members = archives.members(path)
    pickled = [name for name in members if name.endswith("data.pkl")]
    folder = pickled[0].removesuffix("data.pkl")
    for name, info in members.items():
        if not name.startswith(folder) or name.startswith(f"{folder}code/"):
            raise refusal(path, "what torch.save writes of a state dict", f"{shown(name)}, as of TorchScript")
        if info.compress_type != zipfile.ZIP_STORED:
            raise refusal(path, "members as torch.save stores them", f"{shown(name)} compressed")
    if len(pickled) > 1 or members[pickled[0]].file_size > pickles.MAX_PICKLE:
        raise refusal(
            path, f"one data.pkl of at most {pickles.MAX_PICKLE} bytes", f"{len(pickled)} or a larger"
        )
    order = members.get(f"{folder}byteorder")
    swapped = order is not None and order.file_size < 9 and archives.content(path, order) == b"big"
    file = io.BytesIO(archives.content(path, members[pickled[0]]))
    value, storages = pickles.load(path, file)
    for key, storage in storages.items():
        name, size = f"{folder}data/{key}", storage.count * storage.dtype.itemsize
        if name not in members or members[name].file_size != size:
            found = f"{members[name].file_size}" if name in members else "none"
            raise refusal(path, f"{size} bytes in {shown(name)}", found)

    def read(tensor: pickles.Strided) -> Callable[[], np.ndarray]:
        info = members[f"{folder}data/{tensor.storage.key}"]
        return partial(_array, tensor, 0, swapped, partial(archives.content, path, info))

    return _file(path, value, read)


def read_stream(path: Path) -> WeightFile:
    """Returns the tensors of a file of an earlier PyTorch: five pickles, then every storage; see `read_zip`."""
    places: dict[str, int] = {}
    with reading(path, "a file of torch.save"), path.open("rb") as file:
        magic, _ = pickles.load(path, file)
        if type(magic) is not int or magic != MAGIC:
            raise refusal(path, "PyTorch's magic number", "another pickle")
        protocol, _ = pickles.load(path, file)
        if type(protocol) is not int or protocol != PROTOCOL:
            raise refusal(path, f"PyTorch's protocol {PROTOCOL}", "another")
        pickles.load(path, file)
        value, storages = pickles.load(path, file)
        keys, _ = pickles.load(path, file)
        if type(keys) is not list or not all(type(key) is str for key in keys):
            raise refusal(path, "a list of storages", "something else")
        if len(keys) != len(storages) or set(keys) != storages.keys():
            raise refusal(path, f"{len(storages)} storages", f"{len(keys)}, or of other names")
        for key in keys:
            count = int.from_bytes(file.read(8), "little", signed=True)
            if count != storages[key].count:
                raise refusal(path, f"{storages[key].count} numbers in storage {shown(key)}", f"{count}")
            places[key] = file.tell()
            file.seek(count * storages[key].dtype.itemsize, 1)
        if (end := file.tell()) != (size := path.stat().st_size):
            raise refusal(path, f"a file of {end} bytes, as its storages say", f"{size}")

    def read(tensor: pickles.Strided) -> Callable[[], np.ndarray]:
        size = tensor.storage.dtype.itemsize
        last = sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True))
        count = last + 1 if all(tensor.shape) else 0
        place = places[tensor.storage.key] + tensor.offset * size
        return partial(_array, tensor, tensor.offset, False, partial(part, path, place, count * size))

    return _file(path, value, read)
