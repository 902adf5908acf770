import dataclasses
import signal
import threading

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxviz
from jaxviz import optimization, optimizers
from jaxviz._typing import static, symbol


@symbol
class Quadratic:
    center: jax.Array
    poison: jax.Array
    noise: bool = static(default=False)

    @property
    def random(self):
        return self.noise

    def loss(self, z, key):
        stretch = 1.0 + jnp.arange(z.size, dtype=z.dtype)
        center = self.center + (jax.random.normal(key, z.shape) if self.noise else 0)
        return self.poison + jnp.sum(stretch * (z - center) ** 2)

    def project(self, z):
        return z


@symbol
class Rosenbrock:
    scale: jax.Array

    @property
    def random(self):
        return False

    def loss(self, z, key):
        return self.scale * (100 * (z[1] - z[0] ** 2) ** 2 + (1 - z[0]) ** 2)

    def project(self, z):
        return z


@symbol
class Cliff:
    """A valley whose far side, beyond 1, is not defined."""

    @property
    def random(self):
        return False

    def loss(self, z, key):
        return jnp.sum(-jnp.log(1 - z) - 0.9 * jnp.log(z))

    def project(self, z):
        return z


def quadratic(center=(1.0, -2.0, 3.0, 0.5), poison=0.0, noise=False):
    return Quadratic(jnp.asarray(center, jnp.float32), jnp.float32(poison), noise)


START = jnp.zeros(4)
OPTIMIZERS = {
    "lbfgs": (optimizers.lbfgs(), 150),
    "adam": (optimizers.adam(0.05), 6000),
    "nadam": (optimizers.from_optax(optax.nadam, learning_rate=0.05), 6000),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_converges_on_a_quadratic(name):
    optimizer, steps = OPTIMIZERS[name]
    problem = quadratic()
    found = jaxviz.minimize(problem, START, steps=steps, optimizer=optimizer)
    np.testing.assert_allclose(found.value, problem.center, atol=1e-3)
    assert found.finite
    assert found.losses[0] == pytest.approx(float(problem.loss(START, jax.random.key(0))))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_converges_on_rosenbrock(name):
    optimizer, steps = OPTIMIZERS[name]
    problem = Rosenbrock(jnp.float32(1))
    found = jaxviz.minimize(problem, jnp.array([-1.2, 1.0]), steps=steps, optimizer=optimizer)
    np.testing.assert_allclose(found.value, [1, 1], atol=2e-2)


def test_lbfgs_stops_where_the_gradient_is_zero():
    found = jaxviz.minimize(quadratic(), jnp.asarray([1.0, -2.0, 3.0, 0.5]), steps=50)
    assert int(found.evaluations) == 1
    assert found.losses.tolist() == [0.0]


def test_a_trial_that_is_not_finite_is_recovered_from():
    found = jaxviz.minimize(Cliff(), jnp.array([0.99, 0.3, 0.3]), steps=60)
    assert not np.isfinite(found.losses).all()
    np.testing.assert_allclose(found.value, 0.9 / 1.9, atol=1e-3)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 30])
@pytest.mark.parametrize("start", [0.001, 0.5, 0.97])
def test_the_result_is_never_worse_than_the_start(start, steps):
    problem, z = Cliff(), jnp.full(3, start)
    found = jaxviz.minimize(problem, z, steps=steps)
    key = jax.random.key(0)
    assert float(problem.loss(found.value, key)) <= float(problem.loss(z, key))
    assert float(problem.loss(found.value, key)) == pytest.approx(np.nanmin(found.losses), rel=1e-5)


def test_a_start_that_is_not_finite_is_reported():
    found = jaxviz.minimize(quadratic(poison=np.nan), START, steps=5)
    assert not found.finite
    assert not jaxviz.minimize(quadratic(), START.at[0].set(jnp.nan), steps=5).finite


def test_a_solution_is_shown_in_a_line():
    found = jaxviz.minimize(Quadratic(jnp.zeros(5), jnp.zeros(())), jnp.ones(5), steps=3)
    shown = repr(found)
    assert shown.startswith("Solution(value=float32[5], evaluations=3, lowest loss=")
    assert "\n" not in shown
    assert "lowest loss=inf" in repr(
        jaxviz.minimize(Quadratic(jnp.zeros(5), jnp.zeros(())), jnp.ones(5), steps=0)
    )


