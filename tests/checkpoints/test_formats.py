"""Weight files in every layout that real ones have."""

import collections
import os

import h5py
import numpy as np
import onnx
import pytest
import weight_files as files
from onnx import helper
from safetensors.numpy import save_file
from weight_files import check, refused

from jaxviz.checkpoints.formats import open_file

TENSORS = files.arrays()
DTYPES = [np.float16, np.float32, np.float64, files.BFLOAT16]


def keras_names(tensors):
    return {f"{layer}/{kind}": x for layer, kind, x in files.layered(tensors)}


@pytest.mark.parametrize("dtype", DTYPES)
def test_safetensors(tmp_path, dtype):
    path, tensors = tmp_path / "a", files.arrays(dtype, np.int64, bool)
    files.write_safetensors(path, tensors, {"network": "some"})
    assert check(path, tensors, "safetensors").metadata == {"network": "some"}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_pytorch(tmp_path, dtype, legacy):
    path, tensors = tmp_path / "a", files.arrays(dtype, np.int64, np.uint8, bool)
    files.write_torch(path, tensors, legacy)
    check(path, tensors, "pytorch")


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_pytorch_of_other_protocols(tmp_path, protocol):
    state, stored = files.state_dict(TENSORS)
    files.write_torch_zip(tmp_path / "a", state, stored, pickle_bytes=files.pickled(state, protocol))
    check(tmp_path / "a", TENSORS, "pytorch")


@pytest.mark.parametrize("dtype", [np.float32, files.BFLOAT16])
def test_pytorch_of_a_big_endian_machine(tmp_path, dtype):
    tensors = files.arrays(dtype)
    files.write_torch_zip(tmp_path / "a", *files.state_dict(tensors), byteorder="big")
    check(tmp_path / "a", tensors, "pytorch")


@pytest.mark.parametrize("legacy", [False, True])
def test_views_of_one_storage(tmp_path, legacy):
    data = np.arange(60, dtype=np.float32)
    stored = files.Stored("7", data, legacy)
    state = {
        "a.t": files.tensor(stored, (3, 4), (1, 3), 5),
        "a.every_second": files.tensor(stored, (6,), (2,)),
        "a.scalar": files.tensor(stored, (), (), 59),
        "a.none": files.tensor(stored, (0, 3), (3, 1)),
        "a.old": files.tensor(stored, (2, 3), None, 54, "torch._utils._rebuild_tensor"),
    }
    (files.write_torch_stream if legacy else files.write_torch_zip)(tmp_path / "a", state, [stored])
    expected = {
        "a.t": data[5:17].reshape(4, 3).T,
        "a.every_second": data[:12:2],
        "a.scalar": data[59],
        "a.none": data[:0].reshape(0, 3),
        "a.old": data[54:].reshape(2, 3),
    }
    check(tmp_path / "a", {name: np.asarray(x) for name, x in expected.items()}, "pytorch")


@pytest.mark.parametrize("keys", [["state_dict"], ["model"], ["model_state_dict"], ["model", "state_dict"]])
def test_checkpoints_parameters_and_data_parallel(tmp_path, keys):
    state, stored = files.state_dict(TENSORS)
    hooks = collections.OrderedDict()
    values = list(state.values())
    values[0] = files.Call("torch._utils._rebuild_parameter", values[0], True, hooks)
    values[1] = files.Call("torch.nn.parameter.Parameter", values[1], state=(True, False, hooks))
    value = {f"module.{name}": x for name, x in zip(state, values, strict=True)} | {"module.count": 3}
    for key in reversed(keys):
        value = {"epoch": 90, "arch": "some", "best": 0.7, "optimizer": {"state": {0: [None]}}, key: value}
    files.write_torch_zip(tmp_path / "a", value, stored)
    check(tmp_path / "a", TENSORS, "pytorch")


@pytest.mark.parametrize("vlen", [False, True])
@pytest.mark.parametrize("root", [None, "model_weights"])
def test_keras(tmp_path, vlen, root):
    files.write_keras(tmp_path / "a", TENSORS, vlen, root)
    check(tmp_path / "a", keras_names(TENSORS), "keras")


@pytest.mark.parametrize("options", [{"chunks": True}, {"compression": "gzip", "shuffle": True}])
@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_keras_in_chunks(tmp_path, dtype, options):
    draw = np.random.default_rng(0)
    tensors = {"a/b.kernel": draw.integers(0, 9, (3, 3, 40, 50)).astype(dtype)}
    chunks = {"chunks": (2, 3, 16, 50)} if "compression" in options else {}
    files.write_keras(tmp_path / "a", tensors, options=options | chunks)
    native = np.dtype(dtype).newbyteorder("=")
    check(tmp_path / "a", {"a/b/kernel": tensors["a/b.kernel"].astype(native)}, "keras")


