import functools

import jax
import numpy as np
import pytest

import jaxviz

SHALLOW = {
    "content_weights": {"relu2_2": 1.0},
    "style_weights": {"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 1.0},
}
"""Of the smallest size, where kernels of the deep layers would take most of the time."""
SIZES = {(32, 32): 12, (64, 64): 12, (96, 160): 8, (128, 128): 8, (256, 256): 6}
SEEDS = {0: ("chelsea", "brick"), 1: ("astronaut", "immunohistochemistry"), 2: ("coffee", "gravel")}


@functools.partial(jax.jit)
def loss(problem, z):
    return problem.loss(z, jax.random.key(0))


def check(network, picture, size, init, seed):
    content, drawn = (jaxviz.images.resize(picture(name, 256, square=False), *size) for name in SEEDS[seed])
    given = {"init": init, "style_weight": 10.0**-seed, "key": jax.random.key(seed)}
    given |= SHALLOW if size == (32, 32) else {}
    problem, start = jaxviz.style.problem(network, content, [drawn], **given)
    found = jaxviz.minimize(problem, start, steps=SIZES[size])
    assert found.finite
    assert np.isfinite(found.value).all()
    assert found.losses.shape == (SIZES[size],)
    at_start, at_end = float(loss(problem, start)), float(loss(problem, found.value))
    assert found.losses[0] == pytest.approx(at_start, rel=1e-4)
    assert np.nanmin(found.losses) == pytest.approx(at_end, rel=1e-4)
    assert at_end < at_start


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("init", ["noise", "content"])
@pytest.mark.parametrize(
    "size",
    [(32, 32), *(pytest.param(size, marks=pytest.mark.slow) for size in ((64, 64), (96, 160), (128, 128)))],
)
def test_style_never_ends_above_its_start(vgg16, picture, size, init, seed):
    check(vgg16, picture, size, init, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("init", ["noise", "content"])
def test_style_never_ends_above_its_start_at_256(vgg16, picture, init, seed):
    check(vgg16, picture, (256, 256), init, seed)
