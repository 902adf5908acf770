import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxviz
from jaxviz import inversion
from jaxviz.networks import NETWORKS, Network, compiled_features, parameter_shapes
from jaxviz.networks.preprocessing import CAFFE
from jaxviz.techniques.layers import head_taps

KEY = jax.random.key(0)


@jax.jit
def loss_of(problem, z):
    return problem.loss(z, KEY)


@pytest.fixture(scope="module")
def small(picture):
    return jnp.asarray(picture("chelsea", 48)), jnp.asarray(picture("coffee", 48))


@pytest.fixture(scope="module")
def alexnet():
    return jaxviz.initialize("alexnet", jax.random.key(0))


class TestLayers:
    def test_a_name_a_list_and_weights_of_one_are_the_same(self, vgg16, small):
        x = small[1]
        losses = [
            float(loss_of(inversion.problem(vgg16, small[0], layer=layer)[0], x))
            for layer in ("relu2_1", ["relu2_1"], {"relu2_1": 1.0})
        ]
        assert losses[0] == losses[1] == losses[2]

    def test_each_is_relative_and_weighted(self, vgg16, small):
        weights = {"relu1_1": 0.5, "relu2_1": 2.0}
        problem, _ = inversion.problem(vgg16, small[0], layer=weights, tv_weight=0)
        taps = [compiled_features(vgg16, image, tuple(weights)) for image in small]
        expected = sum(
            w * jnp.sum((taps[1][layer] - taps[0][layer]) ** 2) / jnp.sum(taps[0][layer] ** 2)
            for layer, w in weights.items()
        )
        np.testing.assert_allclose(loss_of(problem, small[1]), expected, rtol=1e-5)

    @pytest.mark.parametrize(
        ("layer", "error", "message"),
        [
            ([], ValueError, "layer is empty"),
            ({"relu1_1": 0}, ValueError, "all layer weights are zero"),
            ({"relu1_1": -1}, ValueError, "weight of relu1_1 is -1"),
            (["relu1_1", "relu33"], KeyError, "nearest: relu3_3"),
            ("fc6", ValueError, "vgg16 has no classifier, so no fc6; take alexnet or vgg16_classifier"),
        ],
    )
    def test_bad_layers(self, vgg16, small, layer, error, message):
        with pytest.raises(error, match=message):
            inversion.problem(vgg16, small[0], layer=layer)

    @pytest.mark.slow
    def test_taps_of_a_classifier(self, alexnet, squeezenet, small, picture):
        assert head_taps(alexnet.architecture) == ("fc6", "relu6", "fc7", "relu7", "logits")
        assert head_taps(squeezenet.architecture) == ()
        image = jnp.asarray(picture("chelsea", 224))
        found = inversion.invert(alexnet, image, layer="relu6", steps=3)
        assert found.value.shape == (224, 224, 3)
        assert np.nanmin(found.losses) < found.losses[0]
        with pytest.raises(ValueError, match="take 224×224, which its classifier needs"):
            inversion.invert(alexnet, small[0], layer="relu6", steps=1)
        any_size = inversion.invert(squeezenet, small[0], layer="logits", steps=2)
        assert any_size.value.shape == (48, 48, 3)


class TestRestarts:
    def test_each_is_that_of_its_seed_alone(self, vgg16, small):
        options = {"layer": "relu1_2", "steps": 4}
        found = inversion.restarts(vgg16, small[0], count=3, seed=5, **options)
        assert found.value.shape == (3, 48, 48, 3)
        assert found.losses.shape == (3, 4)
        for k in range(3):
            alone = inversion.invert(vgg16, small[0], key=jax.random.key(5 + k), **options)
            np.testing.assert_allclose(found.losses[k], alone.losses, rtol=1e-4)
            np.testing.assert_allclose(found.value[k], alone.value, atol=1e-3)
        assert not np.allclose(found.value[0], found.value[1], atol=1e-3)

    def test_starts_are_the_same_bits(self, vgg16, small):
        found = inversion.restarts(vgg16, small[0], layer="relu1_1", count=2, seed=3, steps=0)
        for k in range(2):
            alone = inversion.invert(vgg16, small[0], layer="relu1_1", key=jax.random.key(3 + k), steps=0)
            np.testing.assert_array_equal(found.value[k], alone.value)

    def test_bad_counts(self, vgg16, small):
        with pytest.raises(ValueError, match="count is 0; expected at least 1"):
            inversion.restarts(vgg16, small[0], layer="relu1_1", count=0)
        with pytest.raises(ValueError, match="takes seed, not key"):
            inversion.restarts(vgg16, small[0], layer="relu1_1", key=KEY)


def test_a_strip_is_the_inversion_of_each_layer(vgg16, small):
    told = []
    layers = ["relu2_1", "relu1_1"]
    found = inversion.strip(
        vgg16, small[0], layers=layers, steps=2, on_chunk=lambda layer, _: told.append(layer)
    )
    assert list(found) == list(dict.fromkeys(told)) == layers
    alone = inversion.invert(vgg16, small[0], layer="relu1_1", steps=2)
    np.testing.assert_array_equal(found["relu1_1"].value, alone.value)
    with pytest.raises(KeyError, match="no layer of vgg16 is named 'relu9_1'"):
        inversion.strip(vgg16, small[0], layers=["relu1_1", "relu9_1"])


def test_a_job_takes_several_layers_and_those_of_a_classifier(vgg16):
    task = jaxviz.jobs.inversion(vgg16, layer={"relu1_1": 1.0, "relu2_1": 0.5})
    assert task.settings["options"] == {"layer": {"relu1_1": 1.0, "relu2_1": 0.5}}
    assert task.sizing.settings() == {"shape": "longer side", "size": 256, "multiple": 32}
    architecture = NETWORKS["alexnet"].architecture
    blank = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), parameter_shapes(architecture))
    alexnet = Network(blank, architecture, CAFFE, "alexnet")
    square = jaxviz.jobs.inversion(alexnet, layer="fc6")
    assert square.sizing.settings() == {"shape": "square", "size": 224}
