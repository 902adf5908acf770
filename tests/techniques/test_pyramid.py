import dataclasses
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxviz
from jaxviz import optimizers, snapshots
from jaxviz._typing import symbol
from jaxviz.techniques import pyramid


@symbol
class Toward:
    """The squared distance to a picture, weighted, whose colors stay in [0, 1]."""

    center: jax.Array

    @property
    def random(self):
        return False

    def loss(self, z, key):
        return jnp.sum(jnp.linspace(1, 30, z.size).reshape(z.shape) * (z - self.center) ** 2)

    def project(self, z):
        return jnp.clip(z, 0, 1)


def ramp(size):
    return jnp.linspace(0.2, 0.8, size)[:, None, None] * jnp.ones((size, size + 2, 3))


class Posed:
    """`pose`, with the sizes that were asked for and the starts that each was given."""

    def __init__(self, start=0.5):
        self.start, self.asked = start, []

    def __call__(self, size):
        self.asked.append(size)
        return Toward(ramp(size)), jnp.full((size, size + 2, 3), self.start)


def test_sizes_grow_by_the_square_root_of_two():
    assert pyramid.sizes_by_sqrt2(128, 1024) == [128, 181, 256, 362, 512, 724, 1024]
    assert pyramid.sizes_by_sqrt2(129, 512) == [181, 256, 362, 512]
    assert pyramid.sizes_by_sqrt2(64, 64) == [64]
    assert pyramid.sizes_by_sqrt2(1, 3) == [1, 2, 3]
    for smallest, largest in ((0, 5), (6, 5)):
        with pytest.raises(ValueError, match=f"smallest is {smallest} and largest 5"):
            pyramid.sizes_by_sqrt2(smallest, largest)


@pytest.mark.parametrize("name", ["adam", "lbfgs", "averaged"])
def test_each_scale_starts_from_the_one_before(name):
    optimizer = {
        "adam": optimizers.adam(0.01),
        "lbfgs": optimizers.lbfgs(),
        "averaged": optimizers.averaged(optimizers.adam(0.01), 0.9),
    }[name]
    pose = Posed()
    found = pyramid.solve_pyramid(pose, [6, 8], [5, 3], optimizer)
    assert pose.asked == [6, 8]
    first = jaxviz.minimize(*pose(6), steps=5, optimizer=optimizer)
    assert found.scales == ((6, 8, int(first.evaluations)), (8, 10, int(found.scales[1][2])))
    n = int(first.evaluations)
    np.testing.assert_allclose(found.losses[:n], first.losses, rtol=1e-5)
    problem, _ = pose(8)
    start = jnp.clip(jax.image.resize(first.value, (8, 10, 3), "cubic"), 0, 1)
    np.testing.assert_allclose(found.losses[n], problem.loss(start, None), rtol=1e-4, atol=1e-8)
    assert int(found.evaluations) == found.losses.size == sum(scale[2] for scale in found.scales)
    assert found.value.shape == (8, 10, 3)
    assert found.run_seconds > 0
    assert found.finite


def test_no_step_resizes_the_start_and_projects_it():
    start = np.zeros((4, 6, 3), np.float32)
    start[1:3, 2:4] = 1

    def pose(size):
        return Toward(ramp(size)), jnp.asarray(start) if size == 4 else jnp.zeros((size, size + 2, 3))

    found = pyramid.solve_pyramid(pose, [4, 16], 0)
    plain = jax.image.resize(start, (16, 18, 3), "cubic")
    assert plain.max() > 1
    np.testing.assert_allclose(found.value, np.clip(plain, 0, 1), atol=1e-6)


@pytest.mark.parametrize("decay", [None, 0.9])
def test_adam_goes_on_with_its_moments_resized(decay):
    optimizer = inner = optimizers.adam(0.01)
    if decay is not None:
        optimizer = optimizers.averaged(inner, decay)
    noise = jax.random.normal(jax.random.key(0), (4, 6, 3))
    small, large = jnp.zeros((4, 6, 3)), jnp.ones((8, 9, 3))
    memory = optimizer.init(small)
    for _ in range(3):
        _, memory, _ = optimizer.step(memory, small, jnp.float32(1), noise**5, lambda z: z)
    warm = pyramid.warmed(optimizer, memory, optimizer.init(large))
    if decay is not None:
        np.testing.assert_array_equal(optimizer.answer(warm), large)
        warm, memory = warm.inner, memory.inner
    adam, before = warm[0], memory[0]
    assert int(adam.count) == int(before.count) == 3
    np.testing.assert_array_equal(adam.mu, jax.image.resize(before.mu, large.shape, "cubic"))
    np.testing.assert_array_equal(adam.nu, jax.image.resize(before.nu, large.shape, "linear"))
    assert adam.nu.min() >= 0 > adam.mu.min()


