"""Small stylizing networks for tests, whose styles differ, and pictures for them. Nothing is compiled."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxviz.networks import bordered
from jaxviz.stylization import Bank, Decoder, Projector, StyleCoder, Transformer, adaptive


def drawn(module, seed, *shapes):
    """Weights as they could have been trained, as far as their sizes go."""
    random = np.random.default_rng(seed)
    given = jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32),
        shapes,
        is_leaf=lambda s: isinstance(s, tuple) and isinstance(s[0], int),
    )

    def leaf(path, shape):
        name = jax.tree_util.keystr(path)
        if "statistics" in name:
            return jnp.full(shape.shape, float("variance" in name))
        if "kernel" in name:
            values = random.normal(0, (2 / np.prod(shape.shape[:3])) ** 0.5, shape.shape)
        else:
            low = 0.5 if "scale" in name else -0.5
            values = random.uniform(low, low + 1, shape.shape)
        return jnp.asarray(values, jnp.float32)

    return jax.tree_util.tree_map_with_path(leaf, jax.eval_shape(module.init, jax.random.key(0), *given))


@functools.cache
def bank(styles=("a", "b", "c", "d"), seed=0, norm="conditional-instance", blocks=1):
    """A narrow bank of few layers."""
    module = Transformer(norm=norm, styles=len(styles), width=4, blocks=blocks)
    variables = drawn(module, seed, (1, 16, 16, 3), (1, len(styles)))
    return Bank(variables["params"], variables.get("statistics", {}), module, tuple(styles))


@functools.cache
def any_style(encoder, seed=0):
    """A model of any style with a narrow decoder."""
    module = Decoder(depths=tuple(encoder.architecture.depths[:3]), slimness=16)
    params = drawn(module, seed, (1, 2, 2, encoder.shapes["relu4_1"][-1]))["params"]
    return adaptive(encoder, params, module, scale=2000.0)


@functools.cache
def coder_of(encoder, seed=1):
    """A projector of two layers of a network."""
    module = Projector(("relu1_1", "relu2_1"), 4)
    shapes = {layer: (1, 2 * encoder.shapes[layer][-1]) for layer in module.layers}
    params = drawn(module, seed, shapes)["params"]
    return StyleCoder(params, bordered(encoder, "reflect"), module, (("relu1_1", 200.0), ("relu2_1", 500.0)))


def noise(height, width, seed=0):
    """A picture of noise."""
    return np.random.default_rng(seed).random((height, width, 3), np.float32)
