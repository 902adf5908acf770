import jax
import jax.numpy as jnp
import numpy as np
import pytest
import stylizers
import trainings

from jaxviz import stylization, training


@pytest.fixture(scope="module")
def recipe():
    network = trainings.network()
    changes = {"content_layers": {"relu2_1": 1.0}, "style_layers": {"relu1_1": 1.0}}

    def made(start, styles=("b", "new"), **more):
        values = training.MULTI["default"].merged(changes | {"width": 4} | more)
        return training.perceptual(
            network, dict.fromkeys(styles, stylizers.noise(16, 16)), values, start=start
        )

    return made


def test_a_known_style_keeps_its_scales_and_a_new_one_has_the_mean(recipe):
    start = stylization.initialize("transformer", jax.random.key(1), styles=("a", "b"), width=4)
    params = {
        name: {k: v + jnp.arange(2.0)[:, None] if k == "scale" else v for k, v in leaf.items()}
        for name, leaf in start.params.items()
    }
    start = stylization.Bank(params, {}, start.architecture, start.styles)
    made = recipe(start)
    begun = made.init(jax.random.key(0))["variables"]["params"]
    assert (begun["conv1"]["kernel"] == params["conv1"]["kernel"]).all()
    np.testing.assert_array_equal(begun["out_norm"]["scale"], [[2.0] * 3, [1.5] * 3])
    other = stylization.Bank(begun, {}, start.architecture, start.styles)
    assert made.settings["start_sha256"] != recipe(other).settings["start_sha256"]
    assert "start_sha256" not in recipe(None).settings


def test_another_architecture_is_told(recipe):
    start = stylization.initialize("transformer", jax.random.key(1), styles=("a",), width=4, blocks=1)
    with pytest.raises(ValueError, match="has blocks 1, the training 5"):
        recipe(start)
    start = stylization.initialize("transformer", jax.random.key(1), norm="batch", width=4)
    with pytest.raises(ValueError, match="has norm batch, the training conditional-instance"):
        recipe(start)
