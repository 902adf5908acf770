import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxviz
from jaxviz import costs
from jaxviz.techniques import FAMILIES

SIZE = 64


def test_every_technique_that_computes_has_a_program():
    methods = {name for family in FAMILIES.values() for name in family.methods}
    left_out = {name for name, method in FAMILIES["features"].methods.items() if name not in costs.TECHNIQUES}
    assert methods - left_out == set(costs.TECHNIQUES)
    assert "activations" in costs.TECHNIQUES


@pytest.mark.parametrize("name", costs.TECHNIQUES)
def test_a_program_has_shapes_and_says_what_it_makes(name):
    made = costs.program(name, size=SIZE)
    family, method = costs.TECHNIQUES[name]
    assert (made.technique, made.family, made.size) == (name, family.name, SIZE)
    assert made.unit == ("picture" if method.problem is None else "evaluation")
    shapes = jax.tree.leaves(made.shapes)
    assert shapes
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in shapes)
    # Weights are arguments, not part of the program.
    network = jaxviz.load(family.network)
    weights = sum(leaf.size for leaf in jax.tree.leaves(network.params))
    assert sum(leaf.size for leaf in shapes) > 0.9 * weights


@pytest.mark.parametrize("name", ["grad-cam", "fgsm", "activations"])
def test_a_program_makes_what_its_shapes_say(name):
    made = costs.program(name, size=SIZE)
    found = jax.jit(made.function)(*made.make())
    said = jax.eval_shape(made.function, *made.shapes)
    for leaf, shape in zip(jax.tree.leaves(found), jax.tree.leaves(said), strict=True):
        assert (leaf.shape, leaf.dtype) == (shape.shape, shape.dtype)
        assert bool(jnp.isfinite(leaf).all())


def test_a_program_is_what_the_method_computes(squeezenet):
    made = costs.program("grad-cam", network=squeezenet, size=SIZE)
    network, image, label = made.make()
    expected = jaxviz.saliency.grad_cam(network, image, int(label))
    np.testing.assert_allclose(jax.jit(made.function)(network, image, label), expected, atol=1e-5)


def test_an_evaluation_goes_one_step(squeezenet):
    made = costs.program("class-model", network=squeezenet, size=SIZE)
    state = jax.jit(made.function)(*made.make())
    assert int(state.evaluations) == 1
    assert np.isfinite(state.losses[0])


def test_what_does_not_exist_is_refused():
    with pytest.raises(KeyError, match="no technique is named 'styel'; nearest: style"):
        costs.program("styel")
    with pytest.raises(ValueError, match="size is 0"):
        costs.program("gradient", size=0)
    with pytest.raises(KeyError, match="no precision is named 'float16'"):
        costs.program("gradient", precision="float16")
