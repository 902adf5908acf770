"""jaxviz against PyTorch: golden/golden.npz, which golden/generate.py made without jaxviz."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxviz
from jaxviz.networks.layers import PRECISIONS

pytestmark = pytest.mark.optimized

GOLDEN = dict(np.load(Path(__file__).parents[1] / "golden" / "golden.npz"))
INPUTS = ("seeded", "chelsea", "coffee")
TAPS = {
    "vgg16": ("conv1_1", "pool1", "pool2", "pool3", "pool4", "pool5"),
    "squeezenet1_1": ("conv1", "pool1", "pool3", "pool5", "logits"),
}
FIXTURES = {"vgg16": "vgg16", "squeezenet1_1": "squeezenet"}


def exact(name):
    """Returns an input in float64."""
    return GOLDEN[f"input/{name}"] / 255


def single(name):
    return exact(name).astype(np.float32)


def noisy(name):
    """Returns a picture with up to half a grey level of noise, which breaks the ties of flat regions."""
    return np.clip(exact(name) + (exact("seeded") - 0.5) / 255, 0, 1)


def small(name):
    return exact(name)[80:144, 80:144]


def between():
    return ((small("coffee") + small("seeded")) / 2).astype(np.float32)


def errors(found, expected):
    """Returns median and maximum error relative to the largest entry, and the correlation."""
    found, expected = (np.asarray(a, np.float64).ravel() for a in (found, expected))
    relative = np.abs(found - expected) / np.abs(expected).max()
    return np.median(relative), relative.max(), np.corrcoef(found, expected)[0, 1]


def in_float64(network):
    """Returns a network that computes in float64; inside jax.enable_x64 and with `PRECISIONS` extended."""
    return jaxviz.Network(
        jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64), network.params),
        network.architecture.clone(precision="float64"),
        network.preprocessing,
    )


@pytest.fixture
def float64(monkeypatch):
    monkeypatch.setitem(PRECISIONS, "float64", (jnp.float64, jax.lax.Precision.HIGHEST))
    with jax.enable_x64(True):
        yield


def check_gradient(found, expected):
    # Arithmetic alone leaves a median near 1e-8. Single entries may be off by 5e-3 of the largest, as on 36
    # photographs, where rounding decides a tie of a ReLU or a pooling otherwise: see the float64 tests.
    median, largest, correlation = errors(found, expected)
    assert median < 1e-6
    assert largest < 1e-2
    assert correlation > 0.99999


def check_activations(taps, key, tolerance):
    for tap, value in taps.items():
        expected = {what: GOLDEN[f"{key}/{tap}/{what}"] for what in ("shape", "index", "value", "norm")}
        assert value.shape == tuple(expected["shape"])
        flat = np.asarray(value, np.float64).ravel()
        typical = expected["norm"] / np.sqrt(flat.size)
        sampled = flat[expected["index"]]
        np.testing.assert_allclose(sampled, expected["value"], rtol=0, atol=tolerance * typical, err_msg=tap)
        np.testing.assert_allclose(np.linalg.norm(flat), expected["norm"], rtol=tolerance, err_msg=tap)


@pytest.mark.parametrize("picture", INPUTS)
@pytest.mark.parametrize("name", TAPS)
def test_activations(name, picture, request):
    network = request.getfixturevalue(FIXTURES[name])
    taps = jaxviz.networks.compiled_features(network, single(picture), TAPS[name])
    # Sums of 27 to 4608 products over up to 13 layers: a few tens of float32 roundings of 6e-8.
    check_activations(taps, f"activations/{name}/{picture}", 2e-5)


@pytest.mark.parametrize("name", [pytest.param("vgg16", marks=pytest.mark.slow), "squeezenet1_1"])
def test_activations_in_float64(name, request, float64):
    network = in_float64(request.getfixturevalue(FIXTURES[name]))
    taps = jaxviz.networks.compiled_features(network, jnp.asarray(exact("chelsea")), TAPS[name])
    assert all(tap.dtype == jnp.float64 for tap in taps.values())
    check_activations(taps, f"activations/{name}/chelsea", 1e-12)


@pytest.mark.parametrize(("picture", "label"), [("chelsea", "Egyptian cat"), ("coffee", "espresso")])
def test_class_of_photographs(picture, label, squeezenet):
    winner = int(GOLDEN[f"fgsm/{picture}/label"])
    found = jaxviz.networks.compiled_features(squeezenet, single(picture), ("logits",))["logits"]
    assert int(found.argmax()) == winner
    assert squeezenet.labels[winner] == label


@pytest.mark.slow  # test_attribution.py sees twenty pictures
@pytest.mark.parametrize("picture", INPUTS)
def test_saliency(picture, squeezenet):
    key = f"saliency/{picture}"
    heat = np.asarray(jaxviz.saliency.gradient(squeezenet, single(picture), int(GOLDEN[f"{key}/label"])))
    check_gradient(heat.ravel()[GOLDEN[f"{key}/index"]], GOLDEN[f"{key}/value"])
    np.testing.assert_allclose(np.linalg.norm(heat), GOLDEN[f"{key}/norm"], rtol=1e-2)
    np.testing.assert_allclose(heat.max(), GOLDEN[f"{key}/max"], rtol=1e-2)


@jax.jit
def score_gradient(image, network, label):
    return jax.grad(lambda x: network.features(x)["logits"][label])(image)


@pytest.mark.slow
@pytest.mark.parametrize("picture", ["chelsea", "coffee"])
def test_saliency_in_float64(picture, squeezenet, float64):
    key = f"saliency/{picture}_noisy"
    label = int(GOLDEN[f"{key}/label"])

    found = score_gradient(jnp.asarray(noisy(picture)), in_float64(squeezenet), label)
    assert found.dtype == jnp.float64
    heat = np.abs(np.asarray(found)).max(-1).ravel()
    # Without ties both sides decide alike, and only roundings of 1e-16 are left.
    median, largest, _ = errors(heat[GOLDEN[f"{key}/index"]], GOLDEN[f"{key}/value"])
    assert median < 1e-14
    assert largest < 1e-12
    np.testing.assert_allclose(np.linalg.norm(heat), GOLDEN[f"{key}/norm"], rtol=1e-12)


@pytest.mark.parametrize("picture", INPUTS)
def test_fgsm(picture, squeezenet):
    image, epsilon = single(picture), 2 / 255
    above, below, decided = (
        np.unpackbits(GOLDEN[f"fgsm/{picture}/{what}"], count=image.size).reshape(image.shape).astype(bool)
        for what in ("above", "below", "decided")
    )
    label = int(GOLDEN[f"fgsm/{picture}/label"])
    attacked = np.asarray(jaxviz.attacks.fgsm(squeezenet, image, label, epsilon=epsilon))
    expected = np.clip(image + epsilon * (above.astype(int) - below), 0, 1)
    same = np.abs(attacked - expected) < 1e-6
    assert same[decided].all()  # derivatives above 2 % of the largest are beyond any decision's reach
    assert same.mean() > 0.99


def value_and_gradient(problem, z):
    function = jax.jit(jax.value_and_grad(lambda z, problem: problem.loss(z, jax.random.key(0))))
    return function(z, problem)


def test_gatys_loss(vgg16):
    content, style = (small(name).astype(np.float32) for name in ("coffee", "chelsea"))
    problem, _ = jaxviz.style.problem(vgg16, content, [style])
    value, gradient = value_and_gradient(problem, between())
    np.testing.assert_allclose(value, GOLDEN["gatys/value"], rtol=2e-6)
    np.testing.assert_allclose(value, GOLDEN["gatys/value/float32"], rtol=2e-6)
    check_gradient(gradient, GOLDEN["gatys/gradient"])
    check_gradient(gradient, GOLDEN["gatys/gradient/float32"])


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_inversion_energy(preset, vgg16):
    image = small("coffee").astype(np.float32)
    problem, _ = jaxviz.inversion.problem(vgg16, image, layer="relu3_3", preset=preset)
    value, gradient = value_and_gradient(problem, between())
    np.testing.assert_allclose(value, GOLDEN[f"inversion/{preset}/value"], rtol=2e-6)
    check_gradient(gradient, GOLDEN[f"inversion/{preset}/gradient"])


@pytest.mark.parametrize("beta", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("picture", ["seeded", "coffee"])
def test_total_variation(picture, beta):
    key = f"variation/{picture}/{beta}"
    prior = jaxviz.priors.total_variation(beta)
    value, gradient = jax.value_and_grad(prior)(jnp.asarray(single(picture)[:32, :32]))
    np.testing.assert_allclose(value, GOLDEN[f"{key}/value"], rtol=2e-6)
    # A difference of one grey level, 0.004, of two values near 1 carries a rounding of 1.5e-5 of itself.
    assert errors(gradient, GOLDEN[f"{key}/gradient"])[1] < 2e-5


@pytest.mark.parametrize("beta", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("picture", ["seeded", "coffee"])
def test_total_variation_in_float64(picture, beta, float64):
    key = f"variation/{picture}/{beta}"
    prior = jaxviz.priors.total_variation(beta)
    value, gradient = jax.value_and_grad(prior)(jnp.asarray(exact(picture)[:32, :32]))
    np.testing.assert_allclose(value, GOLDEN[f"{key}/value"], rtol=1e-13)
    assert errors(gradient, GOLDEN[f"{key}/gradient"])[1] < 1e-13
