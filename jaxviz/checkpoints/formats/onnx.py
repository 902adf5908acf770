"""ONNX models, of which only the weights are read: the graph tells their names where they have none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxviz.checkpoints.formats.base import Tensor, WeightFile
from jaxviz.checkpoints.formats.checks import (
    BFLOAT16,
    byte_count,
    part,
    reading,
    refusal,
    shown,
    without_prefix,
)

TYPES = {
    1: ("float_data", np.dtype("<f4")),
    10: ("int32_data", np.dtype("<f2")),
    11: ("double_data", np.dtype("<f8")),
    16: ("int32_data", BFLOAT16),
}
"""TensorProto.DataType → where numbers lie if not raw, and their type. Integers are sizes, not weights."""
KINDS = {
    "Conv": ("weight", "bias"),
    "Gemm": ("weight", "bias"),
    "MatMul": ("weight",),
    "BatchNormalization": ("weight", "bias", "running_mean", "running_var"),
}
"""Operator → what its inputs after the first are in a state dict."""
ANONYMOUS = "::"
FOLDED_BIAS = ".weight_bias"
"""The exporter of torch.export gives the bias that it folds a normalization into the name of the weight."""


def begins(start: bytes) -> bool:
    """Returns whether a file may be ONNX: field 1, the version of the format, comes first by custom."""
    return len(start) > 2 and start[0] == 0x08 and 0 < start[1] < 0x20


class Weight:
    """An initializer, and whether a Transpose lies between it and its use."""

    def __init__(self, proto: Any, name: str, transposed: bool = False):
        self.proto, self.name, self.transposed = proto, name, transposed


def _outside(path: Path, weight: Weight, count: int) -> tuple[Path, int]:
    """Returns the file beside the model where an initializer lies, and at which byte.

    Any other file is refused, and so is a link: a model must not be able to have other files read.
    """
    entries = {entry.key: entry.value for entry in weight.proto.external_data}
    location, offset = entries.get("location", ""), int(entries.get("offset", 0))
    file = path.parent / location
    plain = location.isprintable() and not set(location) & set("/\\:") and location not in ("", ".", "..")
    if not plain or file.is_symlink() or not file.is_file():
        expected = (
            f"{shown(weight.name)} inside, or in a file beside it (external_data=False keeps it inside)"
        )
        raise refusal(path, expected, shown(location) or "no file's name")
    if offset < 0 or int(entries.get("length", count)) != count or offset + count > file.stat().st_size:
        raise refusal(file, f"{count} bytes of {shown(weight.name)} at {offset}", "another length")
    return file, offset


def _tensor(path: Path, weight: Weight, transposed: bool) -> Tensor:
    """Returns the tensor of an initializer; raises WeightsError if its data are not of its shape."""
    proto, shape = weight.proto, tuple(weight.proto.dims)
    field, dtype = TYPES[proto.data_type]
    count = byte_count(path, weight.name, shape, dtype)
    raw = proto.HasField("raw_data")
    outside = _outside(path, weight, count) if proto.data_location or proto.external_data else None
    given = len(proto.raw_data) if raw else len(getattr(proto, field)) * dtype.itemsize
    given = given if outside is None else count
    if given != count:
        raise refusal(path, f"{count} bytes of {shown(weight.name)}", f"{given}")
    if transposed and len(shape) != 2:
        raise refusal(path, f"a matrix {shown(weight.name)}", shown(str(list(shape))))

    def read() -> np.ndarray:
        if outside is not None:
            flat = np.frombuffer(part(*outside, count), dtype)
        elif raw:
            flat = np.frombuffer(proto.raw_data, dtype)
        elif field == "int32_data":
            flat = np.array(proto.int32_data, np.int64).astype(np.uint16).view(dtype)
        else:
            flat = np.array(getattr(proto, field), dtype)
        array = flat.reshape(shape)
        return np.ascontiguousarray(array.T) if transposed else array

    return Tensor(shape[::-1] if transposed else shape, dtype, read)


def _module(node: Any, weight: str) -> str | None:
    """Returns the path of the module that a node came from, by its weight's name or its own."""
    if weight.endswith(".weight") and ANONYMOUS not in weight:
        return weight.removesuffix(".weight")
    parts: list[str] = []
    # The tracing exporter calls the children of a Sequential `layer1` `layer1.0`, under `/layer1/layer1.0`.
    for name in node.name.split("/")[1:-1]:
        parts[-1:] = [name] if parts and name.startswith(f"{parts[-1]}.") else [*parts[-1:], name]
    return ".".join(parts) or None