def test_no_step_returns_the_start_moved_into_the_set():
    found = jaxviz.minimize(quadratic(), START, steps=0)
    np.testing.assert_array_equal(found.value, START)
    assert found.losses.shape == (0,)
    assert int(found.evaluations) == 0
    assert found.finite


def test_a_negative_number_of_steps_is_refused():
    with pytest.raises(ValueError, match="steps is -1"):
        jaxviz.minimize(quadratic(), START, steps=-1)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_same_key_same_bits(name):
    def run(seed):
        key, optimizer = jax.random.key(seed), OPTIMIZERS[name][0]
        return jaxviz.minimize(quadratic(noise=True), START, steps=20, key=key, optimizer=optimizer)

    first, again, other = run(1), run(1), run(2)
    np.testing.assert_array_equal(first.value, again.value)
    np.testing.assert_array_equal(first.losses, again.losses)
    assert not np.array_equal(first.losses, other.losses)


@pytest.mark.parametrize("noise", [False, True])
def test_the_length_of_chunks_changes_no_bit(noise):
    problem, optimizer = quadratic(noise=noise), optimizers.lbfgs(3)
    advance = jax.jit(optimization.advance)
    ends = []
    for split in ([24], [1] * 24, [5, 7, 1, 11], [23, 0, 1]):
        state = optimization.init(problem, START, optimizer, jax.random.key(3))
        for n in split:
            state = advance(problem, state, n)
        ends.append(dataclasses.replace(state, losses=jnp.zeros(0), key=jax.random.key_data(state.key)))
    for end in ends[1:]:
        jax.tree.map(np.testing.assert_array_equal, end, ends[0])


def test_the_pace_of_the_host_changes_no_bit(monkeypatch):
    runs, adam = [], optimizers.adam()
    for seconds in (1e-9, 10.0):
        monkeypatch.setattr(optimization, "CHUNK_SECONDS", seconds)
        chunks = []
        found = jaxviz.minimize(
            quadratic(noise=True), START, steps=60, optimizer=adam, on_chunk=chunks.append
        )
        runs.append((len(chunks), found))
    assert runs[0][0] == 60
    assert runs[1][0] < 10
    np.testing.assert_array_equal(runs[0][1].losses, runs[1][1].losses)
    np.testing.assert_array_equal(runs[0][1].value, runs[1][1].value)


def test_chunks_report_the_best_so_far():
    seen = []
    found = jaxviz.minimize(quadratic(), START, steps=20, on_chunk=seen.append)
    made = [int(chunk.evaluations) for chunk in seen]
    assert made == sorted(made)
    assert made[-1] == int(found.evaluations)
    for chunk in seen:
        np.testing.assert_array_equal(chunk.losses, found.losses[: chunk.losses.size])


