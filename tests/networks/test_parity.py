"""Every network against torchvision's: golden/networks.npz, which golden/generate_networks.py made."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from golden import drawing
from safetensors.numpy import save_file

import jaxviz
from jaxviz.checkpoints import conversion, naming
from jaxviz.checkpoints.formats import Tensor, open_file
from jaxviz.networks import NETWORKS, compiled_features, parameter_shapes, pooling
from jaxviz.networks.layers import POOLINGS, PRECISIONS

pytestmark = pytest.mark.optimized

GOLDEN = dict(np.load(Path(__file__).parents[1] / "golden" / "networks.npz"))
LOGIT = 3
QUICK = ("squeezenet1_0", "squeezenet1_1", "resnet18", "resnet50", "googlenet", "densenet121")
SLOW = ("alexnet", "resnet34", "resnet101", *(f"vgg{d}{s}" for d in (11, 13, 16, 19) for s in ("", "_bn")))
KINDS = {
    "kernel": "weight",
    "bias": "bias",
    "scale": "weight",
    "mean": "running_mean",
    "variance": "running_var",
}


def full_name(network):
    return f"{network}_classifier" if network.startswith("vgg") else network


def torchvision_shapes(network):
    """Returns name → shape of torchvision's parameters, from our table."""
    architecture = NETWORKS[full_name(network)].architecture
    table, found = naming.torchvision(architecture), {}
    for name, leaf in flatten_dict(parameter_shapes(architecture), sep="/").items():
        module, _, kind = name.rpartition("/")
        shape = leaf.shape
        shape = {4: (*shape[:1:-1], *shape[:2]), 2: shape[::-1], 1: shape}[len(shape)]
        found[f"{table[module]}.{KINDS[kind]}"] = shape
    return found


def state_dict(network):
    shapes = torchvision_shapes(network)
    drawn = {name: drawing.weight(name, shape) for name, shape in shapes.items() if "running" not in name}
    return drawn | drawing.statistics(GOLDEN[f"{network}/statistics"], shapes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("weights")


def loaded(network, folder):
    path = folder / f"{network}.safetensors"
    if not path.exists():
        save_file(state_dict(network), path)
    return jaxviz.load(full_name(network), weights=path)


def in_float64(network):
    return jaxviz.Network(
        jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64), network.params),
        network.architecture.clone(precision="float64"),
        network.preprocessing,
    )


def expected(network, what):
    return tuple(GOLDEN[f"{network}/{what}/{part}"] for part in ("shape", "index", "value", "norm"))


def check(found, network, what, tolerance):
    shape, index, value, norm = expected(network, what)
    found = np.asarray(found, np.float64)
    assert found.shape == tuple(shape)
    assert np.linalg.norm(found) == pytest.approx(norm, rel=tolerance)
    typical = norm / np.sqrt(found.size)
    np.testing.assert_allclose(
        found.ravel()[index], value, rtol=0, atol=tolerance * 10 * typical, err_msg=what
    )
    error = np.linalg.norm(found.ravel()[index] - value) / np.linalg.norm(value)
    assert error < tolerance, f"{what}: relative error {error:.2g}"


@jax.jit
def taps_and_gradient(network, picture):
    def score(picture):
        taps = network.features(picture)
        return taps["logits"][LOGIT], taps

    (_, taps), gradient = jax.value_and_grad(score, has_aux=True)(picture)
    return taps, gradient


def golden_taps(network):
    ours = [key.removeprefix(f"{network}/") for key in GOLDEN if key.startswith(f"{network}/")]
    return sorted({key.rpartition("/")[0] for key in ours if not key.startswith("gradient")} - {""})


def check_network(network, model, tolerance, check_gradients):
    def evaluated(i):
        return taps_and_gradient(model, jnp.asarray(drawing.picture(network, i), model_dtype(model)))

    taps, _ = evaluated(0)
    assert "logits" in golden_taps(network)
    for tap in golden_taps(network):
        check(taps[tap], network, tap, tolerance)
    check_gradients([evaluated(i)[1] for i in range(drawing.PICTURES)], network)


def check_float32_gradients(gradients, network):
    # Rounding decides one ReLU or pooling among millions otherwise, and what that unit sees moves. Measured on
    # resnet101: where no decision differs from float64's the gradient is off by 2e-6, where one to three do, by
    # 4e-3 to 5e-2; PyTorch's own float32 is off by 2e-2 for vgg19_bn. Which pictures are spared depends on the
    # machine. So all must be near, and on one of them at least half of the entries within 1e-4; the test below,
    # where float64 has decided, is strict.
    medians = []
    for i, gradient in enumerate(gradients):
        _, index, value, norm = expected(network, f"gradient{i}")
        errors = np.abs(np.asarray(gradient, np.float64).ravel()[index] - value)
        assert np.linalg.norm(errors) < 5e-2 * np.linalg.norm(value)
        medians.append(np.median(errors) / (norm / np.sqrt(gradient.size)))
    assert min(medians) < 1e-4, medians


def check_float64_gradients(gradients, network):
    for i, gradient in enumerate(gradients):
        check(gradient, network, f"gradient{i}", 1e-10)


def model_dtype(model):
    return jax.tree.leaves(model.params)[0].dtype


def cases(*quick):
    """The networks, of which the others take long to compile."""
    return [pytest.param(name, marks=[pytest.mark.slow] * (name not in quick)) for name in (*QUICK, *SLOW)]


