"""Weights of other libraries become ours: names, layouts, flattening, folded normalization, preprocessing."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

import jaxviz
from jaxviz import WeightsError
from jaxviz.checkpoints import conversion, naming
from jaxviz.checkpoints.formats import Tensor, WeightFile
from jaxviz.checkpoints.rewriting import rewrite
from jaxviz.networks import NETWORKS, parameter_shapes
from jaxviz.networks.preprocessing import CAFFE, SYMMETRIC, TORCHVISION

CONVENTIONS = {
    convention.name: convention for convention in conversion.CONVENTIONS if convention.layout != "OIHW"
}
CONVENTIONS |= {c.name: c for c in conversion.CONVENTIONS if c.name in ("torchvision", "timm", "caffe")}

SHORT = {
    "short resnet": NETWORKS["resnet18"].architecture.clone(depths=(1, 1, 1, 1)),
    "short densenet": NETWORKS["densenet121"].architecture.clone(depths=(2, 2)),
}
"""Of each kind of layers one or two, so that they compile fast."""


def architecture_of(name):
    return SHORT[name] if name in SHORT else NETWORKS[name].architecture


def file_of(arrays, path="some.bin"):
    tensors = {
        name: Tensor(value.shape, value.dtype, lambda value=value: value) for name, value in arrays.items()
    }
    return WeightFile(Path(path), "safetensors", tensors)


def drawn(name, seed=0):
    """Returns weights of ours by flat name."""
    rng, weights = np.random.default_rng(seed), {}
    for key, leaf in flatten_dict(parameter_shapes(architecture_of(name)), sep="/").items():
        scale = np.float32(np.sqrt(2 / max(1, np.prod(leaf.shape[:-1]))))
        value = rng.standard_normal(leaf.shape, np.float32) * scale
        weights[key] = np.abs(value) + 0.5 if key.endswith("variance") else value
    return weights


def blank(name):
    """Returns weights of zero by flat name, of 16 bits, in one place each: a VGG's are half a gigabyte."""
    shapes = flatten_dict(parameter_shapes(architecture_of(name)), sep="/")
    return {key: np.broadcast_to(np.float16(0), leaf.shape) for key, leaf in shapes.items()}


def in_convention(weights, name, convention):
    """Returns weights of ours as another library would store them."""
    theirs = CONVENTIONS[convention]
    table, found = theirs.modules(architecture_of(name)), {}
    for key, value in weights.items():
        module, _, kind = key.rpartition("/")
        if theirs.layout == "OIHW" and value.ndim == 4:
            value = value.transpose(3, 2, 0, 1)
        if theirs.layout == "OIHW" and value.ndim == 2:
            h, w = getattr(architecture_of(name), "head_size", (1, 1)) if module == "fc6" else (1, 1)
            value = value.reshape(h, w, -1, value.shape[1]).transpose(3, 2, 0, 1)
            if convention != "timm" or module in ("fc", "fc8"):
                value = value.reshape(len(value), -1)
        kind = "shift" if kind == "bias" and f"{module}/variance" in weights else kind
        found[f"{table[module]}{theirs.joint}{theirs.kinds[kind]}"] = value
    return found


def converted(arrays, name):
    plan = conversion.plan(file_of(arrays), architecture_of(name))
    return plan, dict(plan.arrays())


