"""Models in files: safetensors with all that is needed to use them as metadata, and those that are shipped."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jaxviz import images, zoo
from jaxviz._checks import known, nearest
from jaxviz.checkpoints import WeightsError, store
from jaxviz.networks import Network
from jaxviz.networks.layers import PRECISIONS
from jaxviz.networks.network import tap_shapes
from jaxviz.stylization.conversion import from_onnx
from jaxviz.stylization.decoder import Decoder
from jaxviz.stylization.models import Adaptive, Bank, adaptive
from jaxviz.stylization.transformer import Transformer

MANIFEST = "stylizers.toml"
FORMAT = "1"
ARCHITECTURES = {"transformer": Transformer, "decoder": Decoder}


def shipped() -> dict[str, Any]:
    """Returns the record of every shipped model, by name: file, SHA-256, command, data, steps, device, losses."""
    path = store.folder() / MANIFEST
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def save(path: str | Path, model: Bank | Adaptive, *, dtype: Any = np.float16, **record: Any) -> None:
    """Writes a model; never a partial file.

    Args:
      path: `.safetensors`.
      model: Its encoder, if it has one, is named and not written.
      dtype: Of the numbers in the file; they are computed with in float32.
      record: What else to say of it, such as the command that trained it; plain enough for JSON.
    """
    said = facts(model) | {"record": record}
    kind = said.pop("kind")
    trees = {"params": model.params} | ({"statistics": model.statistics} if isinstance(model, Bank) else {})
    # Running variances may be larger than what 16 bits hold.
    types = {"params": dtype, "statistics": np.float32}
    tensors = {
        "/".join(name): np.ascontiguousarray(np.asarray(leaf, types[name[0]]))
        for name, leaf in flatten_dict(trees).items()
    }
    metadata = {"jaxviz-stylizer": FORMAT, "kind": kind, "model": json.dumps(said)}
    with images.atomically(path) as temporary:
        save_file(tensors, temporary, metadata)


def facts(model: Bank | Adaptive) -> dict[str, Any]:
    """Returns what a model is beside its weights, plain enough for JSON: kind, attributes, styles or encoder."""
    attributes = {
        name: getattr(model.architecture, name)
        for name in type(model.architecture).__annotations__
        if name not in ("name", "parent", "precision")
    }
    if isinstance(model, Bank):
        return {"kind": "transformer", "attributes": attributes, "styles": list(model.styles)}
    encoder = {"encoder": model.encoder.name, "layer": model.layer, "scale": float(model.scale)}
    return {"kind": "decoder", "attributes": attributes, **encoder}


def load(name: str | Path, *, encoder: Network | None = None, precision: str = "float32") -> Bank | Adaptive:
    """Returns a trained model, shipped or in a file.

    Args:
      name: A name of `shipped()`, or the path of a file that `save`, or a run of training, has written; or of an
        ONNX file that `conversion` tells of.
      encoder: For a decoder, the network to use instead of the one that its file names.
      precision: As for `jaxviz.load`.

    Raises:
      KeyError: If there is neither such a model nor such a file, or no such precision.
      WeightsError: If the file is damaged, or no stylizing model, or its encoder is not here.
    """
    known(precision, PRECISIONS, "precision")
    path = _path(name)
    if path.suffix.lower() == ".onnx":
        bank = from_onnx(path, precision)
        _check(path, bank)
        return bank
    kind, said, tensors = _opened(path)
    try:
        attributes = {k: tuple(v) if isinstance(v, list) else v for k, v in said["attributes"].items()}
        module = ARCHITECTURES[kind](**attributes, precision=precision)
        trees = unflatten_dict(tensors, sep="/")
        if kind == "transformer":
            model: Bank | Adaptive = Bank(
                trees["params"], trees.get("statistics", {}), module, tuple(said["styles"]), str(path.stem)
            )
        else:
            network = encoder if encoder is not None else zoo.load(said["encoder"], precision=precision)
            model = adaptive(
                network, trees["params"], module, scale=said["scale"], layer=said["layer"], name=path.stem
            )
        _check(path, model)
    except (KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: its record is damaged ({error})") from error
    return model


def record(name: str | Path) -> Mapping[str, Any]:
    """Returns what the file of a model, shipped or at a path, says of how it was trained; errors as of `load`."""
    return dict(_opened(_path(name))[1].get("record", {}))


def describe(name: str | Path) -> dict[str, Any]:
    """Returns what the file of a model says of it: kind, its styles or encoder, attributes, record, bytes.

    Args:
      name: As for `load`, whose errors it raises; no encoder is needed.

    Example:
      >>> import pathlib, tempfile
      >>> from jaxviz import stylization
      >>> path = pathlib.Path(tempfile.mkdtemp(), "model.safetensors")
      >>> model = stylization.initialize("transformer", jax.random.key(0), styles=("a", "b"), width=4, blocks=1)
      >>> stylization.save(path, model, steps=100)
      >>> found = stylization.describe(path)
      >>> found["kind"], found["styles"], found["record"]
      ('transformer', ['a', 'b'], {'steps': 100})
    """
    path = _path(name)
    kind, said, _ = _opened(path)
    return {"kind": kind, **said, "file": str(path), "bytes": path.stat().st_size}


def _path(name: str | Path) -> Path:
    there, path = shipped(), Path(name)
    if str(name) in there:
        path = store.folder() / there[str(name)]["file"]
        if not path.is_file():
            raise WeightsError(f"{path} is missing; install jaxviz-vision again")
        if (found := store.sha256(path)) != (expected := there[str(name)]["sha256"]):
            raise WeightsError(f"{path}: expected sha256 {expected}, found {found}; the file is damaged")
    elif not path.is_file():
        offered = (
            nearest(str(name), there) if there else "none is shipped; give a file that `jaxviz train` wrote"
        )
        raise KeyError(f"no model is named {str(name)!r}, and there is no such file; {offered}")
    return path


def _opened(path: Path) -> tuple[str, dict[str, Any], dict[str, Any]]:
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("jaxviz-stylizer") != FORMAT or metadata.get("kind") not in ARCHITECTURES:
                what = metadata.get("network") or metadata.get("kind") or "weights without a record"
                raise WeightsError(
                    f"{path} is no stylizing model of this version, but {what}; `jaxviz train` makes one"
                )
            tensors = {name: jnp.asarray(file.get_tensor(name), jnp.float32) for name in file.keys()}  # noqa: SIM118
            said = json.loads(metadata["model"])
    except (SafetensorError, OSError, ValueError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path} is no model that can be read ({error})") from error
    if bad := [name for name, value in tensors.items() if not bool(jnp.isfinite(value).all())]:
        raise WeightsError(f"{path}: {bad[0]} holds NaN or infinite values")
    return metadata["kind"], said, tensors


def _check(path: Path, model: Bank | Adaptive) -> None:
    """Raises WeightsError where the weights are not those of the architecture that the file names."""
    if isinstance(model, Bank):
        shapes = jax.eval_shape(
            model.architecture.init,
            jax.random.key(0),
            jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32),
            jax.ShapeDtypeStruct((1, len(model.styles)), jnp.float32),
        )
        expected, found = shapes["params"], model.params
    else:
        channels = tap_shapes(model.encoder.architecture, model.encoder.params)[model.layer][-1]
        features = jax.ShapeDtypeStruct((1, 2, 2, channels), jnp.float32)
        expected = jax.eval_shape(model.architecture.init, jax.random.key(0), features)["params"]
        found = model.params
    wanted = {k: v.shape for k, v in flatten_dict(expected, sep="/").items()}
    there = {k: v.shape for k, v in flatten_dict(found, sep="/").items()}
    for name in sorted({*wanted, *there}):
        if wanted.get(name) != there.get(name):
            raise WeightsError(
                f"{path}: expected {name} of shape {wanted.get(name, 'none')}, found {there.get(name, 'none')}; "
                "the file is of another architecture"
            )
