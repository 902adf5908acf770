import dataclasses
import json
import os
import signal
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trainings
from PIL import Image as PillowImage

from jaxviz import jobs, stylization, training
from jaxviz.jobs import RunError
from jaxviz.networks import compiled_features

SIZE = 32


@pytest.fixture(scope="module")
def network():
    return trainings.network()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for k in range(5):
        pixels = random.integers(0, 255, (40 + 3 * k, 50, 3), np.uint8)
        PillowImage.fromarray(pixels).save(folder / f"{k}.png")
    return folder


@pytest.fixture(scope="module")
def fast(network):
    return trainings.fast(network)


@pytest.fixture(scope="module")
def adain(network):
    changes = {"slimness": 32, "style_layers": {"relu1_1": 1.0, "relu4_1": 1.0}, "solved_from": 0}
    return training.arbitrary(network, training.ADAIN["default"].merged(changes))


def run(recipe, pictures, out, **changes):
    given = {"steps": 4, "batch": 2, "size": SIZE, "checkpoint_every": 2, "sheet_every": 100, "tell_every": 1}
    source = jobs.open_source(pictures)
    styles = source if recipe.least_styles else None
    return training.train(recipe, source, out, styles=styles, **given | changes)


def leaves(trained):
    return [np.asarray(leaf) for leaf in jax.tree.leaves((trained.model.params,))]


