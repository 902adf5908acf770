import jax
import jax.numpy as jnp
import numpy as np
import pytest
import virtual_devices
from eight_devices import MAPPED, SOLVED, STEPS
from test_optimization import Quadratic

import jaxviz
from jaxviz import sharding

COLLECTIVES = ("all-gather", "all-reduce", "all-to-all", "collective-permute", "reduce-scatter")


QUICK = ("saliency", "noise", "inversion")
"""A function, one that draws, and a loop; the others go the same ways."""
OTHERS = tuple(name for name in (*MAPPED, *SOLVED) if name not in QUICK)


def run(tmp_path_factory, names):
    """Returns results of tests/eight_devices.py, by name."""
    return virtual_devices.run("eight_devices.py", 8, tmp_path_factory.mktemp("devices") / "made.npz", *names)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return run(tmp_path_factory, QUICK)


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    return run(tmp_path_factory, OTHERS)


@pytest.fixture
def results(request, name):
    """The results that hold those of a case."""
    return request.getfixturevalue("made" if name in QUICK else "others")


def cases(counts):
    return [
        pytest.param(name, n, marks=[pytest.mark.slow] * (name in OTHERS), id=f"{name}-{n}")
        for name, numbers in counts.items()
        for n in numbers
    ]


def test_there_are_eight(made):
    assert made["devices"] == 8


def full_shares(n):
    """How many images have a full share of a device's work: there the arithmetic of one device is the same."""
    return n - n % -(-n // 8)


@pytest.mark.parametrize(("name", "n"), cases(MAPPED))
def test_a_mapped_technique_on_eight_devices_equals_one(results, name, n):
    everywhere, one, same = results[f"{name}/{n}/all"], results[f"{name}/{n}/one"], full_shares(n)
    assert len(one) == len(everywhere) == n
    np.testing.assert_array_equal(everywhere[:same], one[:same])
    np.testing.assert_allclose(everywhere, one, rtol=1e-6, atol=1e-6 * np.abs(one).max())
    assert len(np.unique(one.reshape(n, -1), axis=0)) == n


@pytest.mark.parametrize(("name", "n"), cases(SOLVED))
def test_an_optimized_technique_on_eight_devices_equals_one(results, name, n):
    assert results[f"{name}/{n}/all/losses"].shape == (n, STEPS)
    for field in ("value", "losses"):
        everywhere, one = results[f"{name}/{n}/all/{field}"], results[f"{name}/{n}/one/{field}"]
        same = full_shares(n)
        assert len(one) == len(everywhere) == n
        np.testing.assert_array_equal(everywhere[:same], one[:same])
        np.testing.assert_allclose(everywhere, one, rtol=1e-6, atol=1e-6)
        assert len(np.unique(one.reshape(n, -1), axis=0)) == n


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_no_device_waits_for_another(results, name):
    text = str(results[f"{name}/program"])
    assert "num_partitions=8" in text
    assert not [word for word in COLLECTIVES if word in text]


def test_a_program_that_communicates_is_seen(made):
    assert "all-reduce" in str(made["control/program"])


def test_images_that_finish_early_neither_end_nor_hold_up_the_others(made):
    for field in ("value", "losses", "evaluations", "finite"):
        np.testing.assert_array_equal(made[f"early/all/{field}"], made[f"early/one/{field}"])
    evaluations, losses = made["early/all/evaluations"], made["early/all/losses"]
    assert evaluations.shape == (5,)
    assert evaluations[-1] == 1
    assert evaluations[:4].min() > 1
    assert evaluations.max() < 3000
    assert losses.shape == (5, evaluations.max())
    np.testing.assert_allclose(made["early/all/value"][:, 0], [3, 1, 4, 1.5, 0], atol=1e-3)
    assert made["early/all/finite"].tolist() == [True] * 5


def test_what_is_drawn_depends_on_the_key_alone(made):
    np.testing.assert_array_equal(made["noisy/all/losses"], made["noisy/one/losses"])
    assert len(np.unique(made["noisy/all/losses"], axis=0)) == 5


def test_a_mesh_of_the_devices_there_are():
    made = jaxviz.mesh()
    assert made.axis_names == ("batch",)
    assert made.size == len(jax.devices())
    assert jaxviz.mesh("1") == jaxviz.mesh(1)


@pytest.mark.parametrize("devices", [0, -1, "some", "", "1.5"])
def test_a_number_of_devices_that_is_none_is_refused(devices):
    with pytest.raises(ValueError, match=r"expected 'all' or a number from 1 to"):
        jaxviz.mesh(devices)


def test_more_devices_than_there_are():
    more = len(jax.devices()) + 3
    with pytest.raises(ValueError, match=f"devices is {more}, but there .* {more - 3} of kind"):
        jaxviz.mesh(more)
    if jax.default_backend() == "cpu":
        with pytest.raises(ValueError, match=f"xla_force_host_platform_device_count={more}"):
            jaxviz.mesh(more)


def batch(n=3):
    posed = [(Quadratic(jnp.full(4, k + 1.0), jnp.float32(0)), jnp.zeros(4)) for k in range(n)]
    return jaxviz.stack(posed)


def test_a_mesh_of_one_device_changes_nothing():
    (problem, z), (axes, _) = batch()
    runs = [
        jaxviz.minimize(problem, z, steps=9, batch_axes=axes, mesh=mesh) for mesh in (None, jaxviz.mesh(1))
    ]
    np.testing.assert_array_equal(runs[0].value, runs[1].value)
    np.testing.assert_array_equal(runs[0].losses, runs[1].losses)


def test_a_mesh_without_a_batch_is_refused():
    with pytest.raises(ValueError, match="mesh is given without batch_axes"):
        jaxviz.minimize(Quadratic(jnp.zeros(4), jnp.zeros(())), jnp.zeros(4), steps=1, mesh=jaxviz.mesh(1))


@pytest.mark.parametrize("mesh", [None, jaxviz.mesh(1)])
def test_a_batch_of_differing_lengths_is_refused(mesh):
    (problem, z), (axes, _) = batch()
    with pytest.raises(ValueError, match=r"number of images: 3 in argument .*, 2 in argument"):
        jaxviz.minimize(problem, z[:2], steps=1, batch_axes=axes, mesh=mesh)
    keys = jax.random.split(jax.random.key(0), 4)
    with pytest.raises(ValueError, match=r"number of images: 3 in argument .*, 4 in argument"):
        jaxviz.minimize(problem, z, steps=1, key=keys, batch_axes=axes, mesh=mesh)


def test_rows_repeat_the_last():
    numbers = np.arange(5)
    assert sharding.rows(numbers, 3, 5, 4).tolist() == [3, 4, 4, 4]
    assert sharding.rows(jnp.asarray(numbers), 0, 2, 2).tolist() == [0, 1]
    keys = jax.random.split(jax.random.key(0, impl="rbg"), 3)
    taken = sharding.rows(keys, 1, 3, 3)
    assert jax.random.key_impl(taken) == "rbg"
    np.testing.assert_array_equal(jax.random.key_data(taken), jax.random.key_data(keys)[np.array([1, 2, 2])])


@pytest.mark.parametrize("axis", [1, -1, True, "batch"])
def test_other_axes_are_refused(axis):
    with pytest.raises(ValueError, match="expected 0 for stacked and None for shared"):
        sharding.flat_axes((axis, 0), (np.zeros(3), np.zeros(3)))
