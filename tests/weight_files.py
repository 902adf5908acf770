"""Small weight files of every format, written without PyTorch and Keras, and what is expected of them."""

import collections
import io
import json
import pickle
import struct
import zipfile

import h5py
import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from jaxviz.checkpoints.formats import WeightFile, WeightsError, open_file

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
KINDS = {"f8": "Double", "f4": "Float", "f2": "Half", "i8": "Long", "i4": "Int", "u1": "Byte", "b1": "Bool"}
KINDS = {np.dtype(code): f"{name}Storage" for code, name in KINDS.items()} | {BFLOAT16: "BFloat16Storage"}
SAFE = {"f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "b1": "BOOL"}
SAFE = {np.dtype(code): name for code, name in SAFE.items()} | {BFLOAT16: "BF16"}


def arrays(*dtypes, seed=0):
    """Arrays under names as of a state dict; `dtypes` are given out in turn."""
    draw = np.random.default_rng(seed)
    shapes = {"conv1.weight": (4, 3, 2, 2), "conv1.bias": (4,), "fc.weight": (5, 6), "fc.bias": (5,)}
    chosen = [dtypes[i % len(dtypes)] if dtypes else np.float32 for i in range(len(shapes))]
    return {
        name: (draw.normal(size=shape) * 9).astype(dtype)
        for (name, shape), dtype in zip(shapes.items(), chosen, strict=True)
    }


def write_safetensors(path, tensors, metadata=None):
    header, place = {"__metadata__": metadata} if metadata else {}, 0
    for name, x in tensors.items():
        record = {"dtype": SAFE[x.dtype], "shape": x.shape, "data_offsets": [place, place + x.nbytes]}
        header[name], place = record, place + x.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(x.tobytes() for x in tensors.values()))


class Named:
    """A global that need not exist."""

    def __init__(self, text):
        self.text = text

    def __call__(self):
        raise AssertionError("only its name is written")


class Call:
    """Pickled as the call of a global, as `__reduce__` asks for it."""

    def __init__(self, name, *arguments, state=None):
        self.record = (Named(name), arguments) if state is None else (Named(name), arguments, state)

    def __reduce__(self):
        return self.record


class Stored:
    """Pickled as a reference to a storage."""

    def __init__(self, key, data, legacy=False):
        self.key, self.data = key, data
        kind = Named(f"torch.{KINDS[data.dtype]}")
        self.reference = ("storage", kind, key, "cpu", data.size, *([None] if legacy else []))


class Pickler(pickle._Pickler):
    """Python's pickler, without the check that what it names exists."""

    def persistent_id(self, value):
        return value.reference if isinstance(value, Stored) else None

    def save_named(self, value):
        module, _, name = value.text.rpartition(".")
        self.write(f"c{module}\n{name}\n".encode())
        self.memoize(value)

    dispatch = {**pickle._Pickler.dispatch, Named: save_named}  # noqa: RUF012


def pickled(value, protocol=2):
    file = io.BytesIO()
    Pickler(file, protocol).dump(value)
    return file.getvalue()


def tensor(stored, shape, strides=None, offset=0, rebuild="torch._utils._rebuild_tensor_v2"):
    strides = strides or tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
    rest = (False, collections.OrderedDict()) if rebuild.endswith("v2") else ()
    return Call(rebuild, stored, offset, tuple(shape), strides, *rest)


def state_dict(tensors, legacy=False):
    """An OrderedDict with `_metadata`, as Module.state_dict returns it, and its storages."""
    stored = [Stored(str(i), x.ravel(), legacy) for i, x in enumerate(tensors.values())]
    named = zip(tensors, stored, tensors.values(), strict=True)
    state = collections.OrderedDict((name, tensor(s, x.shape)) for name, s, x in named)
    state._metadata = collections.OrderedDict([("", {"version": 1}), ("conv1", {"version": 1})])
    return state, stored


def write_torch_zip(path, value, stored, byteorder="little", pickle_bytes=None, compression=0, extra=()):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("some/data.pkl", pickle_bytes or pickled(value))
        archive.writestr("some/byteorder", byteorder)
        for s in stored:
            data = s.data.view(f"u{s.data.itemsize}")
            archive.writestr(
                f"some/data/{s.key}", (data.byteswap() if byteorder == "big" else data).tobytes()
            )
        archive.writestr("some/version", "3\n")
        for name, content in extra:
            archive.writestr(name, content)


def write_torch_stream(path, value, stored, pickle_bytes=None):
    information = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4}}
    parts = [pickled(MAGIC), pickled(PROTOCOL), pickled(information), pickle_bytes or pickled(value)]
    parts.append(pickled([s.key for s in stored]))
    for s in stored:
        parts += [struct.pack("<q", s.data.size), s.data.tobytes()]
    path.write_bytes(b"".join(parts))


def write_torch(path, tensors, legacy=False):
    (write_torch_stream if legacy else write_torch_zip)(path, *state_dict(tensors, legacy))


def layered(tensors):
    """(layer, Keras's kind, array), of arrays under names as of a state dict."""
    for name, x in tensors.items():
        layer, kind = name.rsplit(".", 1)
        yield layer, {"weight": "kernel"}.get(kind, kind), x


def write_keras(path, tensors, vlen=False, root=None, options=None):
    def texts(values):
        return list(values) if vlen else np.array([value.encode() for value in values])

    with h5py.File(path, "w") as file:
        group = file.create_group(root) if root else file
        layers = {}
        for layer, kind, x in layered(tensors):
            layers.setdefault(layer, []).append((f"{layer}/{kind}:0", x))
        group.attrs["layer_names"] = texts(["input_1", *layers])
        group.create_group("input_1").attrs["weight_names"] = np.zeros(0)
        for layer, weights in layers.items():
            inner = group.create_group(layer)
            inner.attrs["weight_names"] = texts([name for name, _ in weights])
            for name, x in weights:
                inner.create_dataset(name, data=x, **(options or {}))


def onnx_model(tensors, nodes):
    initializers = [numpy_helper.from_array(x, name) for name, x in tensors.items()]
    graph = helper.make_graph(nodes, "main", [], [], initializers)
    return helper.make_model(graph, producer_name="pytorch")


def write_onnx(path, tensors):
    nodes = [
        helper.make_node("Conv", ["x", "conv1.weight", "conv1.bias"], ["y"], "/conv1/Conv"),
        helper.make_node("Gemm", ["y", "fc.weight", "fc.bias"], ["z"], "/fc/Gemm", transB=1),
    ]
    onnx.save(onnx_model(tensors, nodes), path)


def check(path, expected, kind):
    """Checks that a file has these arrays, under these names and in this order; returns it."""
    file = open_file(path)
    assert isinstance(file, WeightFile)
    assert (file.path, file.format) == (path, kind)
    assert list(file.tensors) == list(expected)
    for name, x in expected.items():
        tensor = file.tensors[name]
        assert (tensor.shape, tensor.dtype) == (x.shape, x.dtype)
        read = tensor.read()
        assert (read.shape, read.dtype) == (x.shape, x.dtype)
        np.testing.assert_array_equal(read, x)
    return file


def refused(path, *parts):
    """Checks that a file is refused, and that the message names it and has the parts."""

    def read_all():
        return [tensor.read() for tensor in open_file(path).tensors.values()]

    with pytest.raises(WeightsError) as caught:
        read_all()
    for part in (str(path), "expected", "found", *parts):
        assert part in str(caught.value)
