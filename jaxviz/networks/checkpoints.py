"""Weight files: safetensors of `module/kernel` arrays in HWIO, with what they need to be used as metadata."""

import hashlib
import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jaxviz._typing import Params
from jaxviz.networks.preprocessing import Preprocessing


class WeightsError(ValueError):
    """A weight file that is missing, damaged, or of another network; says file, expected and found."""


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


def write(path: Path, params: Params, network: str, preprocessing: Preprocessing) -> None:
    """Writes weights in the type that they have, with network and preprocessing as metadata."""
    record = {"channels": preprocessing.channels, "scale": preprocessing.scale}
    record |= {"mean": list(preprocessing.mean), "std": list(preprocessing.std)}
    tensors = {name: np.asarray(value) for name, value in flatten_dict(params, sep="/").items()}
    save_file(tensors, path, {"network": network, "preprocessing": json.dumps(record)})


def read(path: Path, *, expected_hash: str | None = None) -> tuple[Params, str, Preprocessing]:
    """Returns the float32 weights of a file, the network that they are for, and their preprocessing.

    Args:
      path: A file that `write` made.
      expected_hash: The SHA-256 that the file must have.

    Raises:
      WeightsError: If the file is missing, is damaged, not finite, has another hash, or lacks metadata.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: expected a weight file, found none")
    if expected_hash is not None and (found := sha256(path)) != expected_hash:
        raise WeightsError(f"{path}: expected sha256 {expected_hash}, found {found}; the file is damaged")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            flat = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: expected a safetensors file, found: {error}") from error
    for name, value in flat.items():
        if not np.isfinite(value).all():
            raise WeightsError(f"{path}: expected finite weights, found NaN or infinite ones in {name}")
    try:
        preprocessing = Preprocessing.from_record(json.loads(metadata["preprocessing"]))
        network = metadata["network"]
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path}: expected metadata 'network' and 'preprocessing' as weights/convert.py writes them, "
            f"found {sorted(metadata) or 'none'}"
        ) from error
    # One transfer: an array at a time would compile a program for each shape.
    return jax.device_put(unflatten_dict(flat, sep="/")), network, preprocessing


def check_structure(path: Path, params: Params, expected: Params) -> None:
    """Raises WeightsError unless `params` has the names and shapes of `expected`; lists both sides."""
    have = {name: tuple(leaf.shape) for name, leaf in flatten_dict(params, sep="/").items()}
    want = {name: tuple(leaf.shape) for name, leaf in flatten_dict(expected, sep="/").items()}
    if have == want:
        return
    lines = [f"{path}: the weights are not this network's"]
    for title, here, there in (("expected, not found", want, have), ("found, not expected", have, want)):
        names = [f"{name} {list(here[name])}" for name in sorted(here) if here[name] != there.get(name)]
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        lines.append(f"{title}: {', '.join(names[:8]) or 'none'}{more}")
    raise WeightsError("; ".join(lines))
