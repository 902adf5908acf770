import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

from jaxviz import minimize, optimizers, preconditioners
from jaxviz._typing import symbol

SHAPES = [(7, 10, 3), (1, 1, 3), (6, 4, 2)]


@jax.jit
def learn(rule, memory, step, change):
    return rule.learn(memory, step, change)


@jax.jit
def apply(rule, memory, v):
    return rule.apply(memory, v)


def drawn(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def learned(rule, shape, pairs=2):
    memory = rule.init(jnp.zeros(shape))
    for i in range(pairs):
        step = drawn(shape, i)
        memory = learn(rule, memory, step, 3 * step + drawn(shape, 9 + i))
    return memory


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9, 16, 17])
def test_cosine_transform_equals_scipys_and_its_inverse_takes_it_back(size):
    given = drawn((3, size))
    found = preconditioners._cosines(given)
    np.testing.assert_allclose(found, scipy.fft.dct(np.asarray(given), norm="ortho"), atol=2e-6)
    np.testing.assert_allclose(preconditioners._from_cosines(found), given, atol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_is_symmetric_positive_and_fits_the_latest_pair(shape):
    rule = preconditioners.spectral()
    memory = learned(rule, shape)
    a, b = drawn(shape, 3), drawn(shape, 4)
    np.testing.assert_allclose(
        jnp.vdot(a, apply(rule, memory, b)), jnp.vdot(b, apply(rule, memory, a)), rtol=1e-3
    )
    assert jnp.vdot(a, apply(rule, memory, a)) > 0
    step = drawn(shape, 5)
    change = 2 * step + 0.5 * drawn(shape, 6)
    memory = learn(rule, memory, step, change)
    np.testing.assert_allclose(
        jnp.vdot(change, apply(rule, memory, change)), jnp.vdot(step, change), rtol=1e-4
    )


def test_is_the_inverse_of_a_hessian_that_differs_by_color():
    rule, shape = preconditioners.spectral(), (8, 6, 3)
    colors = preconditioners.OPPONENT
    hessian = colors.T @ np.diag([2.0, 5.0, 0.5]) @ colors
    step = drawn(shape)
    memory = learn(rule, rule.init(step), step, step @ hessian)
    other = drawn(shape, 1)
    np.testing.assert_allclose(apply(rule, memory, other @ hessian), other, rtol=1e-3, atol=1e-4)


def test_weighs_frequencies_by_what_steps_and_changes_held():
    rule, rows, size = preconditioners.spectral(5), np.arange(32)[:, None, None], (32, 32, 3)
    slow, fast = (
        jnp.asarray(np.broadcast_to(np.cos(np.pi * (rows + 0.5) * k / 32), size), jnp.float32)
        for k in (2, 28)
    )
    memory = learn(rule, rule.init(slow), slow + fast, slow + 100 * fast)
    ratio = jnp.vdot(slow, apply(rule, memory, slow)) / jnp.vdot(fast, apply(rule, memory, fast))
    assert 30 < ratio < 300


def test_a_pair_whose_curvature_nearly_vanishes_weighs_no_more_than_another():
    rule, shape = preconditioners.spectral(), (8, 8, 3)
    step, other = drawn(shape, 0), drawn(shape, 1)
    crosswise = other - step * jnp.vdot(step, other) / jnp.vdot(step, step)
    memory = learn(rule, rule.init(step), step, crosswise + 1e-5 * step)
    assert float(memory.steps.sum() * memory.changes.sum()) == pytest.approx(1, rel=1e-4)


@symbol
class Multiple:
    """The multiple of the identity that L-BFGS has by itself."""

    def init(self, z):
        return jnp.ones(())

    def learn(self, memory, step, change):
        return jnp.vdot(step, change) / jnp.vdot(change, change)

    def apply(self, memory, v):
        return memory * v


@symbol
class Stretched:
    """A bowl with a hundredfold the curvature for fast frequencies, and little of it for one color."""

    stretch: jax.Array
    wanted: jax.Array
    random = False

    def loss(self, z, key):
        spectrum = preconditioners._spectrum(z - self.wanted)
        return 0.5 * jnp.sum(self.stretch * spectrum**2) + 0.25 * jnp.sum((z - self.wanted) ** 4)

    def project(self, z):
        return z


def bowl():
    rows, columns = np.arange(16)[:, None], np.arange(16)[None]
    stretch = 1 + np.array([300, 100, 3])[:, None, None] * (np.hypot(rows, columns) / 16) ** 3
    return Stretched(jnp.asarray(stretch, jnp.float32), drawn((16, 16, 3)))


def test_lbfgs_with_the_multiple_of_the_identity_is_plain_lbfgs():
    plain, given = optimizers.lbfgs(5), optimizers.lbfgs(5, preconditioner=Multiple())
    start = jnp.zeros((16, 16, 3))
    expected = minimize(bowl(), start, steps=25, optimizer=plain)
    found = minimize(bowl(), start, steps=25, optimizer=given)
    np.testing.assert_allclose(found.losses, expected.losses, rtol=1e-3)


def test_what_is_learned_needs_fewer_evaluations():
    start = jnp.zeros((16, 16, 3))
    plain = minimize(bowl(), start, steps=60)
    rule = optimizers.lbfgs(preconditioner=preconditioners.spectral())
    found = minimize(bowl(), start, steps=60, optimizer=rule)
    assert np.argmax(found.losses <= plain.losses.min()) in range(1, 45)


def test_a_batch_takes_the_steps_of_each():
    rule = optimizers.lbfgs(preconditioner=preconditioners.spectral())
    one, other = bowl(), dataclasses.replace(bowl(), wanted=drawn((16, 16, 3), 7))
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), one, other)
    axes = jax.tree.map(lambda leaf: 0, one)
    starts = jnp.zeros((2, 16, 16, 3))
    found = minimize(both, starts, steps=15, optimizer=rule, batch_axes=axes)
    for i, problem in enumerate((one, other)):
        alone = minimize(problem, starts[i], steps=15, optimizer=rule)
        np.testing.assert_allclose(found.losses[i], alone.losses, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_rejected_points_teach_nothing():
    optimizer = optimizers.lbfgs(preconditioner=preconditioners.spectral())
    z = drawn((4, 4, 3))
    memory = optimizer.init(z)
    trial, memory, _ = optimizer.step(memory, z, jnp.float32(1), z, lambda z: z)
    for bad in (2, np.nan):
        _, after, _ = optimizer.step(memory, trial, jnp.float32(bad), trial, lambda z: z)
        jax.tree.map(np.testing.assert_array_equal, after.learned, memory.learned)


def test_what_it_cannot_take_is_refused():
    with pytest.raises(ValueError, match=r"unknowns are \[4, 4\]; spectral\(\) is for one image"):
        optimizers.lbfgs(preconditioner=preconditioners.spectral()).init(jnp.zeros((4, 4)))
    with pytest.raises(ValueError, match="unknowns are dict"):
        preconditioners.spectral().init({})
    with pytest.raises(ValueError, match="bands is 1"):
        preconditioners.spectral(1)