@pytest.fixture(scope="module")
def whole(fast, pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    return run(fast, pictures, out), out


@pytest.mark.parametrize("kind", ["fast", "adain"])
def test_the_loss_falls_and_the_run_is_written(kind, request, pictures, tmp_path):
    recipe, n = request.getfixturevalue(kind), {"fast": 12, "adain": 8}[kind]
    trained = run(recipe, pictures, tmp_path / "run", steps=n, checkpoint_every=n, sheet_every=n)
    rows = training.read_log(tmp_path / "run/log.csv")
    assert [row["step"] for row in rows] == list(range(1, n + 1))
    assert np.mean([row["loss"] for row in rows[-3:]]) < 0.9 * np.mean([row["loss"] for row in rows[:3]])
    assert (tmp_path / "run/losses.png").stat().st_size > 0
    assert (tmp_path / f"run/sheets/{n:07}.png").stat().st_size > 0
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["state"] == "done"
    assert record["step"] == n
    assert stylization.record(tmp_path / "run/model.safetensors")["steps"] == n
    assert trained.step == n
    assert trained.per_second > 0
    assert not trained.interrupted


def test_losses_are_those_of_the_formula(fast, network):
    from jaxviz import objectives, priors

    state = fast.init(jax.random.key(0))
    batch = np.random.default_rng(2).integers(0, 255, (2, SIZE, SIZE, 3), np.uint8)
    told = jax.jit(fast.step)(fast.frozen, state, {"content": batch}, jax.random.key(1))[1]
    content = jnp.asarray(batch, jnp.float32) / 255
    drawn, _ = fast.architecture.apply(
        state["variables"], content, jnp.ones((2, 1)), train=True, mutable=["statistics"]
    )
    painting = np.random.default_rng(1).random((48, 48, 3), np.float32)
    layers = ("relu1_1", "relu2_1")
    gram = objectives.match_gram(
        compiled_features(network, painting, layers), weights=dict.fromkeys(layers, 1.0)
    )
    style = np.mean([gram(compiled_features(network, one, layers)) for one in drawn])
    apart = [compiled_features(network, x, ("relu2_1",))["relu2_1"] for x in (*drawn, *content)]
    like = np.mean([np.mean((apart[k] - apart[k + 2]) ** 2) for k in range(2)])
    smooth = np.mean([priors.total_variation()(one) for one in drawn])
    np.testing.assert_allclose(told["style"], 5 * style, rtol=1e-4)
    np.testing.assert_allclose(told["content"], like, rtol=1e-4)
    np.testing.assert_allclose(told["tv"], 0.13 * smooth, rtol=1e-4)
    np.testing.assert_allclose(told["loss"], 5 * style + like + 0.13 * smooth, rtol=1e-4)


def test_the_decoder_learns_from_statistics_of_the_painting(adain):
    state = adain.init(jax.random.key(0))
    random = np.random.default_rng(3)
    content, style = (random.integers(0, 255, (1, SIZE, SIZE, 3), np.uint8) for _ in range(2))
    told = jax.jit(adain.step)(adain.frozen, state, {"content": content, "style": style}, jax.random.key(1))[
        1
    ]
    encoder = adain.frozen["network"]
    x, a = (jnp.asarray(one[0], jnp.float32) / 255 for one in (content, style))
    f, s = (compiled_features(encoder, one, ("relu4_1",))["relu4_1"] for one in (x, a))
    mean, std = s.mean((0, 1)), jnp.sqrt(s.var((0, 1)) + 1e-5)
    t = (f - f.mean((0, 1))) / jnp.sqrt(f.var((0, 1)) + 1e-5) * std + mean
    drawn = adain.model(state).architecture.apply(
        {"params": state["variables"]["params"]}, t[None] / adain.scales["relu4_1"]
    )[0]
    taps, wanted = (compiled_features(encoder, one, ("relu1_1", "relu4_1")) for one in (drawn, a))
    like = jnp.mean((taps["relu4_1"] - t) ** 2) / adain.scales["relu4_1"] ** 2
    paint = 0.0
    for layer in taps:
        ours, theirs = (
            (tap.mean((0, 1)), jnp.sqrt(tap.var((0, 1)) + 1e-5)) for tap in (taps[layer], wanted[layer])
        )
        apart = sum(jnp.mean((p - q) ** 2) for p, q in zip(ours, theirs, strict=True))
        paint += apart / adain.scales[layer] ** 2
    np.testing.assert_allclose(told["content"], like, rtol=1e-4)
    np.testing.assert_allclose(told["style"], 10 * paint, rtol=1e-3)
    same = adain.model(state).architecture.apply(
        {"params": state["variables"]["params"]}, f[None] / adain.scales["relu4_1"]
    )[0]
    np.testing.assert_allclose(told["identity"], 20 * jnp.mean((same - x) ** 2), rtol=1e-4)


def test_a_run_in_two_parts_is_the_unbroken_one(fast, whole, pictures, tmp_path):
    run(fast, pictures, tmp_path / "run", steps=2)
    trained = run(fast, pictures, tmp_path / "run", resume=True)
    assert all((a == b).all() for a, b in zip(leaves(trained), leaves(whole[0]), strict=True))
    statistics = [jax.tree.leaves(one.model.statistics) for one in (trained, whole[0])]
    assert all((np.asarray(a) == np.asarray(b)).all() for a, b in zip(*statistics, strict=True))
    there, here = (training.read_log(path / "log.csv") for path in (whole[1], tmp_path / "run"))
    assert [row["loss"] for row in there] == [row["loss"] for row in here]


def test_running_statistics_move(fast, whole):
    start = fast.model(fast.init(jax.random.key(0)))
    moved = [
        not np.array_equal(a, b)
        for a, b in zip(
            jax.tree.leaves(start.statistics), jax.tree.leaves(whole[0].model.statistics), strict=True
        )
    ]
    assert moved
    assert all(moved)


def test_a_signal_ends_a_run_after_its_step_and_nothing_is_lost(fast, whole, pictures, tmp_path):
    def on_step(at):
        if at.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    stopped = run(fast, pictures, tmp_path / "run", checkpoint_every=100, on_step=on_step)
    assert stopped.interrupted
    assert stopped.step == 3
    assert json.loads((tmp_path / "run/run.json").read_text())["state"] == "interrupted"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    trained = run(fast, pictures, tmp_path / "run", resume=True)
    assert all((a == b).all() for a, b in zip(leaves(trained), leaves(whole[0]), strict=True))


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_the_checkpoint(fast, pictures, tmp_path):
    run(fast, pictures, tmp_path / "run", steps=2)
    weights = fast.frozen["weights"] | {"style": jnp.float32(np.nan)}
    broken = dataclasses.replace(fast, frozen=fast.frozen | {"weights": weights})
    with pytest.raises(training.TrainingError, match=r"step 3 is NaN.*checkpoint 2 stays"):
        run(broken, pictures, tmp_path / "run", resume=True)
    assert not (tmp_path / "run/checkpoints/3").exists()


def test_another_runs_folder_is_refused(fast, pictures, whole, tmp_path):
    with pytest.raises(RunError, match="--resume"):
        run(fast, pictures, whole[1])
    with pytest.raises(RunError, match="batch is 2 there and 1 here"):
        run(fast, pictures, whole[1], resume=True, batch=1)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"notes\.txt"):
        run(fast, pictures, tmp_path)