def test_keras_names_of_every_age(tmp_path):
    names = {
        "res2a": ["res2a_W_1:0", "res2a_b_1:0"],
        "bn": ["bn_gamma_1:0", "bn_beta_1:0", "bn_running_mean_1:0", "bn_running_std_1:0"],
        "bn2": ["bn2/gamma:0", "bn2/beta", "bn2/moving_mean:0", "bn2/moving_variance:0"],
        "conv1/conv": ["conv1/conv/kernel:0"],
    }
    with h5py.File(tmp_path / "a", "w") as file:
        file.attrs["layer_names0"] = np.array([b"res2a", b"bn"])
        file.attrs["layer_names1"] = np.array([b"bn2", b"conv1/conv"])
        for layer, weights in names.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = np.array([weight.encode() for weight in weights])
            for weight in weights:
                group[weight] = np.ones(3)
    statistics = ["gamma", "beta", "moving_mean", "moving_variance"]
    expected = [
        "res2a/kernel",
        "res2a/bias",
        *(f"bn/{s}" for s in statistics),
        *(f"bn2/{s}" for s in statistics),
    ]
    check(tmp_path / "a", dict.fromkeys([*expected, "conv1/conv/kernel"], np.ones(3)), "keras")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_npz(tmp_path, save, dtype):
    draw = np.random.default_rng(0)
    written = {"block1_conv1_W": draw.normal(size=(3, 3, 3, 4)), "block1_conv1_b": draw.normal(size=4)}
    written |= {"a/b/kernel": np.asfortranarray(draw.normal(size=(5, 6))), "plain": draw.normal(size=())}
    written = {name: x.astype(dtype) for name, x in written.items()}
    written["big"] = np.arange(5, dtype=">i4")
    with (tmp_path / "a").open("wb") as file:
        save(file, **written)
    names = {"block1_conv1_W": "block1_conv1/kernel", "block1_conv1_b": "block1_conv1/bias"}
    expected = {names.get(name, name): x for name, x in written.items()}
    check(tmp_path / "a", expected | {"big": np.arange(5, dtype=np.int32)}, "npz")


def test_onnx(tmp_path):
    tensors = files.arrays(np.float32, np.float16, np.float64, files.BFLOAT16)
    files.write_onnx(tmp_path / "a", tensors)
    assert not check(tmp_path / "a", tensors, "onnx").metadata


def test_onnx_names_come_from_the_nodes(tmp_path):
    kernel, bias, matrix = (files.arrays()[name] for name in ("conv1.weight", "conv1.bias", "fc.weight"))
    stored = {"onnx::Conv_1": kernel, "onnx::Conv_2": bias, "onnx::Conv_3": bias, "a.weight_bias": bias + 1}
    stored |= {"a.weight": kernel, "onnx::MatMul_4": matrix.T, "fc.weight": matrix, "fc.bias": matrix[:, 0]}
    stored |= {"fc3.weight": matrix, "sizes": np.array([1, -1])}
    path = "/layer1/layer1.0/downsample/downsample.0"
    nodes = [
        helper.make_node("Identity", ["fc.bias"], ["fc2.bias"]),
        helper.make_node("Transpose", ["fc3.weight"], ["turned"]),
        helper.make_node("Conv", ["x", "onnx::Conv_1", "onnx::Conv_2"], ["b"], f"{path}/Conv"),
        helper.make_node(
            "Conv", ["b", "onnx::Conv_1", "onnx::Conv_3"], ["c"], "/inception3a/branch1/conv/Conv"
        ),
        helper.make_node("Conv", ["c", "a.weight", "a.weight_bias"], ["d"], "node_Conv_4"),
        helper.make_node("MatMul", ["d", "onnx::MatMul_4"], ["e"], "/classifier/classifier.6/MatMul"),
        helper.make_node("Gemm", ["e", "fc.weight", "fc.bias"], ["f"], "n", transB=1),
        helper.make_node("Gemm", ["f", "onnx::MatMul_4", "fc2.bias"], ["g"], "/fc2/Gemm"),
        helper.make_node("MatMul", ["g", "turned"], ["h"], "n"),
    ]
    stored |= {"b.weight": kernel, "b.bias": bias}
    nodes.insert(5, helper.make_node("Conv", ["d", "b.weight", "b.bias"], ["d2"], "node_Conv_5"))
    noted = "['torch.nn.modules.container.Sequential', 'torch.nn.modules.batchnorm.BatchNorm2d']"
    nodes[5].metadata_props.add(key="pkg.torch.onnx.class_hierarchy", value=noted)
    onnx.save(files.onnx_model(stored, nodes), tmp_path / "a")
    modules = ["layer1.0.downsample.0", "inception3a.branch1.conv", "a", "b"]
    expected = {f"{m}.{k}": x for m in modules for k, x in (("weight", kernel), ("bias", bias + (m == "a")))}
    expected |= {"classifier.6.weight": matrix, "fc.weight": matrix, "fc.bias": matrix[:, 0]}
    expected |= {"fc2.weight": matrix, "fc2.bias": matrix[:, 0], "fc3.weight": matrix}
    metadata = check(tmp_path / "a", expected, "onnx").metadata
    assert metadata == {"batch_norm": "folded", "folded_into": " ".join(modules)}


def test_onnx_with_numbers_beside_it(tmp_path):
    files.write_onnx(tmp_path / "a.onnx", TENSORS)
    model = onnx.load(tmp_path / "a.onnx")
    onnx.save(model, tmp_path / "b.onnx", save_as_external_data=True, location="b.data", size_threshold=0)
    check(tmp_path / "b.onnx", TENSORS, "onnx")
    outside = tmp_path / "outside.data"
    os.rename(tmp_path / "b.data", outside)
    refused(tmp_path / "b.onnx", "b.data")
    (tmp_path / "b.data").symlink_to(outside)
    refused(tmp_path / "b.onnx", "b.data")
    (tmp_path / "inner").mkdir()
    for location in (str(outside), "../outside.data", "..", ""):
        model = onnx.load(tmp_path / "b.onnx", load_external_data=False)
        for tensor in model.graph.initializer:
            next(x for x in tensor.external_data if x.key == "location").value = location
        (tmp_path / "inner" / "c.onnx").write_bytes(model.SerializeToString())
        refused(tmp_path / "inner" / "c.onnx")


def test_safetensors_whose_header_begins_like_a_pickle(tmp_path):
    path = tmp_path / "a.safetensors"
    for length in range(300):
        save_file({"a": np.ones(2, np.float32)}, path, {"note": "x" * length})
        if path.read_bytes()[:1] == b"\x80":
            break
    assert path.read_bytes()[:1] == b"\x80"
    assert open_file(path).format == "safetensors"
