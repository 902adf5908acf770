"""Our own weight files, and the way in for all: safetensors of `module/kernel` arrays in HWIO, with metadata."""

import dataclasses
import hashlib
import json
import tomllib
import zlib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors.numpy import save_file

from jaxviz._typing import Params
from jaxviz.checkpoints import conversion
from jaxviz.checkpoints.formats import Tensor, WeightFile, WeightsError, open_file
from jaxviz.checkpoints.formats.checks import shown
from jaxviz.networks.preprocessing import Preprocessing
from jaxviz.networks.resnet import ResNet


def folder() -> Path:
    """Returns the folder of shipped weights: inside the installed package, or beside it in a checkout."""
    package = Path(str(resources.files("jaxviz")))
    for candidate in (package / "weights", package.parent / "weights"):
        if (candidate / "manifest.toml").is_file():
            return candidate
    raise WeightsError(f"no weights/manifest.toml in {package} or beside it; install jaxviz-vision again")


def manifest() -> dict[str, Any]:
    """Returns the record of every shipped file, by network name."""
    return tomllib.loads((folder() / "manifest.toml").read_text())


def sha256(path: Path) -> str:
    """Returns the hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(
    path: Path,
    params: Params,
    network: str,
    preprocessing: Preprocessing,
    origin: Mapping[str, str] | None = None,
) -> None:
    """Writes weights in the type that they have, with what is needed to use them as metadata.

    Args:
      path: File to write.
      params: Tree of arrays.
      network: A key of `NETWORKS`.
      preprocessing: What these weights expect as input.
      origin: What else to say of them, such as the file that they were converted from.
    """
    record = {"channels": preprocessing.channels, "scale": preprocessing.scale}
    record |= {"mean": list(preprocessing.mean), "std": list(preprocessing.std)}
    tensors = {n: np.ascontiguousarray(v) for n, v in flatten_dict(params, sep="/").items()}
    types = ", ".join(sorted({value.dtype.name for value in tensors.values()}))
    said = {"network": network, "preprocessing": json.dumps(record), "dtype": types, **(origin or {})}
    sums = {name: _checksum(value) for name, value in tensors.items()}
    sums[""] = _checksum(np.frombuffer(said["preprocessing"].encode(), np.uint8))
    save_file(tensors, path, said | {"crc32": json.dumps(sums)})


def _checksum(value: np.ndarray) -> str:
    return f"{zlib.crc32(np.ascontiguousarray(value).view(np.uint8).data):08x}"


def read(
    path: Path,
    network: str,
    architecture: nn.Module,
    *,
    expected_hash: str | None = None,
    whole: bool = True,
) -> tuple[Params, nn.Module, Preprocessing]:
    """Returns float32 weights, the architecture that they fit, and their preprocessing.

    Args:
      path: A file that `write` made, or any that `formats.open_file` and `conversion.plan` understand.
      network: The name of the network.
      architecture: Its module. Returned with or without classifier, and with as many classes, as the file has
        it.
      expected_hash: The SHA-256 that the file must have; one that has it is known to be right in all else.
      whole: Whether a classifier is read that the file has and the architecture has not.

    Raises:
      WeightsError: If the file is missing, damaged, not finite, or another network's.
    """
    if expected_hash is not None and path.is_file() and (found := sha256(path)) != expected_hash:
        raise WeightsError(f"{path}: expected sha256 {expected_hash}, found {found}; the file is damaged")
    file = open_file(path)
    arrays: Iterable[tuple[str, np.ndarray]]
    if expected_hash is not None:
        arrays, preprocessing = _all(file.tensors), _preprocessing(file)
    else:
        plan, preprocessing = planned(file, network, architecture, whole=whole)
        arrays, architecture = plan.arrays(), plan.architecture
    # One at a time: a file of float16 is never in memory as a whole in float32 but as the result.
    params = {name: jax.device_put(value.astype(np.float32)) for name, value in arrays}
    return unflatten_dict(params, sep="/"), architecture, preprocessing


def planned(
    file: WeightFile, network: str, architecture: nn.Module, *, whole: bool = False
) -> tuple[conversion.Plan, Preprocessing]:
    """Returns how to read a file as the weights of a network, and what they expect as input.

    Args:
      file: From `formats.open_file`.
      network: The name of the network.
      architecture: Its module.
      whole: Whether a classifier is read that the file has and the architecture has not.

    Raises:
      WeightsError: If the file is damaged or another network's.
    """
    file = checked(file)
    plan = conversion.plan(file, architecture, whole=whole)
    _check_origin(file, network, plan)
    # Arrays in our names that do not say what they expect as input are of no use: they run, and wrongly.
    ours = (plan.convention.name, file.format) == ("jaxviz", "safetensors")
    says = ours or "preprocessing" in file.metadata
    return plan, _preprocessing(file) if says else plan.preprocessing


def checked(file: WeightFile) -> WeightFile:
    """Returns a file of ours whose arrays are held to their checksums as they are read; any other as it is.

    Raises:
      WeightsError: If the metadata of a file of ours are damaged.
    """
    if "crc32" not in file.metadata:
        # All that `write` made have them, so without them the names in its metadata are damaged.
        if {"network", "preprocessing"} & set(file.metadata) and file.format == "safetensors":
            raise WeightsError(
                f"{file.path}: expected the checksums that `jaxviz weights convert` writes, found none; "
                "the file is damaged, or older: convert it again"
            )
        return file
    damaged = f"{file.path}: expected the checksum of its metadata, found another; the file is damaged"
    try:
        sums = dict(json.loads(file.metadata["crc32"]))
    except ValueError as error:
        raise WeightsError(damaged) from error
    said = file.metadata.get("preprocessing", "")
    if sums.get("") != _checksum(np.frombuffer(said.encode(), np.uint8)):
        raise WeightsError(damaged)
    # Checksums are of bytes, which are as right under a wrong type.
    types = ", ".join(sorted({tensor.dtype.name for tensor in file.tensors.values()}))
    if types != file.metadata.get("dtype", types):
        raise WeightsError(
            f"{file.path}: expected numbers of type {shown(file.metadata['dtype'])}, found {types}; "
            "the file is damaged"
        )

    def held(name: str, tensor: Tensor) -> Tensor:
        def read() -> np.ndarray:
            value = tensor.read()
            if (found := _checksum(value)) != sums.get(name):
                raise WeightsError(
                    f"{file.path}: expected checksum {sums.get(name)} of {name}, found {found}; "
                    "the file is damaged"
                )
            return value

        return dataclasses.replace(tensor, read=read)

    return dataclasses.replace(file, tensors={n: held(n, t) for n, t in file.tensors.items()})


def _all(tensors: Mapping[str, Tensor]) -> Iterable[tuple[str, np.ndarray]]:
    return ((name, tensor.read()) for name, tensor in tensors.items())


def _preprocessing(file: WeightFile) -> Preprocessing:
    try:
        return Preprocessing.from_record(json.loads(file.metadata["preprocessing"]))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{file.path}: expected metadata 'preprocessing' as `jaxviz weights convert` writes it, "
            f"found {sorted(file.metadata) or 'none'}"
        ) from error


def _check_origin(file: WeightFile, network: str, plan: conversion.Plan) -> None:
    """Raises WeightsError where names and shapes are right, and yet the weights are another network's."""
    said = file.metadata.get("network", network) if "preprocessing" in file.metadata else network
    if said.removesuffix("_classifier") != network.removesuffix("_classifier"):
        raise WeightsError(f"{file.path}: expected weights of {network}, found those of {shown(said)}")
    resnet = plan.architecture
    if isinstance(resnet, ResNet) and resnet.bottleneck and plan.convention.name != "jaxviz":
        from_keras = plan.convention.name in ("keras", "caffe")
        if from_keras != resnet.stride_first:
            other = network.removesuffix("_caffe") + ("_caffe" if from_keras else "")
            raise WeightsError(
                f"{file.path}: {plan.convention.name} halves the size in another convolution than {network}; "
                f"load it as {other}"
            )
