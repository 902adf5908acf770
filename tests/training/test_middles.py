"""What a projector begins with: codes that tell pictures apart, though all features are positive."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxviz
from jaxviz import images, samples, training


def test_a_projector_begins_with_codes_that_are_not_all_the_same():
    values = training.CAST["default"].merged({"code_size": 32, "queue": 8})
    recipe = training.contrastive(jaxviz.load("vgg16"), values)
    params = recipe.init(jax.random.key(0))["projector"]["params"]["coder"]
    plain = {name: {**layer, "bias": jnp.zeros_like(layer["bias"])} for name, layer in params.items()}
    network = recipe.frozen["encoder"]
    names = ("chelsea", "astronaut", "coffee", "rocket")
    pictures = jnp.stack([jnp.asarray(images.fit_square(samples.photograph(name), 96)) for name in names])
    pooled = jax.jit(recipe.passes.cropped)(network, pictures, jax.random.key(1))

    def likeness(weights):
        codes = recipe.passes.codes(weights, pooled)
        return np.mean([np.asarray(code @ code.T)[np.triu_indices(4, 1)].mean() for code in codes.values()])

    assert likeness(params) < likeness(plain) - 0.03
