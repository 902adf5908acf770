"""Weight files of any origin, written anew as ours."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from flax.traverse_util import unflatten_dict
from safetensors import SafetensorError

from jaxviz._checks import known
from jaxviz.checkpoints import conversion, store
from jaxviz.checkpoints.formats import WeightFile, WeightsError, open_file
from jaxviz.checkpoints.matching import told_whose
from jaxviz.networks import NETWORKS

DTYPES = ("float32", "float16", "as-is")


def rewrite(
    source: Path,
    network: str,
    out: Path,
    *,
    dtype: str | None = None,
    origin: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Writes a weight file in our names and layout, and returns what is said in it of its origin.

    Args:
      source: A file of any format that `formats.open_file` reads.
      network: A key of `NETWORKS`.
      out: The file to write.
      dtype: "float32", "float16", or "as-is"; None is as in the file, but at most float32.
      origin: What to say besides, or otherwise.

    Raises:
      KeyError: If the network or the type is unknown.
      WeightsError: If the file is missing, damaged, or another network's.
      OSError: If `out` cannot be written.
    """
    known(network, NETWORKS, "network")
    if dtype is not None:
        known(dtype, DTYPES, "type of numbers")
    file = open_file(source)
    with told_whose(source):
        plan, preprocessing = store.planned(file, network, NETWORKS[network].architecture)
    flat = {name: _typed(source, name, value, dtype) for name, value in plan.arrays()}
    types = sorted({value.dtype.name for value in flat.values()})
    said = {
        "source_file": source.name,
        "source_sha256": store.sha256(source),
        "source_format": file.format,
        **_described(plan),
        "head": _head(file, network, plan),
        "dtype": ", ".join(types),
        **(origin or {}),
    }
    try:
        store.write(out, unflatten_dict(flat, sep="/"), network, preprocessing, said)
    except SafetensorError as error:
        # It has the system's error in its text alone.
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]) if number else 0, str(error), str(out)) from error
    return said


def _typed(source: Path, name: str, value: np.ndarray, dtype: str | None) -> np.ndarray:
    if dtype == "as-is":
        return value
    # bfloat16 is of kind V.
    if dtype is None and value.dtype.itemsize <= 4 and value.dtype.kind in "fV":
        return value
    with np.errstate(over="ignore"):
        typed = value.astype(np.float16 if dtype == "float16" else np.float32)
    if not np.isfinite(typed).all():
        raise WeightsError(
            f"{source}: expected numbers within {typed.dtype}, found larger ones in {name}; take float32"
        )
    return typed


def _head(file: WeightFile, network: str, plan: conversion.Plan) -> str:
    """Returns in words what became of the file's classifier."""
    if (classes := getattr(plan.architecture, "classes", None)) is not None:
        return f"yes, {classes} classes"
    if not plan.head_left:
        return "no"
    whole, _ = store.planned(file, network, NETWORKS[network].architecture, whole=True)
    return f"left out, as it is not that of {network}" if whole.head_left else "left out"


def _described(plan: conversion.Plan) -> dict[str, str]:
    """Returns what the file was like, as text."""
    normalized = any(name.endswith("/variance") for name in plan.readers)
    channels_first = plan.convention.layout == "OIHW"
    return {
        "source_names": plan.convention.name,
        "source_layout": plan.convention.layout,
        "source_dense_order": "channels, height, width" if channels_first else "height, width, channels",
        "batch_norm": ("folded" if plan.folded else "as is") if normalized else "none",
    }
