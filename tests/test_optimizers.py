import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.ndimage

from jaxviz import optimizers


def two_loop(pairs, gradient):
    """Nocedal's recursion, in NumPy's float64."""
    q, alphas = gradient.copy(), []
    for s, y in reversed(pairs):
        alphas.append(s @ q / (s @ y))
        q -= alphas[-1] * y
    s, y = pairs[-1]
    q *= (s @ y) / (y @ y)
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        q += (alpha - y @ q / (s @ y)) * s
    return q


def bowl(z):
    stretch = np.linspace(1, 30, z.size)
    return 0.5 * np.sum(stretch * z**2) + np.sum(z**4) / 4, stretch * z + z**3


def project(z):
    return z


@pytest.mark.parametrize("rejected_from", [None, 9])
def test_direction_equals_the_two_loop_recursion_also_in_a_full_ring(rejected_from):
    m, size = 4, 12
    start = np.random.default_rng(0).normal(size=size)
    compared = []
    with jax.enable_x64(True):
        optimizer = optimizers.lbfgs(m)
        z = jnp.asarray(start)
        memory = optimizer.init(z)
        step = jax.jit(lambda memory, z, loss, g: optimizer.step(memory, z, loss, g, project))
        best, last, pairs, refused = np.inf, None, [], 0
        for i in range(40):
            point = np.asarray(z)
            loss, gradient = bowl(point)
            if rejected_from is not None and rejected_from <= i < rejected_from + 3:
                loss = np.inf
            z, memory, _ = step(memory, z, jnp.float64(loss), jnp.asarray(gradient))
            if loss > best:
                refused += 1
                pairs = [] if refused == 3 else pairs
                continue
            best, refused = loss, 0
            if last is not None:
                pairs = [*pairs, (point - last[0], gradient - last[1])][-m:]
            last = point, gradient
            if pairs:
                compared.append(len(pairs))
                np.testing.assert_allclose(point - np.asarray(z), two_loop(pairs, gradient), rtol=1e-6)
    assert compared.count(m) > 2 * m
    assert compared.count(1) == (1 if rejected_from is None else 2)


def test_the_first_step_has_length_one_down_the_gradient():
    optimizer = optimizers.lbfgs()
    z, gradient = jnp.zeros(3), jnp.array([0.0, 300.0, -400.0])
    trial, _, finished = optimizer.step(optimizer.init(z), z, jnp.float32(7), gradient, project)
    np.testing.assert_allclose(trial, [0, -0.6, 0.8], rtol=1e-6)
    assert not finished


@pytest.mark.parametrize("bad", [9.0, np.inf, np.nan])
def test_after_a_rejection_the_next_trial_is_nearer_to_the_last_good_point(bad):
    optimizer = optimizers.lbfgs()
    z, gradient = jnp.zeros(2), jnp.array([0.0, -5.0])
    trial, memory, _ = optimizer.step(optimizer.init(z), z, jnp.float32(7), gradient, project)
    distances = [float(jnp.linalg.norm(trial))]
    for _ in range(4):
        trial, memory, _ = optimizer.step(memory, trial, jnp.float32(bad), gradient, project)
        np.testing.assert_array_equal(memory.point, z)
        distances.append(float(jnp.linalg.norm(trial)))
    np.testing.assert_allclose(distances, optimizers.SHRINK ** np.arange(5), rtol=1e-6)


def test_a_gradient_that_is_not_finite_rejects_its_point():
    optimizer = optimizers.lbfgs()
    z, gradient = jnp.zeros(2), jnp.array([0.0, -5.0])
    trial, memory, _ = optimizer.step(optimizer.init(z), z, jnp.float32(7), gradient, project)
    trial, memory, _ = optimizer.step(memory, trial, jnp.float32(6), jnp.array([jnp.nan, 0.0]), project)
    np.testing.assert_array_equal(memory.point, z)
    assert np.isfinite(trial).all()


def test_lbfgs_steps_end_inside_the_projection():
    optimizer = optimizers.lbfgs()
    z = jnp.full(2, 0.9)
    trial, _, _ = optimizer.step(
        optimizer.init(z), z, jnp.float32(1), jnp.array([-1.0, 0.0]), lambda z: jnp.clip(z, 0, 1)
    )
    np.testing.assert_allclose(trial, [1.0, 0.9], rtol=1e-6)


@pytest.mark.parametrize("kind", [optax.adam, optax.nadam, optax.sgd])
def test_from_optax_takes_the_steps_of_optax(kind):
    ours, theirs = optimizers.from_optax(kind, learning_rate=0.1), kind(0.1)
    z = other = jnp.array([1.0, -2.0])
    memory, state = ours.init(z), theirs.init(other)
    for _ in range(5):
        z, memory, finished = ours.step(memory, z, jnp.float32(1), jnp.sin(z), project)
        updates, state = theirs.update(jnp.sin(other), state, other)
        other = optax.apply_updates(other, updates)
        np.testing.assert_allclose(z, other, rtol=1e-6)
        assert not finished


def test_a_loss_that_is_not_finite_ends_an_optax_run():
    adam = optimizers.adam()
    z = jnp.ones(2)
    assert adam.step(adam.init(z), z, jnp.float32(np.nan), z, project)[2]


