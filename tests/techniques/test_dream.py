import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxviz
from jaxviz import dream, objectives
from jaxviz.networks import compiled_features

LAYERS = {"relu2_2": 1.0}


@pytest.fixture(scope="module")
def image(picture):
    return jnp.asarray(picture("coffee", 48))


def strength(network, x):
    return float(jnp.square(compiled_features(network, x, ("relu2_2",))["relu2_2"]).mean())


@jax.jit
def slope_of(network, image, objective):
    return jax.grad(lambda x: -objective(network.features(x)))(image)


def test_one_step_is_the_formula(vgg16, image):
    objective = objectives.energy(LAYERS)
    slope = slope_of(vgg16, image, objective)
    expected = jnp.clip(image + 0.02 * slope / jnp.abs(slope).mean(), 0, 1)
    found = dream.dream(vgg16, image, layers=LAYERS, octaves=1, steps=1, rate=0.02, jitter=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_layer_sees_more(vgg16, image):
    found = dream.dream(vgg16, image, layers=LAYERS, octaves=2, steps=4)
    assert found.shape == image.shape
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    assert strength(vgg16, found) > 1.5 * strength(vgg16, image)
    again = dream.dream(vgg16, image, layers=LAYERS, octaves=2, steps=4, key=0)
    np.testing.assert_array_equal(found, again)
    other = dream.dream(vgg16, image, layers=LAYERS, octaves=2, steps=4, key=1)
    assert np.abs(found - other).max() > 0


def test_detail_is_carried_not_the_image(vgg16, image):
    """Without steps at the last size there is the image with the enlarged detail; without any, the image itself."""
    np.testing.assert_allclose(dream.dream(vgg16, image, layers=LAYERS, octaves=3, steps=0), image, atol=1e-6)


@pytest.mark.slow
def test_a_guide_is_resembled(vgg16, image, picture):
    guide = jnp.asarray(picture("immunohistochemistry", 40))
    objective = objectives.resemble(compiled_features(vgg16, guide, ("relu2_2",)), LAYERS)
    found = dream.dream(vgg16, image, layers=LAYERS, guide=guide, octaves=1, steps=4)
    assert float(objective(vgg16.features(found))) < 1.2 * float(objective(vgg16.features(image))) < 0


def test_the_published_numbers_are_a_preset_that_others_take_the_place_of(vgg16, image):
    numbers = {"rate": 1.5 / 255, "jitter": 32, "octaves": 1, "steps": 2}
    found = dream.dream(vgg16, image, preset="google", layers=LAYERS, octaves=1, steps=2)
    np.testing.assert_array_equal(found, dream.dream(vgg16, image, layers=LAYERS, **numbers))
    other = dream.dream(vgg16, image, preset="google", layers=LAYERS, octaves=1, steps=2, jitter=0)
    assert np.abs(found - other).max() > 0
    with pytest.raises(KeyError, match="no preset of dream is named 'gogle'; nearest: google"):
        dream.dream(vgg16, image, preset="gogle")


@pytest.mark.slow
def test_each_preset_has_the_layers_of_its_network():
    for preset in dream.PRESETS.values():
        assert set(preset.values["layers"]) <= set(
            jaxviz.initialize(preset.network, jax.random.key(0)).layers
        )


def test_objectives_of_layers():
    taps = {"a": jnp.array([[[1.0, 2.0], [3.0, 0.0]]]), "b": jnp.array([4.0])}
    assert float(objectives.energy({"a": 2.0, "b": 1.0})(taps)) == pytest.approx(-0.5 * (2 * 14 / 4 + 16))
    guide = {"a": jnp.array([[[0.0, 5.0], [1.0, 0.0]]])}
    # The first position is nearest to [0, 5], the second to [1, 0].
    assert float(objectives.resemble(guide, {"a": 3.0})(taps)) == pytest.approx(-3 * (10 + 3) / 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"octaves": 0}, "octaves is 0"),
        ({"ratio": 1.0}, "ratio is 1"),
        ({"steps": -1}, "steps is -1"),
        ({"rate": 2.0}, "rate is 2"),
        ({"jitter": -1}, "jitter is -1"),
        ({"octaves": 30}, "does not exist for a picture of"),
        ({"layers": {"relu2_2": 0.0}}, "all layer weights are zero"),
    ],
)
def test_bad_numbers_are_refused(options, message, vgg16, image):
    with pytest.raises(ValueError, match=message):
        dream.dream(vgg16, image, **options)