def _weights(graph: Any) -> dict[str, Weight]:
    """Returns the initializers by every name under which the graph uses them."""
    found = {proto.name: Weight(proto, proto.name) for proto in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and len(node.attribute) == 1 and node.attribute[0].HasField("t"):
            found[node.output[0]] = Weight(node.attribute[0].t, node.output[0])
        elif node.op_type in ("Identity", "Transpose") and node.input and node.input[0] in found:
            source = found[node.input[0]]
            # Equal weights are stored once; the names of the others are outputs of Identity.
            turned = node.op_type == "Transpose"
            name = source.name if turned else node.output[0]
            found[node.output[0]] = Weight(source.proto, name, source.transposed ^ turned)
    return {name: weight for name, weight in found.items() if weight.proto.data_type in TYPES}


def _options(node: Any) -> dict[str, int | float]:
    return {a.name: a.f if a.type == 1 else a.i for a in node.attribute if a.type in (1, 2)}


def _normalizes(node: Any) -> bool:
    """Returns whether the exporter of torch.export noted that a convolution stands for a normalization."""
    return any(
        str(prop.key).endswith("class_hierarchy") and "BatchNorm" in str(prop.value)
        for prop in node.metadata_props
    )


def _uses(path: Path, graph: Any, weights: dict[str, Weight]) -> Iterator[tuple[str, Weight, bool, bool]]:
    """Yields name, weight, whether it is to be transposed, and whether a normalization was folded into it."""
    for node in graph.node:
        used = [weights.get(name) for name in node.input[1:]]
        if node.op_type not in KINDS or not used or used[0] is None:
            continue
        options = _options(node) if node.op_type == "Gemm" else {}
        if options.get("alpha", 1) != 1 or options.get("beta", 1) != 1 or options.get("transA", 0):
            raise refusal(path, "fully connected layers", f"a scaled product {shown(node.name)}")
        module = _module(node, used[0].name)
        for kind, weight in zip(KINDS[node.op_type], used, strict=False):
            if weight is None:
                continue
            matrix = kind == "weight" and node.op_type in ("Gemm", "MatMul")
            # A Linear has (out, in); a product wants (in, out) unless it transposes by itself.
            turned = (matrix and not options.get("transB", 0)) ^ weight.transposed
            named = (
                "." in weight.name and ANONYMOUS not in weight.name and not weight.name.endswith(FOLDED_BIAS)
            )
            folded = node.op_type == "Conv" and kind == "bias" and (not named or _normalizes(node))
            name = weight.name if named or module is None else f"{module}.{kind}"
            yield name, weight, turned, folded


def read(path: Path) -> WeightFile:
    """Returns the weights of an exported network under the names that its state dict has.

    Where the exporter has folded batch normalization into a convolution, the convolution has a bias that the
    state dict lacks, and metadata has "batch_norm": "folded", or "partly folded" if some remain, and
    "folded_into": the names of those convolutions. Fully connected layers are (out, in).
    """
    try:
        import onnx
    except ImportError as error:
        found = "no package onnx; pip install onnx"
        raise refusal(path, "to read ONNX", found) from error
    with reading(path, "an ONNX model"):
        model = onnx.ModelProto.FromString(path.read_bytes())
        graph = model.graph
        if not graph.node or not graph.initializer:
            raise refusal(path, "an ONNX model with weights", "none")
        texts = [proto.name for proto in graph.initializer]
        for node in graph.node:
            texts += [node.name, node.op_type, *node.input, *node.output, *(a.name for a in node.attribute)]
        # What is not UTF-8 is given as bytes.
        if not all(type(text) is str for text in texts):
            raise refusal(path, "names in UTF-8", "others")
        weights = _weights(graph)
        tensors: dict[str, Tensor] = {}
        sources: dict[str, tuple[int, bool]] = {}
        folded = []
        for name, weight, turned, into in _uses(path, graph, weights):
            source = (id(weight.proto), turned)
            if sources.setdefault(name, source) != source:
                raise refusal(path, "each name once", f"{shown(name)} twice")
            tensors[name] = _tensor(path, weight, turned)
            if into:
                folded.append(name.removesuffix(".bias"))
    metadata = {}
    if folded:
        remain = any(node.op_type == "BatchNormalization" for node in graph.node)
        metadata = {"batch_norm": "partly folded" if remain else "folded", "folded_into": " ".join(folded)}
    return WeightFile(path, "onnx", without_prefix(tensors, ("module.", "model.")), metadata)
