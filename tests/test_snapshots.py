import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_optimization import CENTERS, START, Rosenbrock, quadratic

import jaxviz
from jaxviz import optimization, optimizers, snapshots

FIELDS = ("value", "losses", "evaluations", "rejections", "restarts")
KILLS = 3


def assert_same(one, other):
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field), err_msg=field)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs forks")
@pytest.mark.parametrize(
    "case", ["valley", *(pytest.param(case, marks=pytest.mark.slow) for case in ("noisy", "scales"))]
)
def test_kills_change_no_bit(tmp_path, case):
    here = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(here), *sys.path]), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(here / "killed_runs.py"), str(tmp_path), case, str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200)
    assert done.returncode == 0, done.stderr
    *killed, resumed, whole = json.loads(done.stdout)
    assert killed == [True] * KILLS
    assert resumed == whole == 0
    with (
        np.load(tmp_path / "killed" / f"{case}-found.npz") as resumed,
        np.load(tmp_path / "whole" / f"{case}-found.npz") as whole,
    ):
        assert whole["losses"].size > 30
        for field in FIELDS:
            np.testing.assert_array_equal(resumed[field], whole[field], err_msg=field)


@pytest.mark.parametrize("every", [1, 4, 7, 100])
def test_states_come_after_every_so_many_evaluations_and_at_the_end(every):
    told = []
    optimizer, problem = optimizers.adam(), quadratic(noise=True)
    found = jaxviz.minimize(
        problem,
        START,
        steps=21,
        optimizer=optimizer,
        every=every,
        on_state=lambda state, losses: told.append((int(state.evaluations), losses.copy())),
    )
    made = [n for n, _ in told]
    assert made == sorted({*range(every, 22, every), 21})
    for n, losses in told:
        np.testing.assert_array_equal(losses, found.losses[:n])
    assert_same(found, jaxviz.minimize(problem, START, steps=21, optimizer=optimizer))


def states(problem, z, **options):
    """Copies of all states of a run, and what it found."""
    kept = []

    def keep(state, losses):
        kept.append((jax.tree.map(jnp.copy, state), losses))

    return kept, jaxviz.minimize(problem, z, on_state=keep, **options)


@pytest.mark.parametrize("mesh", [None, jaxviz.mesh(1)])
def test_a_batch_goes_on_from_any_state_even_twice(mesh):
    batch, axes = jaxviz.stack([quadratic(center) for center in CENTERS])
    z = jnp.stack([START, jnp.asarray(CENTERS[1], jnp.float32), START - 1])
    options = {"steps": 8, "batch_axes": axes, "mesh": mesh}
    kept, whole = states(batch, z, every=3, **options)
    assert [losses.shape for _, losses in kept] == [(3, 3), (3, 6), (3, 8)]
    for state in [kept[0], *kept]:
        assert_same(jaxviz.minimize(batch, z, state=state, **options), whole)


def test_a_state_of_another_shape_and_steps_between_states_are_checked():
    kept, _ = states(quadratic(), START, steps=3)
    with pytest.raises(ValueError, match="state has unknowns of shape"):
        jaxviz.minimize(quadratic(), jnp.zeros(5), steps=5, state=kept[0])
    with pytest.raises(ValueError, match="every is 0"):
        jaxviz.minimize(quadratic(), START, steps=3, every=0)


def test_a_finished_run_is_returned_and_one_with_more_steps_goes_on(tmp_path):
    path, problem = tmp_path / "run.npz", Rosenbrock(jnp.float32(1))
    z = jnp.array([-1.2, 1.0])
    first = snapshots.minimize(problem, z, path=path, steps=20, every=7)
    again = snapshots.minimize(problem, z, path=path, steps=20, every=7, resume=True)
    assert_same(again, first)
    assert again.run_seconds == 0
    more = snapshots.minimize(problem, z, path=path, steps=30, resume=True)
    assert_same(more, jaxviz.minimize(problem, z, steps=30))
    with pytest.raises(snapshots.SnapshotError, match=r"has made 30 evaluations; expected at most steps, 20"):
        snapshots.minimize(problem, z, path=path, steps=20, resume=True)
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


def test_a_batch_with_keys_of_its_own_is_saved_too(tmp_path):
    batch, axes = jaxviz.stack([quadratic(center, noise=True) for center in CENTERS])
    options = {
        "key": jax.random.split(jax.random.key(0), 3),
        "batch_axes": axes,
        "optimizer": optimizers.adam(),
    }
    whole = jaxviz.minimize(batch, jnp.zeros((3, 4)), steps=9, **options)
    for steps in (4, 9):
        options["path"] = tmp_path / "run.npz"
        found = snapshots.minimize(batch, jnp.zeros((3, 4)), steps=steps, resume=True, **options)
    assert_same(found, whole)


def test_ctrl_c_writes_where_the_run_stands(tmp_path):
    path, optimizer = tmp_path / "run.npz", optimizers.adam()

    def press(chunk):
        if int(chunk.evaluations) > 4:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(jaxviz.Interrupted) as caught:
        snapshots.minimize(quadratic(), START, path=path, steps=500, optimizer=optimizer, on_chunk=press)
    made = int(caught.value.solution.evaluations)
    assert 4 < made < 500
    assert snapshots.load(path).losses.size == made
    found = snapshots.minimize(quadratic(), START, path=path, steps=500, optimizer=optimizer, resume=True)
    assert_same(found, jaxviz.minimize(quadratic(), START, steps=500, optimizer=optimizer))


