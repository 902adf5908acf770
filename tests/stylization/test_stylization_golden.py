"""Stylizing networks against PyTorch: golden/stylization.npz, which golden/generate_stylization.py made."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import stylizing

from jaxviz import stylization
from jaxviz.networks import compiled_features
from jaxviz.stylization import Decoder, Transformer

GOLDEN = dict(np.load(Path(__file__).parents[1] / "golden" / "stylization.npz"))
PICTURES = jnp.asarray(stylizing.pictures(5, stylizing.BATCH, *stylizing.SIZE))
ONE = jnp.ones((stylizing.BATCH, 1))
SHARES = {"conditional-instance": jnp.asarray(stylizing.SHARES), "instance": ONE, "batch": ONE}


def close(found, expected, tolerance=1e-5):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def transformer(norm, last_normalized=True):
    """Returns module and variables with the seeded weights."""
    styles = SHARES[norm].shape[1]
    module = Transformer(norm, styles, stylizing.WIDTH, stylizing.BLOCKS, last_normalized=last_normalized)
    kernels, scales, shifts = stylizing.transformer(styles)
    params = {name: {"kernel": kernel} for name, kernel in kernels.items()}
    params |= {f"{name}_norm": {"scale": scales[name], "bias": shifts[name]} for name in kernels}
    variables = {"params": params}
    if norm == "batch":
        shapes = {name: (1, 1, 1, scale.shape[1]) for name, scale in scales.items()}
        variables["statistics"] = {
            f"{name}_norm": {"mean": jnp.zeros(shape), "variance": jnp.ones(shape)}
            for name, shape in shapes.items()
        }
    return module, variables


@pytest.mark.parametrize("norm", SHARES)
def test_a_transformer_draws_what_pytorch_draws(norm):
    module, variables = transformer(norm)
    close(jax.jit(module.apply)(variables, PICTURES, SHARES[norm]), GOLDEN[norm])


def test_colors_need_no_normalization():
    module, variables = transformer("instance", last_normalized=False)
    close(jax.jit(module.apply)(variables, PICTURES, ONE), GOLDEN["plain colors"])


def test_masks_mix_styles_at_each_position():
    module, variables = transformer("conditional-instance")
    close(jax.jit(module.apply)(variables, PICTURES, stylizing.masks()), GOLDEN["masks"])


def test_running_statistics_after_a_step_of_training():
    module, variables = transformer("batch")

    @jax.jit
    def trained(variables):
        return module.apply(variables, PICTURES, ONE, train=True, mutable=["statistics"])

    drawn, changed = trained(variables)
    close(drawn, GOLDEN["batch, training"])
    for name in stylizing.WATCHED:
        kept = changed["statistics"][f"{name}_norm"]
        close(kept["mean"].reshape(-1), GOLDEN[f"mean/{name}"])
        stride = {"conv1": 1, "up2": 1, "out": 1, "up1": 2}.get(name, 4)
        count = stylizing.BATCH * stylizing.SIZE[0] * stylizing.SIZE[1] // stride**2
        # Ours is the variance by n, PyTorch keeps that by n - 1; each has a tenth of it after one step.
        unbiased = 0.9 + (kept["variance"].reshape(-1) - 0.9) * count / (count - 1)
        close(unbiased, GOLDEN[f"variance/{name}"])


@pytest.mark.parametrize("norm", ["conditional-instance", "batch"])
def test_derivatives_by_kernels_are_those_of_pytorch(norm):
    module, variables = transformer(norm)
    wanted = stylizing.pictures(7, stylizing.BATCH, *stylizing.SIZE)

    def loss(params):
        drawn, _ = module.apply(
            {**variables, "params": params}, PICTURES, SHARES[norm], train=True, mutable=["statistics"]
        )
        return jnp.sum((drawn - wanted) ** 2)

    slopes = jax.jit(jax.grad(loss))(variables["params"])
    for name in stylizing.WATCHED:
        close(slopes[name]["kernel"], GOLDEN[f"{norm} slope/{name}"], 1e-4)


def test_adaptive_normalization_and_decoder(vgg16):
    kernels, biases = stylizing.decoder()
    params = {name: {"kernel": kernels[name], "bias": biases[name]} for name in kernels}
    module = Decoder(slimness=stylizing.SLIMNESS)
    model = stylization.adaptive(vgg16, params, module, scale=stylizing.SCALE)
    content, style = (stylizing.pictures(seed, 1, *stylizing.DECODED)[0] for seed in (8, 9))

    @jax.jit
    def drawn(model, content, style):
        codes = model.codes([style])
        features = compiled_features(model.encoder, content, ("relu4_1",))["relu4_1"]
        return stylization.adapted(features, codes, jnp.ones(1)), stylization.stylize(
            model, content, codes, alpha=stylizing.ALPHA
        )

    adapted, decoded = drawn(model, content, style)
    close(adapted[..., :32], GOLDEN["adapted"])
    expected = GOLDEN["decoded"]
    np.testing.assert_allclose(decoded, np.clip(expected, 0, 1), rtol=0, atol=1e-5 * np.abs(expected).max())
    assert np.mean((expected > 0) & (expected < 1)) > 0.25
