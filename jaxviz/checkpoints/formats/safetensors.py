"""safetensors: a JSON header with types, shapes and places, then the arrays one after another."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxviz.checkpoints.formats.base import Tensor, WeightFile
from jaxviz.checkpoints.formats.checks import BFLOAT16, byte_count, part, refusal, shown, stored

TYPES = {
    **{f"F{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
    **{f"I{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    "BF16": BFLOAT16,
    "BOOL": np.dtype(bool),
}
MAX_HEADER = 32 * 2**20


def _unique(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(record := dict(pairs)) != len(pairs):
        raise refusal(path, "each name once in the header", "one twice")
    return record


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """Returns the header and where the arrays begin."""
    length = int.from_bytes(part(path, 0, 8), "little")
    if not 2 <= length <= min(path.stat().st_size - 8, MAX_HEADER):
        raise refusal(path, f"a header that fits in {path.stat().st_size} bytes", f"one of {length}")
    try:
        header = json.loads(part(path, 8, length).decode(), object_pairs_hook=partial(_unique, path))
    except (RecursionError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise refusal(path, "a safetensors header in JSON", shown(str(error))) from error
    if not isinstance(header, dict):
        raise refusal(path, "a safetensors header", type(header).__name__)
    return header, 8 + length


def read(path: Path) -> WeightFile:
    """Returns the tensors of a safetensors file, and its metadata."""
    header, start = _header(path)
    metadata = header.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise refusal(path, "metadata of texts", "other values")
    tensors, places = {}, []
    for name, record in header.items():
        try:
            dtype, shape = TYPES[record["dtype"]], tuple(record["shape"])
            first, last = record["data_offsets"]
        except (KeyError, TypeError, ValueError) as error:
            raise refusal(path, f"type, shape and place of {shown(name)}", shown(str(record))) from error
        count = byte_count(path, name, shape, dtype)
        if type(first) is not int or type(last) is not int or first < 0 or last - first != count:
            raise refusal(path, f"{count} bytes for {shown(name)}", shown(str(record)))
        places.append((first, last))
        tensors[name] = Tensor(shape, dtype, stored(path, start + first, shape, dtype))
    # Without gaps and overlaps, as the format demands, a damaged place cannot go unseen.
    end = 0
    for first, last in sorted(places):
        if first != end:
            raise refusal(path, f"the next array at byte {end}", f"it at byte {first}")
        end = last
    if start + end != (size := path.stat().st_size):
        raise refusal(path, f"a file of {start + end} bytes, as its header says", f"{size}")
    return WeightFile(path, "safetensors", tensors, metadata)