@pytest.fixture
def run(tmp_path):
    """The function that makes one tiny run with a snapshot, of other settings where they are given."""

    def make(resume=True, z=START, center=CENTERS[0], noise=True, **options):
        options = {"key": jax.random.key(0), "optimizer": optimizers.adam(0.02), "steps": 4} | options
        problem = quadratic(center, noise=noise)
        return snapshots.minimize(problem, z, path=tmp_path / "run.npz", resume=resume, **options)

    make(resume=False)
    return make


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"center": (1.0, -2.0, 3.0, 0.0)}, r"problem\.center has other numbers"),
        ({"noise": False}, "problem is of another kind"),
        ({"z": START + 1}, "settings: z has other numbers"),
        ({"z": jnp.zeros(1)}, r"z is float32\[4\] there and float32\[1\] here"),
        ({"key": jax.random.key(1)}, "settings: key has other numbers"),
        (
            {"optimizer": optimizers.adam(0.05)},
            r"optimizer\.numbers\['learning_rate'\] is 0\.02 there and 0\.05 here",
        ),
        ({"optimizer": optimizers.lbfgs()}, "optimizer is of another kind"),
    ],
)
def test_a_snapshot_of_other_settings_is_refused_and_the_difference_named(run, other, said):
    run()
    with pytest.raises(snapshots.SnapshotError, match=said):
        run(**other)
    run(resume=False, **other)
    run(**other)


def test_a_damaged_snapshot_is_refused(run, tmp_path):
    path = tmp_path / "run.npz"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for damaged in (
        b"",
        whole[:30],
        whole[: len(whole) // 2],
        whole[:-1],
        bytes(flipped),
        b"no archive" * 99,
    ):
        path.write_bytes(damaged)
        with pytest.raises(snapshots.SnapshotError, match="is damaged, or no snapshot"):
            run()
    np.savez(path, value=np.zeros(3))
    with pytest.raises(snapshots.SnapshotError, match="is damaged, or no snapshot"):
        run()
    path.write_bytes(whole)
    run()


def test_where_no_snapshot_can_be_written_no_work_is_done(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere" / "run.npz"):
        with pytest.raises(snapshots.SnapshotError, match="cannot be written"):
            snapshots.minimize(None, START, path=path, steps=10**9)
    with pytest.raises(snapshots.SnapshotError, match="does not exist"):
        snapshots.load(tmp_path / "run.npz")


def test_keys_and_small_types_are_saved_as_they_are(tmp_path):
    tree = {
        "keys": jax.random.split(jax.random.key(7, impl="rbg"), 2),
        "short": jnp.array([1.5, jnp.nan, -0.0], jnp.bfloat16),
        "flag": np.asarray(True),
    }
    snapshots.save(tmp_path / "s.npz", tree, np.zeros(2), {}, about={"n": 3}, arrays={"more": np.arange(3)})
    saved = snapshots.load(tmp_path / "s.npz")
    found = saved.state(jax.eval_shape(lambda: tree))
    assert jax.random.key_impl(found["keys"]) == "rbg"
    np.testing.assert_array_equal(jax.random.key_data(found["keys"]), jax.random.key_data(tree["keys"]))
    assert found["short"].dtype == jnp.bfloat16
    assert found["short"].tobytes() == np.asarray(tree["short"]).tobytes()
    assert found["flag"].dtype == bool
    assert saved.about == {"n": 3}
    np.testing.assert_array_equal(saved.arrays["more"], np.arange(3))
    with pytest.raises(snapshots.SnapshotError, match="another version"):
        saved.state({"keys": tree["keys"]})


FINGERPRINT = """
import json, jax, jax.numpy as jnp, jaxviz, optax
from jaxviz import snapshots
grey = jnp.full((16, 16, 3), 0.5)
layers = {"content_weights": {"relu1_2": 1}, "style_weights": {"relu1_1": 1}}
problem, z = jaxviz.style.problem(jaxviz.load("vgg16"), grey, [grey], **layers)
optimizer = jaxviz.optimizers.from_optax(optax.nadam, learning_rate=0.1, nesterov=True)
print(json.dumps(snapshots.fingerprint(problem=problem, z=z, optimizer=optimizer, key=jax.random.key(0))))
"""


def test_a_fingerprint_is_the_same_in_every_process():
    found = [
        subprocess.run(
            [sys.executable, "-c", FINGERPRINT],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]
    assert len(json.loads(found[0])) > 30


def test_shapes_of_the_state_are_those_of_a_run():
    batch, axes = jaxviz.stack([quadratic(center) for center in CENTERS])
    kept, _ = states(batch, jnp.zeros((3, 4)), steps=0, batch_axes=axes)
    like = optimization.state_shapes(batch, jnp.zeros((3, 4)), batch_axes=axes)
    assert jax.tree.structure(kept[0][0]) == jax.tree.structure(like)
    for leaf, shape in zip(jax.tree.leaves(kept[0][0]), jax.tree.leaves(like), strict=True):
        assert (leaf.shape, leaf.dtype) == (shape.shape, shape.dtype)