CENTERS = [(1.0, -2.0, 3.0, 0.5), (0.0, 4.0, 1.0, -1.0), (5.0, 5.0, 5.0, 5.0)]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_batch_equals_a_loop(name):
    optimizer = OPTIMIZERS[name][0]
    problems = [quadratic(center) for center in CENTERS]
    batch, axes = jaxviz.stack(problems)
    z = jnp.stack([START, START + 1, START - 1])
    together = jaxviz.minimize(batch, z, steps=8, optimizer=optimizer, batch_axes=axes)
    assert together.losses.shape == (3, 8)
    for i, problem in enumerate(problems):
        alone = jaxviz.minimize(problem, z[i], steps=8, optimizer=optimizer)
        np.testing.assert_allclose(together.value[i], alone.value, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(together.losses[i], alone.losses, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_one_that_diverges_does_not_touch_the_others_of_its_batch(name):
    optimizer = OPTIMIZERS[name][0]
    runs = []
    for poison in (0.0, np.nan):
        problems = [quadratic(CENTERS[0]), quadratic(CENTERS[1], poison), quadratic(CENTERS[2])]
        batch, axes = jaxviz.stack(problems)
        z = jnp.zeros((3, 4))
        runs.append(jaxviz.minimize(batch, z, steps=12, optimizer=optimizer, batch_axes=axes))
    healthy, ill = runs
    assert healthy.finite.tolist() == [True, True, True]
    assert ill.finite.tolist() == [True, False, True]
    for i in (0, 2):
        np.testing.assert_array_equal(healthy.value[i], ill.value[i])
        np.testing.assert_array_equal(healthy.losses[i], ill.losses[i])


def test_each_of_a_batch_may_have_its_own_key():
    batch, axes = jaxviz.stack([quadratic(noise=True)] * 2)
    keys = jax.random.split(jax.random.key(0), 2)
    together = jaxviz.minimize(batch, jnp.zeros((2, 4)), steps=6, key=keys, batch_axes=axes)
    for i in range(2):
        alone = jaxviz.minimize(quadratic(noise=True), START, steps=6, key=keys[i])
        np.testing.assert_allclose(together.losses[i], alone.losses, rtol=1e-5)
    assert not np.array_equal(together.losses[0], together.losses[1])


def test_keys_of_the_older_kind_are_keys_too():
    one = Quadratic(jnp.zeros(5), jnp.zeros(()), noise=True)
    (problem, z), (axes, _) = jaxviz.stack([(one, jnp.ones(5)), (one, jnp.zeros(5))])
    new, old = jax.random.key(3), jax.random.PRNGKey(3)
    for pair in ((new, old), (jax.random.split(new), jax.random.split(old))):
        options = {"steps": 4, "batch_axes": axes, "optimizer": optimizers.adam()}
        found = [jaxviz.minimize(problem, z, key=key, **options).losses for key in pair]
        np.testing.assert_array_equal(*found)


def test_ctrl_c_keeps_the_best_and_gives_the_handler_back():
    before = signal.getsignal(signal.SIGINT)
    chunks = []

    def press(chunk):
        chunks.append(chunk)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(jaxviz.Interrupted) as caught:
        jaxviz.minimize(quadratic(), START, steps=10_000, optimizer=optimizers.adam(), on_chunk=press)
    assert signal.getsignal(signal.SIGINT) is before
    assert len(chunks) == 1
    solution = caught.value.solution
    assert 0 < int(solution.evaluations) < 10_000
    assert solution.losses.size == int(solution.evaluations)
    assert solution.finite
    assert isinstance(caught.value, KeyboardInterrupt)


def test_the_handler_is_given_back_after_an_error():
    before = signal.getsignal(signal.SIGINT)

    def fail(chunk):
        raise RuntimeError("no room left")

    with pytest.raises(RuntimeError, match="no room left"):
        jaxviz.minimize(quadratic(), START, steps=5, on_chunk=fail)
    assert signal.getsignal(signal.SIGINT) is before


def test_works_outside_the_main_thread():
    found = []
    worker = threading.Thread(target=lambda: found.append(jaxviz.minimize(quadratic(), START, steps=5)))
    worker.start()
    worker.join()
    assert int(found[0].evaluations) == 5


def test_a_random_loss_returns_the_last_point():
    problem, key = quadratic(noise=True), jax.random.key(5)
    found = jaxviz.minimize(problem, START, steps=9, key=key, optimizer=optimizers.adam(0.5))
    assert found.losses.argmin() != 8
    last = problem.loss(found.value, jax.random.fold_in(key, 8))
    np.testing.assert_allclose(last, found.losses[-1], rtol=1e-5)


def test_a_tree_of_unknowns_is_optimized_as_a_whole():
    @symbol
    class Pair:
        target: jax.Array

        @property
        def random(self):
            return False

        def loss(self, z, key):
            return jnp.sum((z["a"] - self.target) ** 2) + (z["b"] + 1) ** 2

        def project(self, z):
            return z

    start = {"a": jnp.zeros((2, 3)), "b": jnp.zeros(())}
    found = jaxviz.minimize(Pair(jnp.full((2, 3), 2.0)), start, steps=30)
    np.testing.assert_allclose(found.value["a"], 2, atol=1e-4)
    np.testing.assert_allclose(found.value["b"], -1, atol=1e-4)


def test_an_optimizer_of_another_kind_is_explained():
    quadratic = Quadratic(jnp.zeros(2), jnp.zeros(()))
    with pytest.raises(ValueError, match="from_optax"):
        jaxviz.minimize(quadratic, jnp.zeros(2), steps=1, optimizer=optax.adam(0.1))