def equal(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.mark.parametrize(
    ("name", "convention", "preprocessing"),
    [
        ("squeezenet1_0", "torchvision", TORCHVISION),
        ("squeezenet1_1", "caffe", CAFFE),
        ("googlenet", "torchvision", SYMMETRIC),
        ("resnet18", "torchvision", TORCHVISION),
        ("resnet50", "timm", TORCHVISION),
        ("densenet121", "timm", TORCHVISION),
        ("vgg11_bn", "torchvision", TORCHVISION),
        ("vgg13", "keras", CAFFE),
        ("alexnet", "torchvision", TORCHVISION),
    ],
)
def test_names_and_layouts(name, convention, preprocessing):
    weights = drawn(name)
    plan, found = converted(in_convention(weights, name, convention), name)
    equal(found, weights)
    assert plan.convention.name in (
        convention,
        "torchvision",
    )  # timm's names differ for the head of VGG alone
    assert plan.preprocessing == preprocessing
    assert not plan.folded


def test_features_are_flattened_as_in_the_source():
    features = np.random.default_rng(0).standard_normal((6, 6, 256), np.float32)
    arrays = in_convention(drawn("alexnet"), "alexnet", "torchvision")
    channels_first = arrays["classifier.1.weight"][:8] @ features.transpose(2, 0, 1).reshape(-1)
    _, found = converted(arrays, "alexnet")
    np.testing.assert_allclose(features.reshape(-1) @ found["fc6/kernel"][:, :8], channels_first, rtol=1e-3)


def test_dense_layers_of_timm_are_convolutions():
    name = "vgg11_classifier"
    arrays = in_convention(blank(name), name, "timm")
    assert arrays["pre_logits.fc1.weight"].shape == (4096, 512, 7, 7)
    assert arrays["head.fc.weight"].shape == (1000, 4096)
    plan = conversion.plan(file_of(arrays), architecture_of(name))
    assert plan.convention.name == "timm"


def test_keras_normalization():
    name = "resnet50_caffe"
    weights = drawn(name)
    arrays = in_convention(weights, name, "keras")
    assert {
        "conv1_bn/gamma",
        "conv1_bn/beta",
        "conv1_bn/moving_mean",
        "conv1_bn/moving_variance",
    } < arrays.keys()
    rng = np.random.default_rng(1)
    biases = {
        key: rng.standard_normal(weights[f"{key}/kernel"].shape[-1]).astype(np.float32)
        for key in naming.modules(architecture_of(name))
        if "conv" in key.split("/")[-1]
    }
    table = naming.keras(architecture_of(name))
    arrays |= {f"{table[key]}/bias": value for key, value in biases.items()}
    _, found = converted(arrays, name)
    for key, bias in biases.items():
        norm = key.replace("/conv", "/bn").replace("shortcut_conv", "shortcut_bn")
        norm = "bn1" if key == "conv1" else norm
        np.testing.assert_allclose(found[f"{norm}/mean"], weights[f"{norm}/mean"] - bias, atol=1e-6)
        np.testing.assert_allclose(found[f"{norm}/variance"], weights[f"{norm}/variance"] + 1e-8, rtol=1e-6)


def test_keras_names():
    assert naming.keras(architecture_of("densenet121"))["dense2_3/bn2"] == "conv3_block3_1_bn"
    assert naming.keras(architecture_of("densenet121"))["dense2_3/conv2"] == "conv3_block3_2_conv"
    assert naming.keras(architecture_of("densenet121"))["transition1/bn"] == "pool2_bn"
    assert naming.keras(architecture_of("resnet50_caffe"))["conv3_1/shortcut_bn"] == "conv3_block1_0_bn"
    assert naming.keras(architecture_of("resnet50_caffe"))["conv4_6/conv3"] == "conv4_block6_3_conv"
    assert naming.keras(architecture_of("vgg16"))["conv5_3"] == "block5_conv3"
    assert naming.keras(architecture_of("googlenet")) == {}


WHOLE = [pytest.param(name, marks=pytest.mark.slow) for name in ("resnet18", "densenet121", "vgg11_bn")]


@pytest.mark.parametrize("name", [*SHORT, "googlenet", *WHOLE])
def test_folded_normalization_computes_the_same(name):
    weights, folded = drawn(name), {}
    epsilon = 1e-3 if name == "googlenet" else 1e-5
    for key, value in weights.items():
        module, _, kind = key.rpartition("/")
        before = conversion._convolution_before(module, architecture_of(name)) if "bn" in module else None
        if before is None:
            folded.setdefault(key, value)
        elif kind == "scale":
            factor = value / np.sqrt(weights[f"{module}/variance"] + epsilon)
            folded[f"{before}/kernel"] = weights[f"{before}/kernel"] * factor
            added = weights.get(f"{before}/bias", 0) - weights[f"{module}/mean"]
            folded[f"{before}/bias"] = weights[f"{module}/bias"] + added * factor
    plan, found = converted(in_convention(folded, name, "torchvision"), name)
    assert plan.folded
    picture = jnp.asarray(np.random.default_rng(2).random((1, 64, 64, 3), np.float32))
    last = "pool5" if name == "vgg11_bn" else "logits"

    @jax.jit
    def run(params):
        return architecture_of(name).apply({"params": params}, picture)[last]

    expected, got = (np.asarray(run(unflatten_dict(w, sep="/"))) for w in (weights, found))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_a_file_without_classifier_gives_a_network_without():
    arrays = in_convention(drawn("resnet18"), "resnet18", "torchvision")
    headless = {name: value for name, value in arrays.items() if not name.startswith("fc.")}
    plan, _ = converted(headless, "resnet18")
    assert plan.architecture.classes is None


def test_a_file_of_other_classes_gives_a_network_of_as_many():
    arrays = in_convention(drawn("resnet18"), "resnet18", "torchvision")
    arrays |= {"fc.weight": np.zeros((7, 512), np.float32), "fc.bias": np.zeros(7, np.float32)}
    plan, found = converted(arrays, "resnet18")
    assert plan.architecture.classes == 7
    assert found["fc/kernel"].shape == (512, 7)


@pytest.mark.parametrize("convention", ["torchvision", "timm", "keras", "jaxviz"])
def test_a_classifier_that_is_not_asked_for_is_left_in_the_file(convention):
    arrays = in_convention(blank("vgg11_classifier"), "vgg11_classifier", convention)
    plan = conversion.plan(file_of(arrays), architecture_of("vgg11"))
    assert not any(name.startswith("fc") for name in plan.readers)


def test_what_training_alone_needs_is_ignored():
    arrays = in_convention(drawn("googlenet"), "googlenet", "torchvision")
    arrays |= {
        "aux1.conv.conv.weight": np.zeros((1, 1, 1, 1)),
        "conv1.bn.num_batches_tracked": np.zeros((), np.int64),
    }
    converted(arrays, "googlenet")


def test_biases_that_onnx_leaves_away_are_zero():
    arrays = in_convention(drawn("squeezenet1_1"), "squeezenet1_1", "torchvision")
    del arrays["features.0.bias"]
    file = dataclasses.replace(file_of(arrays), format="onnx")
    found = dict(conversion.plan(file, architecture_of("squeezenet1_1")).arrays())
    assert not found["conv1/bias"].any()
    with pytest.raises(WeightsError, match=r"not in the file: features\.0\.bias \[64\];"):
        converted(arrays, "squeezenet1_1")


def test_both_sides_are_listed():
    arrays = in_convention(drawn("resnet18"), "resnet18", "torchvision")
    arrays["fc.odd"] = np.zeros(3, np.float32)
    arrays["conv1.weight"] = arrays["conv1.weight"][:, :1]
    del arrays["layer1.0.bn1.running_var"]
    with pytest.raises(WeightsError) as caught:
        converted(arrays, "resnet18")
    message = str(caught.value)
    missing, spare = message.split("in the network and not in the file: ")[1].split(
        "in the file and not in the network: "
    )
    assert "some.bin" in message
    assert "layer1.0.bn1.running_var [64]" in missing
    assert "conv1.weight [64, 3, 7, 7]" in missing
    assert "conv1.weight [64, 1, 7, 7]" in spare
    assert "fc.odd [3]" in spare


@pytest.mark.parametrize("other", ["resnet34", "resnet50", "vgg11", "squeezenet1_1", "alexnet"])
def test_files_for_another_network_are_refused(other):
    arrays = in_convention(drawn("resnet18"), "resnet18", "torchvision")
    with pytest.raises(WeightsError, match="not this network's"):
        converted(arrays, other)


@pytest.mark.parametrize(
    ("name", "convention", "said"),
    [
        ("resnet18", "torchvision", "resnet18"),
        ("resnet50", "torchvision", "resnet50"),
        ("resnet50_caffe", "keras", "resnet50_caffe"),
        ("vgg13_classifier", "timm", "vgg13 or vgg13_classifier"),
        ("squeezenet1_0", "jaxviz", "squeezenet1_0"),
    ],
)
def test_the_network_whose_weights_a_file_holds_is_named(name, convention, said, tmp_path):
    path = tmp_path / "some.npz"
    np.savez_compressed(path, **in_convention(blank(name), name, convention))
    with pytest.raises(WeightsError, match=f"not this network's.*; these are weights of {said}$"):
        jaxviz.load("resnet34", weights=path)
    with pytest.raises(WeightsError, match=f"; these are weights of {said}$"):
        rewrite(path, "alexnet", tmp_path / "out.safetensors")


@pytest.mark.parametrize(
    ("value", "words"), [(np.nan, "found NaN"), (np.inf, "infinite"), (-1.0, "negative")]
)
def test_values_that_no_weights_have_are_refused(value, words):
    arrays = in_convention(drawn("resnet18"), "resnet18", "torchvision")
    arrays["bn1.running_var"] = np.full(64, value, np.float32)
    with pytest.raises(WeightsError, match=words):
        converted(arrays, "resnet18")


@pytest.mark.parametrize("dtype", [np.float64, np.float16, jnp.bfloat16])
def test_types(dtype):
    weights = {name: value.astype(dtype) for name, value in drawn("squeezenet1_1").items()}
    _, found = converted(in_convention(weights, "squeezenet1_1", "torchvision"), "squeezenet1_1")
    equal(found, weights)


def test_a_file_with_a_classifier_gives_a_network_with_it(tmp_path):
    from jaxviz.checkpoints import rewriting

    path = tmp_path / "vgg11.npz"
    np.savez_compressed(path, **in_convention(blank("vgg11_classifier"), "vgg11_classifier", "torchvision"))
    network = jaxviz.load("vgg11", weights=path)
    assert (network.classes, network.layers[-1], len(network.labels)) == (1000, "logits", 1000)
    said = rewriting.rewrite(path, "vgg11", tmp_path / "vgg11.safetensors", dtype="float16")
    assert said["head"] == "left out"
    assert jaxviz.load("vgg11", weights=tmp_path / "vgg11.safetensors").classes is None
    assert jaxviz.load("vgg11", weights=path, classifier=False).layers[-1] == "pool5"


@pytest.mark.parametrize("kind", ["a layer missing", "other widths"])
def test_a_classifier_that_is_not_the_networks_is_left_out(tmp_path, kind):
    from jaxviz.checkpoints import rewriting

    arrays = in_convention(blank("vgg11"), "vgg11", "torchvision")
    width = 8 if kind == "other widths" else 4096
    arrays["classifier.0.weight"] = np.broadcast_to(np.float16(0), (width, 25088))
    arrays["classifier.0.bias"] = np.zeros(width, np.float16)
    path = tmp_path / "vgg11.npz"
    np.savez_compressed(path, **arrays)
    assert jaxviz.load("vgg11", weights=path).classes is None
    said = rewriting.rewrite(path, "vgg11", tmp_path / "vgg11.safetensors", dtype="float16")
    assert said["head"] == "left out, as it is not that of vgg11"
