"""The rows of a picture on four devices: the same numbers as on one, less memory, no activations gathered."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import virtual_devices
from shared_rows import STEPS
from small_networks import narrow_vgg
from test_optimization import Quadratic

import jaxviz
from jaxviz import placing


def run(tmp_path_factory, rules, *names):
    """Returns what tests/shared_rows.py finds, by name."""
    return virtual_devices.run(
        "shared_rows.py", 4, tmp_path_factory.mktemp("rows") / "made.npz", rules, *names
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return run(tmp_path_factory, "own", "style", "ragged style")


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    return run(tmp_path_factory, "own", "texture", "inversion", "deep style")


@pytest.fixture(scope="module")
def automatic(tmp_path_factory):
    return run(tmp_path_factory, "automatic", "style", "deep style")


RUNS = [
    ("made", "style"),
    ("made", "ragged style"),
    *(
        pytest.param(*case, marks=pytest.mark.slow)
        for case in (
            ("others", "texture"),
            ("others", "inversion"),
            ("others", "deep style"),
            ("automatic", "style"),
            ("automatic", "deep style"),
        )
    ),
]


@pytest.mark.parametrize(("run", "name"), RUNS)
def test_loss_and_gradient_are_those_of_one_device(request, run, name):
    found = request.getfixturevalue(run)
    np.testing.assert_allclose(found[f"{name}/all/loss"], found[f"{name}/one/loss"], rtol=1e-6)
    one, every = found[f"{name}/one/gradient"], found[f"{name}/all/gradient"]
    np.testing.assert_allclose(every, one, atol=1e-5 * np.abs(one).max())
    assert not found[f"{name}/all/below"].any()  # rows that only fill up


@pytest.mark.parametrize(("run", "name"), RUNS)
def test_a_run_is_that_of_one_device(request, run, name):
    found = request.getfixturevalue(run)
    assert found[f"{name}/all/losses"].shape == (STEPS,)
    np.testing.assert_allclose(found[f"{name}/all/losses"], found[f"{name}/one/losses"], rtol=1e-4)
    one, every = found[f"{name}/one/value"], found[f"{name}/all/value"]
    assert every.shape == one.shape
    assert (np.abs(every - one) < 1e-3).mean() > 0.999


@pytest.mark.parametrize(("run", "name"), [case for case in RUNS if "ragged style" not in str(case)])
def test_neighbors_exchange_edges_and_nothing_is_gathered(request, run, name):
    found = request.getfixturevalue(run)
    picture = 4 * 3 * 64 * 48
    assert found[f"{name}/collective-permute/count"] > 4  # a convolution's rows
    assert found[f"{name}/all-reduce/count"] >= 1  # Gram matrices and the loss
    assert found[f"{name}/all-gather/largest"] <= picture  # never of features
    assert found[f"{name}/all-to-all/largest"] <= picture


def test_the_memory_of_a_device_falls_with_their_number(made):
    one, two, four = (int(made[f"memory/{n}"]) for n in (1, 2, 4))
    weights = int(made["memory/weights"])  # which every device has
    assert two - weights < 0.65 * (one - weights)
    assert four - weights < 0.4 * (one - weights)


def test_rows_and_a_batch_share_devices(made):
    np.testing.assert_allclose(made["batch/together/losses"], made["batch/alone/losses"], rtol=1e-4)
    one, every = made["batch/alone/value"], made["batch/together/value"]
    assert every.shape == one.shape == (3, 30, 32, 3)
    assert (np.abs(every - one) < 1e-3).mean() > 0.999


@pytest.mark.slow
def test_a_grid_over_devices_is_that_of_one(others):
    np.testing.assert_allclose(others["grid/all/losses"], others["grid/one/losses"], rtol=1e-5)
    one, every = others["grid/one/value"], others["grid/all/value"]
    assert every.shape == one.shape == (1, 3, 1, 32, 40, 3)
    assert (np.abs(every - one) < 1e-4).mean() > 0.999


def test_one_device_may_have_all_rows():
    mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:1]).reshape(1, 1), ("batch", "rows"))
    assert placing.has_rows(mesh)
    start = jnp.ones((3, 2, 3))
    problem = jaxviz.inversion.problem(narrow_vgg(), 0.5 * start, layer="relu1_1")[0]
    found = [jaxviz.minimize(problem, start, steps=5, mesh=devices) for devices in (None, mesh)]
    np.testing.assert_array_equal(found[0].losses, found[1].losses)
    np.testing.assert_array_equal(found[0].value, found[1].value)


def fake(rows, batch=1):
    """A mesh of devices that are not there, for what is checked before anything is placed."""
    device = jax.devices()[0]
    return jax.sharding.Mesh(np.full((batch, rows), device, object), ("batch", "rows"))


def test_what_has_no_rows_is_refused():
    problem = Quadratic(jnp.zeros(4), jnp.float32(0))
    with pytest.raises(ValueError, match=r"the unknowns are none of shape \[height, width, channels\]"):
        placing.layout(problem, jnp.zeros(4), jax.random.key(0), None, fake(2))


def test_fewer_rows_than_devices_are_refused():
    problem = Quadratic(jnp.zeros((3, 8, 3)), jnp.float32(0))
    with pytest.raises(ValueError, match="the picture has 3 rows; 4 devices cannot share them"):
        placing.layout(problem, jnp.zeros((3, 8, 3)), jax.random.key(0), None, fake(4))


def test_one_picture_cannot_be_a_batch():
    problem = Quadratic(jnp.zeros((8, 8, 3)), jnp.float32(0))
    with pytest.raises(ValueError, match=r"mesh is given without batch_axes; .*`jaxviz.mesh\(n, rows=n\)`"):
        placing.layout(problem, jnp.zeros((8, 8, 3)), jax.random.key(0), None, fake(2, 2))


def test_rows_that_do_not_divide_the_devices_are_refused():
    with pytest.raises(ValueError, match="rows is 2; expected a divisor of the number of devices, 1"):
        jaxviz.mesh(1, rows=2)
    with pytest.raises(ValueError, match="rows is 0; expected a whole number of at least 1"):
        jaxviz.mesh(1, rows=0)


def test_a_function_is_not_mapped_over_rows():
    with pytest.raises(ValueError, match="shares the rows of pictures, which `minimize` alone does"):
        jaxviz.batched(jnp.sum, mesh=fake(2))(np.ones((4, 3), np.float32))