def test_lbfgs_begins_anew():
    optimizer = optimizers.lbfgs(2)
    fresh = optimizer.init(jnp.ones((8, 9, 3)))
    assert pyramid.warmed(optimizer, optimizer.init(jnp.zeros((4, 6, 3))), fresh) is fresh


def test_trees_keep_what_has_one_shape_and_refuse_what_cannot_be_resized():
    @symbol
    class Pair:
        center: jax.Array

        @property
        def random(self):
            return False

        def loss(self, z, key):
            return jnp.sum((z["image"] - self.center) ** 2) + (z["gain"] - 2) ** 2

        def project(self, z):
            return z

    def pose(size):
        return Pair(ramp(size)), {"image": jnp.zeros((size, size + 2, 3)), "gain": jnp.zeros(())}

    found = pyramid.solve_pyramid(pose, [4, 6, 6], 40, optimizers.adam(0.1))
    assert found.value["image"].shape == (6, 8, 3)
    np.testing.assert_allclose(found.value["gain"], 2, atol=0.1)
    with pytest.raises(ValueError, match=r"shape \[3\] is \[4\] at the next size"):
        pyramid.solve_pyramid(lambda n: (Toward(jnp.zeros(n)), jnp.zeros(n)), [3, 4], 1)


def assert_same(one, other):
    for field in dataclasses.fields(one):
        if "seconds" not in field.name:
            np.testing.assert_array_equal(
                getattr(one, field.name), getattr(other, field.name), err_msg=field.name
            )


def press_after(evaluations):
    def press(solution):
        if int(solution.evaluations) > evaluations:
            signal.raise_signal(signal.SIGINT)

    return press


@pytest.mark.parametrize("make", [lambda: optimizers.adam(0.01), lambda: optimizers.lbfgs(2)])
def test_ctrl_c_at_any_scale_keeps_the_best_and_the_snapshot_goes_on(tmp_path, make):
    sizes, steps, path = [4, 6, 8], [6, 0, 40], tmp_path / "run.npz"
    whole = pyramid.solve_pyramid(Posed(0.0), sizes, steps, make())
    for after in (1, 7):
        with pytest.raises(jaxviz.Interrupted) as caught:
            pyramid.solve_pyramid(
                Posed(0.0), sizes, steps, make(), snapshot=path, on_chunk=press_after(after), resume=True
            )
        stopped = caught.value.solution
        assert after < int(stopped.evaluations) < int(whole.evaluations)
        np.testing.assert_array_equal(stopped.losses, whole.losses[: stopped.losses.size])
        assert stopped.value.shape[0] == sizes[len(stopped.scales) - 1]
    assert len(stopped.scales) == 3
    pose = Posed(0.0)
    assert_same(pyramid.solve_pyramid(pose, sizes, steps, make(), snapshot=path, resume=True), whole)
    assert pose.asked == [8]
    assert_same(pyramid.solve_pyramid(Posed(0.0), sizes, steps, make(), snapshot=path, resume=True), whole)


def test_ctrl_c_while_a_problem_is_posed_keeps_what_there_is():
    pose = Posed()

    def interrupted(size):
        if size == 6:
            raise KeyboardInterrupt
        return pose(size)

    with pytest.raises(jaxviz.Interrupted) as caught:
        pyramid.solve_pyramid(interrupted, [4, 6], 3)
    assert caught.value.solution.value.shape == (4, 6, 3)
    with pytest.raises(KeyboardInterrupt) as plain:
        pyramid.solve_pyramid(interrupted, [6, 8], 3)
    assert not isinstance(plain.value, jaxviz.Interrupted)


def test_a_snapshot_of_other_scales_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    options = {"optimizer": optimizers.adam(), "snapshot": path}
    pyramid.solve_pyramid(Posed(), [4, 6], 2, **options)
    for sizes, steps, said in (
        ([4, 8], 2, "sizes has other numbers"),
        ([4, 6], 3, "steps has other numbers"),
        ([4], 2, "at scale 2, and there are 1 sizes"),
    ):
        with pytest.raises(snapshots.SnapshotError, match=said):
            pyramid.solve_pyramid(Posed(), sizes, steps, **options, resume=True)
    snapshots.minimize(*Posed()(4), path=path, steps=2)
    with pytest.raises(snapshots.SnapshotError, match="a run without scales"):
        pyramid.solve_pyramid(Posed(), [4, 6], 2, **options, resume=True)


def test_a_scale_that_diverges_is_the_last():
    def pose(size):
        return Toward(ramp(size) * (np.nan if size == 6 else 1)), jnp.zeros((size, size + 2, 3))

    found = pyramid.solve_pyramid(pose, [4, 6, 8], 3, optimizers.adam())
    assert not found.finite
    assert [scale[0] for scale in found.scales] == [4, 6]


def test_sizes_and_steps_must_fit():
    for sizes, steps in (([], 3), ([4, 6], [3]), ([4], -1)):
        with pytest.raises(ValueError, match=f"there are {len(sizes)} sizes and steps"):
            pyramid.solve_pyramid(Posed(), sizes, steps)