def test_numbers_are_leaves_and_the_rest_is_program():
    made = optimizers.from_optax(optax.nadam, learning_rate=1, nesterov=True)
    assert [leaf.dtype for leaf in jax.tree.leaves(made)] == [jnp.float32]
    other = optimizers.from_optax(optax.nadam, learning_rate=np.float64(0.5), nesterov=True)
    assert jax.tree.structure(made) == jax.tree.structure(other)
    assert jax.tree.structure(optimizers.lbfgs(3)) != jax.tree.structure(optimizers.lbfgs(4))


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ValueError, match="memory is 0"):
        optimizers.lbfgs(0)
    with pytest.raises(ValueError, match="learning_rate is -1"):
        optimizers.adam(-1)
    with pytest.raises(ValueError, match="learning_rate is nan"):
        optimizers.from_optax(optax.sgd, learning_rate=float("nan"))


class TestMomentum:
    SLOPES = ([3.0, -1.0, 0.0], [-1.0, 1.0, 2.0], [0.0, 4.0, -4.0])

    @staticmethod
    def shares(slope):
        return np.asarray(slope) / np.abs(slope).sum()

    def test_the_sum_of_past_derivatives_leads(self):
        rule = optimizers.momentum_descent(0.5, 0.9)
        z, total = jnp.zeros(3), np.zeros(3)
        memory, expected = rule.init(z), np.zeros(3)
        for slope in self.SLOPES:
            z, memory, finished = rule.step(memory, z, jnp.float32(1), jnp.array(slope), project)
            total = 0.9 * total + self.shares(slope)
            expected -= 0.5 * np.sign(total)
            np.testing.assert_allclose(z, expected, atol=1e-6)
            assert not finished

    def test_ahead_the_derivative_is_taken_where_the_past_leads(self):
        rule = optimizers.momentum_descent(0.5, 0.9, norm="l2", ahead=True)
        z, point, total = jnp.zeros(3), np.zeros(3), np.zeros(3)
        memory = rule.init(z)
        for slope in self.SLOPES:
            z, memory, _ = rule.step(memory, z, jnp.float32(1), jnp.array(slope), project)
            total = 0.9 * total + self.shares(slope)
            point = point - 0.5 * total / np.linalg.norm(total)
            np.testing.assert_allclose(rule.answer(memory), point, atol=1e-6)
            np.testing.assert_allclose(z, point - 0.5 * 0.9 * total, atol=1e-6)

    @pytest.mark.parametrize("ahead", [False, True])
    def test_ends_where_there_is_no_slope_or_no_loss(self, ahead):
        rule = optimizers.momentum_descent(0.5, ahead=ahead)
        z = jnp.zeros(2)
        assert rule.step(rule.init(z), z, jnp.float32(1), jnp.zeros(2), project)[2]
        assert rule.step(rule.init(z), z, jnp.float32(jnp.nan), jnp.ones(2), project)[2]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"decay": 1.5}, "decay is 1.5"),
            ({"share": 2.0}, "share is 2"),
            ({"step_size": -1.0}, "step_size is -1"),
        ],
    )
    def test_refuses_numbers_out_of_range(self, options, message):
        with pytest.raises(ValueError, match=message):
            optimizers.momentum_descent(**({"step_size": 1.0} | options))


class TestAutomatic:
    def test_goes_back_to_the_best_with_half_the_step_where_it_stands_still(self):
        # A slope that always leads uphill: no step lowers the loss.
        rule = optimizers.automatic_descent(1.0, 10)
        z = jnp.zeros(1)
        memory = rule.init(z)
        sizes = []
        for k in range(8):
            z, memory, _ = rule.step(memory, z, jnp.float32(k), jnp.array([-1.0]), project)
            sizes.append(float(memory.step_size))
        assert sizes == [1, 1, 1, 0.5, 0.5, 0.25, 0.125, 0.0625]
        assert float(memory.best[0]) == 0
        assert float(memory.last[0]) == 0

    @pytest.mark.parametrize(("options", "error"), [({"steps": 0}, ValueError), ({"norm": "l1"}, KeyError)])
    def test_refuses_what_it_cannot_do(self, options, error):
        with pytest.raises(error):
            optimizers.automatic_descent(**({"step_size": 1.0, "steps": 5} | options))


def test_a_smoothed_optimizer_sees_the_gaussian_mean_of_derivatives():
    g = jax.random.normal(jax.random.key(0), (9, 11, 3))
    places = np.linspace(-3, 3, 5)
    line = np.exp(-(places**2) / 2)
    kernel = np.outer(line, line)[..., None] / line.sum() ** 2
    expected = scipy.ndimage.correlate(np.asarray(g), kernel, mode="constant")
    rule = optimizers.smoothed(optimizers.from_optax(optax.sgd, learning_rate=1.0), 2)
    z = jnp.zeros_like(g)
    moved = rule.step(rule.init(z), z, jnp.float32(0), g, lambda z: z)[0]
    np.testing.assert_allclose(-moved, expected, atol=1e-5)