def test_a_damaged_checkpoint_is_told(fast, pictures, tmp_path):
    run(fast, pictures, tmp_path / "run", steps=2)
    for path in (tmp_path / "run/checkpoints/2/default").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    with pytest.raises(RunError, match="checkpoint 2"):
        run(fast, pictures, tmp_path / "run", resume=True)


def test_numbers_and_missing_paintings_are_told(fast, adain, pictures, tmp_path):
    for changes, text in (
        ({"steps": 0}, "steps is 0"),
        ({"size": 36}, "multiple of 8"),
        ({"batch": 0}, "batch is 0"),
    ):
        with pytest.raises(ValueError, match=text):
            run(fast, pictures, tmp_path / "run", **changes)
    with pytest.raises(ValueError, match="paintings"):
        training.train(adain, jobs.open_source(pictures), tmp_path / "run", steps=1, batch=1, size=SIZE)
    assert not (tmp_path / "run").exists()


def test_another_thread_may_train(fast, pictures, tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(run(fast, pictures, tmp_path / "run", steps=1)))
    thread.start()
    thread.join()
    assert found[0].step == 1


def test_a_bank_draws_every_style(network):
    random = np.random.default_rng(4)
    paintings = {name: random.random((32, 32, 3), np.float32) for name in ("a", "b", "c")}
    changes = {"width": 2, "content_layers": {"relu2_1": 1.0}, "style_layers": {"relu1_1": 1.0}}
    values = training.MULTI["default"].merged(changes)
    recipe = trainings.shallow(training.perceptual(network, paintings, values))
    state = recipe.init(jax.random.key(0))
    batch = {"content": random.integers(0, 255, (4, SIZE, SIZE, 3), np.uint8)}
    after = jax.jit(recipe.step)(recipe.frozen, state, batch, jax.random.key(5))[0]
    moved = np.asarray(after["variables"]["params"]["out_norm"]["scale"]) != 1
    which = set(np.asarray(jax.random.randint(jax.random.key(5), (4,), 0, 3)).tolist())
    assert set(np.flatnonzero(moved.any(1)).tolist()) == which
    with pytest.raises(ValueError, match="conditional-instance"):
        training.perceptual(network, paintings, values | {"norm": "instance"})
    with pytest.raises(ValueError, match="no style"):
        training.perceptual(network, {}, values)


def test_another_painting_or_other_weights_are_another_run(fast, network, pictures, whole):
    other = np.random.default_rng(9).random((48, 48, 3), np.float32)
    recipe = trainings.shallow(training.perceptual(network, {"noise": other}, fast.values))
    with pytest.raises(RunError, match="styles_sha256"):
        run(recipe, pictures, whole[1], resume=True)
    params = jax.tree.map(lambda leaf: leaf + 1, network.params)
    painting = np.random.default_rng(1).random((48, 48, 3), np.float32)
    moved = dataclasses.replace(network, params=params)
    recipe = trainings.shallow(training.perceptual(moved, {"noise": painting}, fast.values))
    with pytest.raises(RunError, match="weights_sha256"):
        run(recipe, pictures, whole[1], resume=True)


def test_weights_that_are_no_numbers_are_never_kept(fast, pictures, tmp_path, monkeypatch):
    def step(frozen, state, batch, key):
        after, told = training.Perceptual.step(fast, frozen, state, batch, key)
        return jax.tree.map(lambda leaf: leaf * jnp.nan if leaf.dtype == jnp.float32 else leaf, after), told

    broken = dataclasses.replace(fast)
    object.__setattr__(broken, "step", step)
    with pytest.raises(training.TrainingError, match="next state of step 1 is NaN"):
        run(broken, pictures, tmp_path / "run", steps=1)
    assert not (tmp_path / "run/checkpoints/1").exists()