@pytest.mark.parametrize("network", cases("resnet50", "googlenet", "densenet121"))
def test_class_scores(network, folder):
    """Of the whole network and forward alone, which takes a fifth of the time."""
    model, picture = loaded(network, folder), jnp.asarray(drawing.picture(network, 0))
    check(compiled_features(model, picture, ("logits",))["logits"], network, "logits", 1e-5)


@pytest.mark.parametrize("network", cases("resnet18"))
def test_float32(network, folder):
    check_network(network, loaded(network, folder), 1e-5, check_float32_gradients)


@pytest.mark.parametrize("network", cases("squeezenet1_1"))
def test_float64(network, folder, monkeypatch):
    monkeypatch.setitem(PRECISIONS, "float64", (jnp.float64, jax.lax.Precision.HIGHEST))
    with jax.enable_x64(True):
        check_network(network, in_float64(loaded(network, folder)), 1e-10, check_float64_gradients)


class Decisions:
    """Which units of a network are on and which of a window wins: found by one evaluation, used by another."""

    def __init__(self, known=None):
        self.known, self.found = known, []

    def relu(self, x):
        if self.known is None:
            self.found.append(x > 0)
            return jax.nn.relu(x)
        return jnp.where(next(self.known), x, 0)

    def max_pool(self, x, window, stride, ceil=False, padding=0):
        margins = [(*margin, 0) for margin in pooling._margins(x, window, stride, ceil, padding)]
        low = -np.inf if self.known is None else 0
        x = jax.lax.pad(x, jnp.asarray(low, x.dtype), [(0, 0, 0), *margins, (0, 0, 0)])
        rows, columns = ((size - window) // stride + 1 for size in x.shape[1:3])
        candidates = jnp.stack(
            [
                x[:, i : i + (rows - 1) * stride + 1 : stride, j : j + (columns - 1) * stride + 1 : stride]
                for i in range(window)
                for j in range(window)
            ]
        )
        if self.known is None:
            self.found.append(candidates.argmax(0).astype(jnp.int8))
            return candidates.max(0)
        return jnp.take_along_axis(candidates, next(self.known)[None].astype(jnp.int32), 0)[0]


def decided(model, picture, monkeypatch):
    """Returns every decision of a network in the order in which they are made."""

    def run(model, picture):
        decisions = Decisions()
        monkeypatch.setitem(POOLINGS, "max", decisions.max_pool)
        dataclasses.replace(model, relu=decisions.relu).features(picture, ["logits"])
        return decisions.found

    return jax.jit(run)(model, picture)


def gradient_as_decided(model, picture, found, monkeypatch):
    def score(picture, model, found):
        decisions = Decisions(iter(found))
        monkeypatch.setitem(POOLINGS, "max", decisions.max_pool)
        network = dataclasses.replace(model, relu=decisions.relu)
        result = network.features(picture, ["logits"])["logits"][LOGIT]
        assert next(decisions.known, None) is None
        return result

    return jax.jit(jax.grad(score))(picture, model, found)


@pytest.mark.slow
@pytest.mark.parametrize("network", [*QUICK, *SLOW])
def test_float32_where_float64_has_decided(network, folder, monkeypatch):
    model, picture = loaded(network, folder), drawing.picture(network, 0)
    monkeypatch.setitem(PRECISIONS, "float64", (jnp.float64, jax.lax.Precision.HIGHEST))
    with jax.enable_x64(True):
        found = decided(in_float64(model), jnp.asarray(picture, jnp.float64), monkeypatch)
    found = [np.asarray(each) for each in found]
    gradient = gradient_as_decided(model, jnp.asarray(picture, jnp.float32), found, monkeypatch)
    check(gradient, network, "gradient0", 1e-4)


@pytest.mark.data
def test_genuine_weights_of_vgg19(data):
    file = open_file(Path(data) / "weights" / "vgg19_caffe_partial.npz")
    architecture = NETWORKS["vgg19"].architecture
    absent = {}
    for name, leaf in flatten_dict(parameter_shapes(architecture), sep="/").items():
        if name not in file.tensors:
            shape = (*leaf.shape[:1:-1], *leaf.shape[:2]) if len(leaf.shape) == 4 else leaf.shape
            absent[name] = Tensor(
                shape, np.dtype(np.float32), lambda shape=shape: np.zeros(shape, np.float32)
            )
    complete = {name: tensor for name, tensor in file.tensors.items() if "first" not in name}
    whole = dataclasses.replace(file, tensors={**complete, **absent})
    plan = conversion.plan(whole, architecture)
    params = unflatten_dict(dict(plan.arrays()), sep="/")
    network = jaxviz.Network(params, plan.architecture, plan.preprocessing, "vgg19")
    golden = np.load(Path(__file__).parents[1] / "golden" / "vgg19.npz")
    picture = (np.load(Path(__file__).parents[1] / "golden" / "golden.npz")["input/chelsea"] / 255).astype(
        np.float32
    )
    names = ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1")
    for name, value in jaxviz.networks.compiled_features(network, picture, names).items():
        flat, norm = np.asarray(value, np.float64).ravel(), golden[f"{name}/norm"]
        assert np.linalg.norm(flat) == pytest.approx(norm, rel=1e-5)
        sampled, expected = flat[golden[f"{name}/index"]], golden[f"{name}/value"]
        assert np.linalg.norm(sampled - expected) < 1e-5 * np.linalg.norm(expected)
