"""Models in files: safetensors with all that is needed to use them as metadata, and those that are shipped."""

import dataclasses
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
from jaxviz.networks import Network, Preprocessing, bordered, parameter_shapes
from jaxviz.networks.layers import PRECISIONS
from jaxviz.networks.vgg import VGG
from jaxviz.stylization.conversion import from_onnx
from jaxviz.stylization.decoder import Decoder
from jaxviz.stylization.models import Adaptive, Bank, adaptive, channels
from jaxviz.stylization.projector import Projector, StyleCoder
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
      model: Its encoder, if it has one, is named and not written; one without a name, since it was trained with the
        model, is written.
      dtype: Of the numbers in the file; they are computed with in float32.
      record: What else to say of it, such as the command that trained it; plain enough for JSON.
    """
    said = facts(model) | {"record": record}
    kind = said.pop("kind")
    # Running variances may be larger than what 16 bits hold.
    types = {"statistics": np.float32}
    tensors = {
        "/".join(name): np.ascontiguousarray(np.asarray(leaf, types.get(name[0], dtype)))
        for name, leaf in flatten_dict(_trees(model)).items()
    }
    metadata = {"jaxviz-stylizer": FORMAT, "kind": kind, "model": json.dumps(said)}
    with images.atomically(path) as temporary:
        save_file(tensors, temporary, metadata)


def _trees(model: Bank | Adaptive) -> dict[str, Any]:
    if isinstance(model, Bank):
        return {"params": model.params, "statistics": model.statistics}
    trees, coder = {"params": model.params}, model.projector
    trees |= {} if coder is None else {"projector": coder.params}
    networks = {"encoder": model.encoder} | ({} if coder is None else {"projecting": coder.network})
    return trees | {name: network.params for name, network in networks.items() if not network.name}


def facts(model: Bank | Adaptive) -> dict[str, Any]:
    """Returns what a model is beside its weights, plain enough for JSON: kind, attributes, styles or encoder."""
    attributes = _attributes(model.architecture)
    if isinstance(model, Bank):
        return {"kind": "transformer", "attributes": attributes, "styles": list(model.styles)}
    encoder = {"encoder": _said(model.encoder), "layer": model.layer, "scale": float(model.scale)}
    found = {"kind": "decoder", "attributes": attributes, **encoder}
    if (coder := model.projector) is not None:
        more = {"network": _said(coder.network), "scales": {layer: float(s) for layer, s in coder.scales}}
        found["projector"] = {"attributes": _attributes(coder.architecture), **more}
    return found


def _attributes(module: Any) -> dict[str, Any]:
    skipped = ("name", "parent", "precision")
    return {name: getattr(module, name) for name in type(module).__annotations__ if name not in skipped}


def _said(network: Network) -> str | dict[str, Any]:
    """Returns the name of a network, or, of one without, what it is beside its weights."""
    if network.name:
        return network.name
    architecture: Any = network.architecture
    return {
        "depths": list(architecture.depths),
        "pooling": architecture.pooling,
        "preprocessing": dataclasses.asdict(network.preprocessing),
    }


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
            network = encoder or _network(said["encoder"], trees.get("encoder"), precision)
            coder = _coder(said, trees, network, precision) if "projector" in said else None
            more = {"scale": said["scale"], "layer": said["layer"], "name": path.stem, "projector": coder}
            model = adaptive(network, trees["params"], module, **more)
        _check(path, model)
    except (KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: its record is damaged ({error})") from error
    return model


def _network(said: Any, params: Any, precision: str) -> Network:
    if isinstance(said, str):
        return zoo.load(said, precision=precision)
    architecture = VGG(tuple(said["depths"]), pooling=said["pooling"], precision=precision)
    return Network(params, architecture, Preprocessing.from_record(said["preprocessing"]))


def _coder(said: Any, trees: Any, encoder: Network, precision: str) -> StyleCoder:
    """Returns the projector of a file, before it the encoder where both have the same network."""
    own = said["projector"]
    projector = Projector(layers=tuple(own["attributes"]["layers"]), size=own["attributes"]["size"])
    same = isinstance(own["network"], str) and own["network"] == said["encoder"]
    network = encoder if same else _network(own["network"], trees.get("projecting"), precision)
    scales = tuple((layer, float(scale)) for layer, scale in own["scales"].items())
    return StyleCoder(trees["projector"], bordered(network, "reflect"), projector, scales)


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
    expected, found = {}, {}
    for name, (module, params, given) in _modules(model).items():
        drawn = jax.eval_shape(module.init, jax.random.key(0), *given) if given else {}
        expected[name] = drawn["params"] if given else parameter_shapes(module)
        found[name] = params
    wanted = {k: v.shape for k, v in flatten_dict(expected, sep="/").items()}
    there = {k: v.shape for k, v in flatten_dict(found, sep="/").items()}
    for name in sorted({*wanted, *there}):
        if wanted.get(name) != there.get(name):
            raise WeightsError(
                f"{path}: expected {name} of shape {wanted.get(name, 'none')}, found {there.get(name, 'none')}; "
                "the file is of another architecture"
            )


def _modules(model: Bank | Adaptive) -> dict[str, tuple[Any, Any, tuple[Any, ...]]]:
    """Returns of each part of a model its module, its weights and what it is given; of a network nothing."""

    def shape(*sides: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(sides, jnp.float32)

    if isinstance(model, Bank):
        given = shape(1, 16, 16, 3), shape(1, len(model.styles))
        return {"params": (model.architecture, model.params, given)}
    features = shape(1, 2, 2, channels(model.encoder, model.layer))
    modules: dict[str, Any] = {"params": (model.architecture, model.params, (features,))}
    networks = {"encoder": model.encoder}
    if (coder := model.projector) is not None:
        pooled = {layer: shape(1, 2 * channels(coder.network, layer)) for layer in coder.architecture.layers}
        modules["projector"] = (coder.architecture, coder.params, (pooled,))
        networks["projecting"] = coder.network
    owned = {name: network for name, network in networks.items() if not network.name}
    return modules | {name: (network.architecture, network.params, ()) for name, network in owned.items()}
