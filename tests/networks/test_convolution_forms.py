"""Convolutions in the forms that are fast on a processor, and borders: values and slopes are the plain ones'."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxviz.networks.borders import padded
from jaxviz.networks.convolution import LAYOUT, UNPADDED, conv2d
from jaxviz.stylization.upsampling import upsampled, upsampled_conv2d


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def agree(found, expected, *arguments):
    """Checks values, and the derivative of a product with something random by all arguments."""
    y = expected(*arguments)
    probe = normal(9, *y.shape)
    np.testing.assert_allclose(jax.jit(found)(*arguments), y, rtol=0, atol=1e-5 * np.abs(y).max())
    every = tuple(range(len(arguments)))
    slopes = [
        jax.jit(jax.grad(lambda *a, f=f: jnp.sum(probe * f(*a)), every))(*arguments)
        for f in (found, expected)
    ]
    for mine, plain in zip(*slopes, strict=True):
        np.testing.assert_allclose(mine, plain, rtol=0, atol=1e-5 * np.abs(plain).max())


@pytest.mark.parametrize(
    ("size", "kernel", "padding"),
    [
        ((17, 20), (9, 9, 3, 16), UNPADDED),
        ((16, 21), (9, 7, 3, 16), ((4, 4), (3, 2))),
        ((17, 20), (9, 9, 16, 3), UNPADDED),
        ((16, 19), (5, 7, 16, 2), ((2, 1), (4, 4))),
        ((16, 22), (6, 6, 16, 3), ((0, 0), (1, 0))),
        ((12, 12), (3, 3, 16, 32), UNPADDED),
        ((12, 13), (3, 3, 16, 3), UNPADDED),
        ((70, 66), (3, 3, 33, 16), UNPADDED),
    ],
)
def test_forms_of_convolutions(size, kernel, padding):
    def plain(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, (1, 1), padding, dimension_numbers=LAYOUT, precision=lax.Precision.HIGHEST
        )

    x = normal(0, 2, *size, kernel[2])
    agree(lambda x, kernel: conv2d(x, kernel, padding=padding), plain, x, normal(1, *kernel))


@pytest.mark.parametrize("size", [(5, 7), (1, 4), (8, 8)])
def test_convolutions_of_upsampled_features(size):
    def plain(x, kernel):
        mirrored = jnp.pad(upsampled(x), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
        return lax.conv_general_dilated(
            mirrored, kernel, (1, 1), UNPADDED, dimension_numbers=LAYOUT, precision=lax.Precision.HIGHEST
        )

    agree(upsampled_conv2d, plain, normal(0, 2, *size, 6), normal(1, 3, 3, 6, 12))


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap"])
def test_borders(mode):
    padding = ((2, 1), (3, 0))
    agree(
        lambda x: padded(x, padding, mode),
        lambda x: jnp.pad(x, ((0, 0), *padding, (0, 0)), mode=mode),
        normal(0, 2, 5, 6, 3),
    )
