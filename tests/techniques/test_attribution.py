"""What captum finds of twenty pictures (golden/attribution.npz), and what each method's formula promises."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxviz
from jaxviz import gradient_rules, objectives, saliency
from jaxviz.networks import Network, compiled_features
from jaxviz.networks.layers import PRECISIONS
from jaxviz.techniques import FAMILIES
from jaxviz.techniques.baselines import baseline, blurred
from jaxviz.techniques.classes import neuron
from jaxviz.techniques.saliency.cam import contributions
from jaxviz.techniques.saliency.grad_cam import weigh as by_channel
from jaxviz.techniques.saliency.gradient import derivative
from jaxviz.techniques.saliency.hirescam import weigh as by_place
from jaxviz.techniques.saliency.integrated_gradients import RULES, quadrature
from jaxviz.techniques.saliency.occlusion import covers
from jaxviz.techniques.saliency.rise import mask
from tests.golden import attribution

GOLDEN = dict(np.load(Path(__file__).parents[1] / "golden" / "attribution.npz"))
MAPS = (
    "gradient",
    "grad-times-input",
    "guided",
    "deconvnet",
    "integrated-gradients",
    "grad-cam",
    "occlusion",
)
LABEL = 285
DEAR = ("integrated-gradients", "occlusion")
ALIKE = ("grad-times-input", "deconvnet")
"""Which are `gradient` and `guided`, times something."""


def case(name, slow):
    return pytest.param(name, 5 if name in DEAR else 1, id=name, marks=[pytest.mark.slow] * (name in slow))


CASES = [case(name, (*ALIKE, "guided")) for name in MAPS]  # float64, which is stricter, sees guided
CASES += [pytest.param(name, 1, marks=pytest.mark.slow, id=f"{name}-all") for name in DEAR]
"""Each with how many pictures are passed over, plus one."""
MEDIANS = {"integrated-gradients": 3e-3}
"""Of fifty derivatives some meet a decision that rounding turns, in nearly every picture: captum in float32 is 6e-4
to 2e-3 away from captum in float64. In float64 both sides agree to 1e-10."""


@pytest.fixture(scope="module")
def image(picture):
    return jnp.asarray(picture("chelsea", 64))


@jax.jit
def score(network, x):
    return network.features(x, ["logits"])["logits"][LABEL]


slope = jax.jit(jax.grad(score, 1))
summed = jax.jit(contributions, static_argnums=(3, 4))
derivative_of = jax.jit(derivative)


def map_of(name, network, image, label):
    """The map of a method in the form that captum has it."""
    if name == "gradient":
        return derivative_of(network, image, objectives.logit(label))
    if name == "grad-cam":
        return summed(network, image, objectives.logit(label), "fire9", by_channel)
    return FAMILIES["saliency"].methods[name].function(network, image, label)


def errors_and_correlations(name, bits, network, images, every):
    cases = list(zip(images, GOLDEN[f"labels/{bits}"], GOLDEN[f"{name}/{bits}"], strict=True))
    for picture, label, expected in cases[::every]:
        flat = np.asarray(map_of(name, network, picture, int(label)), np.float64).ravel()
        found = flat[attribution.places(flat.size)]
        yield np.linalg.norm(found - expected) / np.linalg.norm(expected), np.corrcoef(found, expected)[0, 1]


@pytest.mark.optimized
@pytest.mark.parametrize(("name", "every"), CASES)
def test_twenty_pictures_as_captum(name, every, squeezenet):
    images = [np.float32(x) for x in attribution.pictures(noise=False).values()]
    error, correlation = np.transpose(list(errors_and_correlations(name, 32, squeezenet, images, every)))
    assert np.median(error) <= MEDIANS.get(name, 1e-5)
    assert error.max() <= 3e-2
    assert correlation.min() >= 0.999


STRICT = [case(name, set(MAPS) - {"guided"}) for name in MAPS]
"""Through the same layers and their derivatives as all others."""


@pytest.mark.optimized
@pytest.mark.parametrize(("name", "every"), STRICT)
def test_twenty_pictures_as_captum_in_float64(name, every, squeezenet, monkeypatch):
    monkeypatch.setitem(PRECISIONS, "float64", (jnp.float64, jax.lax.Precision.HIGHEST))
    with jax.enable_x64(True):
        wide = Network(
            jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64), squeezenet.params),
            squeezenet.architecture.clone(precision="float64"),
            squeezenet.preprocessing,
            squeezenet.name,
            squeezenet.labels,
        )
        images = list(attribution.pictures(noise=True).values())
        error = [e for e, _ in errors_and_correlations(name, 64, wide, images, every)]
    assert np.median(error) <= 1e-10


@pytest.mark.slow
def test_guided_derivatives_are_those_of_the_rule(squeezenet, image):
    for method, rule in (
        (saliency.guided, gradient_rules.guided),
        (saliency.deconvnet, gradient_rules.deconvnet),
    ):
        ruled = dataclasses.replace(squeezenet, relu=rule)
        np.testing.assert_allclose(method(squeezenet, image, LABEL), slope(ruled, image), atol=1e-5)
    # A method without a rule of its own follows the network's.
    found = saliency.gradient(ruled, image, LABEL)
    np.testing.assert_allclose(found, jnp.abs(slope(ruled, image)).max(-1), atol=1e-5)


def test_a_neuron_sees_its_receptive_field_alone(classifier, image):
    taps = compiled_features(classifier, image, ("conv2",))
    strongest = int(jnp.argmax(taps["conv2"][3, 4]))
    unit = neuron(classifier, (64, 64), "conv2", strongest, (3, 4))
    field = jaxviz.features.receptive_field(classifier, "conv2")
    found = np.abs(saliency.guided(classifier, image, unit)).sum(-1)
    center = [field.center[k] + (3, 4)[k] * field.stride[k] for k in (0, 1)]
    rows, columns = np.nonzero(found)
    assert rows.size
    for places, middle, size in zip((rows, columns), center, field.size, strict=True):
        assert places.min() + 0.5 >= middle - size / 2
        assert places.max() + 0.5 <= middle + size / 2


def test_smoothgrad_and_its_kin_are_moments_over_the_noise(classifier, image):
    key, sigma, samples = jax.random.key(3), 0.2, 6
    spread = sigma * (image.max() - image.min())
    slopes = np.stack(
        [
            slope(classifier, image + spread * jax.random.normal(jax.random.fold_in(key, k), image.shape))
            for k in range(samples)
        ]
    )
    given = {"key": key, "sigma": sigma, "samples": samples}
    large = np.abs(slopes).max()
    for method, expected, tolerance in (
        (saliency.smoothgrad, slopes.mean(0), 1e-5 * large),
        (saliency.smoothgrad_squared, (slopes**2).mean(0), 1e-5 * large**2),
        (saliency.vargrad, slopes.var(0), 1e-5 * large**2),
    ):
        found = np.asarray(method(classifier, image, LABEL, **given))
        assert np.quantile(np.abs(found - expected), 0.99) <= tolerance
    assert float(np.abs(saliency.vargrad(classifier, image, LABEL, samples=1)).max()) <= 1e-6 * large**2


def test_without_noise_smoothgrad_is_the_gradient(classifier, image):
    found = saliency.smoothgrad(classifier, image, LABEL, sigma=0, samples=3)
    np.testing.assert_allclose(found, slope(classifier, image), atol=1e-5 * float(jnp.abs(found).max()))


def test_seeds_are_keys_and_choose_the_noise(classifier, image):
    def one(key):
        return np.asarray(saliency.smoothgrad(classifier, image, LABEL, samples=2, key=key))

    np.testing.assert_array_equal(one(7), one(jax.random.key(7)))
    assert np.abs(one(7) - one(8)).max() > 0
    for bad in (-1, 2**32, True):
        with pytest.raises(ValueError, match="key is"):
            one(bad)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("steps", [2, 3, 8])
def test_rules_of_integration_are_exact_for_what_they_promise(rule, steps):
    places, weights = quadrature(steps, rule)
    assert weights.sum() == pytest.approx(1)
    degree = {"gauss-legendre": 2 * steps - 1, "trapezoid": 1, "riemann-middle": 1}.get(rule, 0)
    assert (weights * places**degree).sum() == pytest.approx(1 / (degree + 1))
    assert places.min() >= 0
    assert places.max() <= 1


def test_integrated_gradients_are_complete(classifier, picture):
    """Sums are within 4 % of the difference of scores at 50 places and 1 % at 200, and what is told is so."""
    for name in ("chelsea", "coffee"):
        image = picture(name, 64)
        label = int(compiled_features(classifier, image, ("logits",))["logits"].argmax())
        for steps, bound in ((50, 0.04), (200, 0.01)):
            found, told = saliency.integrated_gradients_with_gap(classifier, image, label, steps=steps)
            difference = float(told["score"] - told["baseline_score"])
            assert abs(float(found.sum()) - difference) <= bound * abs(difference)
            assert float(told["gap"]) == pytest.approx(float(found.sum()) - difference, abs=1e-4)


def test_baselines_are_what_they_are_called(image):
    for name, value in (("zero", 0), ("grey", 0.5), ("white", 1), (0.25, 0.25)):
        np.testing.assert_array_equal(baseline(name, image), np.full(image.shape, value, np.float32))
    np.testing.assert_array_equal(baseline(1 - image, image), 1 - image)
    soft = np.asarray(baseline("blur", image))
    assert abs(soft.mean() - float(image.mean())) < 0.02
    assert np.diff(soft, axis=0).std() < 0.5 * np.diff(image, axis=0).std()
    point = np.zeros((21, 21, 1), np.float32)
    point[10, 10] = 1
    spread = np.asarray(blurred(jnp.asarray(point), 2.0))[..., 0]
    np.testing.assert_allclose(spread[10, 12] / spread[10, 10], np.exp(-0.5), rtol=1e-4)
    with pytest.raises(KeyError, match="no baseline is named 'gray'; nearest: grey"):
        baseline("gray", image)
    with pytest.raises(ValueError, match=r"baseline is 2; expected a number in \[0, 1\]"):
        baseline(2.0, image)
    with pytest.raises(ValueError, match=r"baseline is \[3, 64, 3\]; expected the image's \[64, 64, 3\]"):
        baseline(image[:3], image)


def test_windows_cover_every_pixel_and_are_clipped_at_the_border():
    for size, window, stride in ((10, 4, 3), (11, 4, 3), (5, 9, 2), (7, 1, 1), (224, 15, 8)):
        inside = covers(size, window, stride)
        assert inside.sum(0).min() >= 1
        starts = inside.argmax(1)
        np.testing.assert_array_equal(starts, stride * np.arange(len(inside)))
        np.testing.assert_array_equal(inside.sum(1), np.minimum(window, size - starts))


def test_occlusion_finds_what_the_score_depends_on(classifier):
    """A network that looks at one corner alone: only windows over it lower its score."""
    flat = jnp.full((64, 64, 3), 0.5).at[:16, :16].set(1.0)
    unit = objectives.unit("conv1", 0, (3, 3))  # sees pixels 6 to 8
    found = np.asarray(saliency.occlusion(classifier, flat, unit, window=8, stride=8))
    assert np.abs(found[:16, :16]).max() > 0
    assert np.abs(found[16:]).max() == 0
    _, told = saliency.occlusion_with_probabilities(classifier, flat, LABEL, window=32, stride=32)
    hidden = flat.at[:32, :32].set(0.5)
    expected = jax.nn.softmax(compiled_features(classifier, hidden, ("logits",))["logits"])[LABEL]
    assert float(told["probabilities"][0, 0]) == pytest.approx(float(expected), rel=1e-4)


def test_rise_is_the_mean_of_masks_by_their_scores(classifier, image):
    key, samples = jax.random.key(2), 5
    masks = [mask(jax.random.fold_in(key, k), (64, 64), 7, 0.4) for k in range(samples)]

    def probability(x):
        return jax.nn.softmax(classifier.features(x, ["logits"])["logits"])[LABEL]

    expected = sum(probability(image * m[..., None]) * m for m in masks) / samples / 0.4
    found = saliency.rise(classifier, image, LABEL, key=key, samples=samples, kept=0.4)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-8)
    many = jax.vmap(lambda k: mask(jax.random.key(k), (64, 64), 7, 0.4))(jnp.arange(2000))
    assert 0 <= float(many.min()) <= float(many.max()) <= 1 + 1e-6
    np.testing.assert_allclose(many.mean(0), 0.4, atol=0.05)


@pytest.mark.slow
def test_expected_gradients_of_one_reference_are_complete_in_the_mean(squeezenet, image):
    given = {"references": jnp.zeros((1, *image.shape)), "samples": 200}
    found = saliency.expected_gradients(squeezenet, image, LABEL, **given)
    complete = saliency.integrated_gradients(squeezenet, image, LABEL)
    assert np.corrcoef(np.ravel(found), np.ravel(complete))[0, 1] > 0.9
    with pytest.raises(ValueError, match=r"references are \[64, 64, 3\]; expected \[n, 64, 64, 3\]"):
        saliency.expected_gradients(squeezenet, image, LABEL, references=image)


def test_several_classes_take_one_forward_pass(classifier, image):
    def maps(targets):
        return jax.vmap(lambda target: saliency.gradient(classifier, image, target))(targets)

    def convolutions(count):
        return jax.jit(maps).lower(jnp.arange(count)).as_text().count("stablehlo.convolution")

    targets = jnp.array([285, 3, 7])
    for found, target in zip(maps(targets), targets, strict=True):
        expected = saliency.gradient(classifier, image, int(target))
        np.testing.assert_allclose(found, expected, atol=1e-5 * float(expected.max()))
    assert convolutions(1) == convolutions(5)
    flops = [jax.jit(maps).lower(jnp.arange(k)).compile().cost_analysis()["flops"] for k in (1, 5)]
    assert flops[1] < 3.7 * flops[0]  # (1 + 5) / (1 + 1) = 3, were a pass back as dear as one forward


def test_contributions_of_the_last_layer_add_up_to_the_score(classifier, image):
    parts = contributions(classifier, image, objectives.logit(LABEL), "conv3", by_place)
    np.testing.assert_allclose(parts.sum(), score(classifier, image), rtol=1e-5)


@pytest.mark.parametrize(
    "name", ["grad_cam", "grad_cam_plus_plus", "hirescam", "layercam", "guided_grad_cam"]
)
def test_maps_without_positions_are_refused(name, squeezenet, image):
    method = getattr(saliency, name)
    with pytest.raises(ValueError, match=r"layer 'logits' of squeezenet1_1 has no positions; take fire9"):
        method(squeezenet, image, 3, layer="logits")
    with pytest.raises(KeyError, match="nearest: fire9"):
        method(squeezenet, image, 3, layer="fire99")
    with pytest.raises(ValueError, match=r"does not exist for a picture of 1×1"):
        method(squeezenet, image[:1, :1], 3)


def test_the_usual_layer_of_vgg_is_its_last_convolution(vgg16, image):
    unit = objectives.unit("pool5", 3)
    found = saliency.grad_cam(vgg16, image, unit)
    np.testing.assert_array_equal(found, saliency.grad_cam(vgg16, image, unit, layer="relu5_3"))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda n, x: saliency.occlusion(n, x, 3, window=4, stride=5),
            "stride is 5; expected 1 to the window's 4",
        ),
        (lambda n, x: saliency.occlusion(n, x, 3, window=0), "window is 0"),
        (
            lambda n, x: saliency.smoothgrad(n, x, 3, samples=0),
            "samples is 0; expected a whole number of at least 1",
        ),
        (
            lambda n, x: saliency.integrated_gradients(n, x, 3, steps=1, rule="trapezoid"),
            "expected a whole number of at least 2",
        ),
        (lambda n, x: saliency.integrated_gradients(n, x, 1000), "target is 1000"),
        (lambda n, x: saliency.guided(n, x * 2, 3), r"expected \[0, 1\]"),
        (lambda n, x: saliency.guided(n, x.at[0, 0, 0].set(np.nan), 3), "NaN"),
        (lambda n, x: neuron(n, (64, 64), "fire5", 256), "no channel 256; it has 256"),
        (lambda n, x: neuron(n, (64, 64), "fire5", 3, (99, 0)), r"no position 99,0; it has 7×7"),
        (lambda n, x: neuron(n, (64, 64), "logits", 3, (0, 0)), "has no positions"),
        (lambda n, x: saliency.guided(n, x, objectives.unit("logits", 3, (0, 0))), "has no positions"),
    ],
)
def test_bad_options_are_refused(call, message, squeezenet, image):
    with pytest.raises(ValueError, match=message):
        call(squeezenet, image)
