import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxviz
from jaxviz import gradient_rules

WENT_IN = [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0]
CAME_BACK = [1.0, -1.0, 1.0, -3.0, 5.0, 0.0]
OUTCOMES = {
    "plain": [0.0, 0.0, 0.0, -3.0, 5.0, 0.0],
    "guided": [0.0, 0.0, 0.0, 0.0, 5.0, 0.0],
    "deconvnet": [1.0, 0.0, 1.0, 0.0, 5.0, 0.0],
}
RULES = [pytest.param(getattr(gradient_rules, name), outcome, id=name) for name, outcome in OUTCOMES.items()]


@pytest.mark.parametrize(("rule", "outcome"), RULES)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_the_table_of_what_goes_back(rule, outcome, dtype):
    x, g = jnp.array(WENT_IN, dtype), jnp.array(CAME_BACK, dtype)
    y, back = jax.vjp(rule, x)
    np.testing.assert_array_equal(y, jax.nn.relu(x))
    (found,) = back(g)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, jnp.array(outcome, dtype))


@pytest.mark.parametrize(("rule", "outcome"), RULES)
def test_rules_survive_jit_and_vmap(rule, outcome):
    def back(x, g):
        return jax.vjp(rule, x)[1](g)[0]

    x, g = jnp.array(WENT_IN), jnp.array(CAME_BACK)
    np.testing.assert_array_equal(jax.jit(jax.vmap(back))(x, g), outcome)


@pytest.mark.parametrize("name", ["squeezenet1_1", "vgg16"])
def test_a_rule_changes_no_feature(name, picture):
    image, network = jnp.asarray(picture("chelsea", 48)), jaxviz.load(name)
    usual = network.features(image)
    for rule in (gradient_rules.guided, gradient_rules.deconvnet):
        found = dataclasses.replace(network, relu=rule).features(image)
        assert list(found) == list(usual)
        for layer, tap in found.items():
            np.testing.assert_array_equal(tap, usual[layer])
