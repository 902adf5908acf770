import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_optimization import CENTERS, START, quadratic

import jaxviz
from jaxviz import optimizers


def expected(points, decay):
    """The average of crowsonkb's class EMA, in float64: an accumulator that begins at 1."""
    value, missing = 0.0, 1.0
    for point in np.asarray(points, np.float64):
        missing *= decay
        value = decay * value + (1 - decay) * point
    return value / (1 - missing)


@jax.jit
def stepped(problem, optimizer, memory, point, key):
    loss, gradient = jax.value_and_grad(problem.loss)(point, key)
    return optimizer.step(memory, point, loss, gradient, problem.project)[:2]


def iterates(problem, start, optimizer, steps, key=None):
    """The start, and the point after each evaluation."""
    key = jax.random.key(0) if key is None else key
    points, memory = [problem.project(start)], optimizer.init(start)
    for i in range(steps):
        point, memory = stepped(problem, optimizer, memory, points[-1], jax.random.fold_in(key, i))
        points.append(point)
    return np.stack(points)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("name", ["adam", "lbfgs"])
def test_the_value_is_the_average_of_the_start_and_all_points(decay, noise, name):
    optimizer = getattr(optimizers, name)()
    problem, steps = quadratic(noise=noise), 9
    found = jaxviz.minimize(problem, START + 1, steps=steps, optimizer=optimizers.averaged(optimizer, decay))
    points = iterates(problem, START + 1, optimizer, steps)
    np.testing.assert_allclose(found.value, expected(points, decay), rtol=2e-4, atol=1e-4)
    plain = jaxviz.minimize(problem, START + 1, steps=steps, optimizer=optimizer)
    np.testing.assert_allclose(found.losses, plain.losses, rtol=1e-5)
    assert int(found.rejections) == int(plain.rejections)


def test_the_average_of_no_step_is_the_start():
    smooth = optimizers.averaged(optimizers.adam(), 0.9)
    np.testing.assert_array_equal(jaxviz.minimize(quadratic(), START + 1, steps=0, optimizer=smooth).value, 1)


def test_a_batch_equals_a_loop_and_what_has_finished_keeps_its_average():
    smooth = optimizers.averaged(optimizers.lbfgs(), 0.9)
    problems = [quadratic(center) for center in CENTERS]
    batch, axes = jaxviz.stack(problems)
    z = jnp.stack([START, jnp.asarray(CENTERS[1], jnp.float32), START - 1])
    together = jaxviz.minimize(batch, z, steps=30, optimizer=smooth, batch_axes=axes)
    for i, problem in enumerate(problems):
        alone = jaxviz.minimize(problem, z[i], steps=30, optimizer=smooth)
        np.testing.assert_allclose(together.value[i], alone.value, rtol=1e-4, atol=1e-4)
    assert together.evaluations[1] == 1
    np.testing.assert_allclose(together.value[1], CENTERS[1], rtol=1e-6)


def test_the_average_of_what_has_finished_does_not_move_with_the_length_of_the_run():
    smooth = optimizers.averaged(optimizers.lbfgs(), 0.9)
    problems = [quadratic(), quadratic(CENTERS[2])]
    batch, axes = jaxviz.stack(problems)
    z = jnp.stack([jnp.asarray(CENTERS[0], jnp.float32) + 1e-3, START - 100])
    runs = [
        jaxviz.minimize(batch, z, steps=steps, optimizer=smooth, batch_axes=axes) for steps in (40, 45, 400)
    ]
    first = runs[0].evaluations[0]
    assert first < 40
    for run in runs[1:]:
        np.testing.assert_array_equal(run.value[0], runs[0].value[0])


def test_a_tree_of_unknowns_is_averaged_leaf_by_leaf():
    smooth = optimizers.averaged(optimizers.steepest_descent(1.0), 0.5)
    z = {"a": jnp.ones((2, 3)), "b": jnp.full((), 4.0)}
    _, memory, _ = smooth.step(smooth.init(z), z, jnp.float32(1), z, lambda z: z)
    found = smooth.answer(memory)
    np.testing.assert_allclose(found["a"], 1 / 3, rtol=1e-6)
    np.testing.assert_allclose(found["b"], (4 + 2 * 3) / 3, rtol=1e-6)


def test_divergence_is_reported_and_a_point_that_is_not_finite_joins_no_average():
    smooth = optimizers.averaged(optimizers.adam(), 0.9)
    assert not jaxviz.minimize(quadratic(poison=np.nan), START, steps=5, optimizer=smooth).finite
    memory = smooth.init(START)
    _, memory, finished = smooth.step(memory, START, jnp.float32(np.nan), START * np.nan, lambda z: z)
    assert finished
    np.testing.assert_array_equal(smooth.answer(memory), START)


def test_what_cannot_be_averaged_is_refused():
    for decay in (1.0, -0.1, 2, float("nan")):
        with pytest.raises(ValueError, match="decay is"):
            optimizers.averaged(optimizers.adam(), decay)
    with pytest.raises(ValueError, match="optimizer is a str"):
        optimizers.averaged("adam", 0.9)
