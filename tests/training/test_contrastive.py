"""CAST: its run, what each loss moves, its queue, and what it refuses."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image as PillowImage

from jaxviz import images, jobs, networks, samples, stylization, training
from jaxviz.jobs import RunError
from jaxviz.networks.preprocessing import TORCHVISION
from jaxviz.networks.vgg import VGG
from jaxviz.training.contrastive import PARTS
from jaxviz.training.loop import _stepped
from jaxviz.training.queue import NOBODY, enqueued, queue

SIZE, BATCH = 32, 2
TINY = {
    "slimness": 32,
    "code_layers": ("relu1_1", "relu2_1"),
    "code_size": 8,
    "queue": 7,
    "discriminator_width": 4,
    "batch": BATCH,
    "size": SIZE,
    "learning_rate": 1e-3,
}
LOSSES = {"loss", "adversarial", "contrast", "cycle", "discriminators", "projector"}
STEPS = 20


@pytest.fixture(scope="module")
def network():
    architecture = VGG((1, 1, 1, 1, 1))
    params = networks.network.drawn_parameters(architecture, jax.random.key(7))
    return networks.Network(params, architecture, TORCHVISION, "tiny")


@pytest.fixture(scope="module")
def cast(network):
    return training.contrastive(network, training.CAST["default"].merged(TINY))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for k in range(5):
        pixels = np.random.default_rng(k).integers(0, 255, (40 + 3 * k, 50, 3), np.uint8)
        PillowImage.fromarray(pixels).save(folder / f"{k}.png")
    return folder


def run(recipe, pictures, out, **changes):
    given = {"steps": STEPS, "batch": BATCH, "size": SIZE, "checkpoint_every": 100, "sheet_every": STEPS}
    source = jobs.open_source(pictures)
    return training.train(recipe, source, out, styles=source, tell_every=1, **given | changes)


@pytest.fixture(scope="module")
def whole(cast, pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    return run(cast, pictures, out), out


def test_losses_are_told_and_the_way_back_is_found(whole):
    rows = training.read_log(whole[1] / "log.csv")
    assert set(rows[0]) == LOSSES | {"step", "per_second"}
    cycle = [row["cycle"] for row in rows]
    # Noise cannot be drawn again from so few channels; its mean color can.
    assert np.mean(cycle[-4:]) < 0.75 * cycle[0]
    for row in rows:
        assert row["loss"] == pytest.approx(row["adversarial"] + row["contrast"] + row["cycle"], rel=1e-5)
    # Once the queue is full, it does better than by chance, which is half of two layers, each of log 8.
    assert np.mean([row["projector"] for row in rows[4:]]) < np.log(8)
    assert (whole[1] / f"sheets/{STEPS:07d}.png").stat().st_size > 0


def test_a_run_in_two_parts_is_the_unbroken_one(cast, whole, pictures, tmp_path):
    run(cast, pictures, tmp_path / "run", steps=7)
    trained = run(cast, pictures, tmp_path / "run", resume=True)
    there, here = (training.read_log(path / "log.csv") for path in (whole[1], tmp_path / "run"))
    # What discriminators, projector and queue were is in the losses of all later steps.
    assert [[row[name] for name in LOSSES] for row in there] == [
        [row[name] for name in LOSSES] for row in here
    ]
    models = [(one.model.params, one.model.projector.params) for one in (trained, whole[0])]
    both = zip(*map(jax.tree.leaves, models), strict=True)
    assert all((np.asarray(a) == np.asarray(b)).all() for a, b in both)


def test_the_file_of_a_run_draws_and_tells_styles(whole, network):
    found = stylization.load(whole[1] / "model.safetensors", encoder=network)
    picture = np.random.default_rng(3).random((24, 20, 3), np.float32)
    code = jax.jit(stylization.StyleCoder.code)
    kept, trained = (code(one.projector, picture) for one in (found, whole[0].model))
    np.testing.assert_array_equal(kept, trained)
    assert float(jnp.linalg.norm(kept)) == pytest.approx(1, rel=1e-5)
    assert set(stylization.record(whole[1] / "model.safetensors")["losses"]) == LOSSES


def test_a_projector_begins_with_codes_that_are_not_all_the_same(cast):
    params = cast.init(jax.random.key(0))["projector"]["params"]["coder"]
    plain = {name: {**layer, "bias": jnp.zeros_like(layer["bias"])} for name, layer in params.items()}
    names = ("chelsea", "astronaut", "coffee", "rocket")
    photographs = jnp.stack([images.fit_square(samples.photograph(name), SIZE) for name in names])
    pooled = jax.jit(cast.passes.cropped)(cast.frozen["encoder"], photographs, jax.random.key(1))

    def likeness(weights):
        codes = cast.passes.codes(weights, pooled)
        return np.mean([np.asarray(code @ code.T)[np.triu_indices(4, 1)].mean() for code in codes.values()])

    assert likeness(params) < likeness(plain) - 0.3


def moved(cast, **weights):
    """Which parts a step moves where losses have these weights, and others none."""
    state = cast.init(jax.random.key(0))
    before = jax.tree.map(np.asarray, {name: state[name]["params"] for name in PARTS})
    random = np.random.default_rng(5)
    batch = {name: random.integers(0, 255, (BATCH, SIZE, SIZE, 3), np.uint8) for name in ("content", "style")}
    batch |= {f"{name}_numbers": np.int32([3, 1]) for name in ("content", "style")}
    given = {name: jnp.float32(weights.get(name, 0)) for name in cast.frozen["weights"]}
    # As the loop gives them, so that nothing is compiled anew.
    placed = jax.device_put((cast.frozen | {"weights": given}, state), jax.local_devices()[0])
    after, _ = _stepped(cast, *placed, batch, jax.random.key(1))
    pairs = {
        name: zip(*map(jax.tree.leaves, (before[name], after[name]["params"])), strict=True) for name in PARTS
    }
    return {
        name for name, pair in pairs.items() if any((np.asarray(a) != np.asarray(b)).any() for a, b in pair)
    }, after


@pytest.mark.parametrize(
    ("loss", "part"),
    [
        ("discriminator", "discriminators"),
        ("projector", "projector"),
        ("adversarial", "generator"),
        ("contrast", "generator"),
        ("cycle", "generator"),
    ],
)
def test_each_loss_moves_one_part(cast, loss, part):
    found, after = moved(cast, **{loss: 1.0})
    assert found == {part}
    # Codes of the paintings alone, one after the other.
    assert after["queue"].owners.tolist() == [3, 1, *[NOBODY] * 5]
    assert int(after["queue"].place) == 2


def test_no_painting_is_its_own_negative(cast):
    codes = {layer: jnp.eye(8)[:BATCH] for layer in TINY["code_layers"]}
    ring = queue(jax.random.key(0), TINY["code_layers"], 8, 2)
    ring = enqueued(ring, codes, jnp.int32([4, 4]))
    both = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), codes)
    numbers = jnp.int32([4, 4])
    told = {}
    for own in (False, True):
        recipe = dataclasses.replace(
            cast, values={**cast.values, "own_negatives": own, "contrasted": "paintings"}
        )
        told[own] = float(recipe._contrast(codes, codes, ring, numbers))
    assert told[False] == 0  # nothing to be told from
    # Each has itself and a code at a right angle beside its positive, in two layers; half of the mean.
    assert told[True] == pytest.approx(np.log(2 + np.exp(-1 / 0.07)), rel=1e-5)
    # A photograph has no code in the queue.
    assert float(cast._contrast(both, both, ring, numbers)) == pytest.approx(told[True], rel=1e-5)


def test_a_queue_has_the_last_codes_in_their_order():
    ring = queue(jax.random.key(2), ("a", "b"), 4, 5)
    np.testing.assert_allclose(np.linalg.norm(ring.codes["a"], axis=1), 1, rtol=1e-6)
    assert (ring.codes["a"] != ring.codes["b"]).any()
    start = np.asarray(ring.codes["a"])
    for k in range(3):
        fresh = {name: jnp.full((2, 4), 2.0 * k) + jnp.arange(2.0)[:, None] for name in ("a", "b")}
        ring = enqueued(ring, fresh, jnp.int32([2 * k, 2 * k + 1]))
        if k == 1:
            np.testing.assert_array_equal(ring.codes["a"][4], start[4])
            assert ring.owners.tolist() == [0, 1, 2, 3, NOBODY]
    assert ring.owners.tolist() == [5, 1, 2, 3, 4]
    assert ring.codes["b"][:, 0].tolist() == [5, 1, 2, 3, 4]
    assert int(ring.place) == 1
    assert ring.others(jnp.int32(2)).tolist() == [True, True, False, True, True]
    with pytest.raises(ValueError, match="room for 5 codes, and a batch has 6"):
        enqueued(ring, {name: jnp.zeros((6, 4)) for name in ("a", "b")}, jnp.zeros(6, jnp.int32))


def test_what_cannot_be_is_told(network, cast, pictures, tmp_path, whole):
    values = training.CAST["default"].merged(TINY)
    with pytest.raises(ValueError, match="queue is 1 and batch 2"):
        training.contrastive(network, values | {"queue": 1})
    with pytest.raises(KeyError, match="relu9_9"):
        training.contrastive(network, values | {"code_layers": ("relu9_9",)})
    with pytest.raises(KeyError, match="thawed"):
        training.contrastive(network, values | {"encoder": "thawed"})
    (tmp_path / "one").mkdir()
    PillowImage.new("RGB", (40, 40)).save(tmp_path / "one/0.png")
    one, source = jobs.open_source(tmp_path / "one"), jobs.open_source(pictures)
    with pytest.raises(ValueError, match="1 painting; this recipe tells paintings apart and needs 2"):
        training.train(cast, source, tmp_path / "run", styles=one, steps=1, batch=2, size=SIZE)
    assert not (tmp_path / "run").exists()
    other = training.contrastive(network, training.CAST["code"].merged(TINY))
    with pytest.raises(RunError, match="encoder is 'frozen' there and 'trained' here"):
        run(other, pictures, whole[1], resume=True)


def test_decoders_may_begin_with_a_trained_one(network, cast, tmp_path):
    given = stylization.initialize("decoder", jax.random.key(4), encoder=network, slimness=32)
    stylization.save(tmp_path / "m.safetensors", dataclasses.replace(given, scale=2.0), dtype=np.float32)
    values = training.CAST["default"].merged(TINY | {"start": str(tmp_path / "m.safetensors")})
    recipe = training.contrastive(network, values)
    model = recipe.model(recipe.init(jax.random.key(0)))
    features = jnp.abs(jax.random.normal(jax.random.key(1), (1, 4, 4, 512)))
    draw = jax.jit(given.architecture.apply)
    drawn = draw({"params": given.params}, features / 2.0)
    found = draw({"params": model.params}, features / model.scale)
    np.testing.assert_allclose(found, drawn, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="no decoder of this network and slimness"):
        training.contrastive(network, values | {"slimness": 16})


def test_a_published_encoder_is_trained_and_written(network, tmp_path):
    recipe = training.contrastive(network, training.CAST["code"].merged(TINY))
    state = recipe.init(jax.random.key(0))
    assert set(state["generator"]["params"]["encoder"]) == {"conv1_1", "conv2_1", "conv3_1", "conv4_1"}
    assert set(state["projector"]["params"]["network"]) == {"conv1_1", "conv2_1"}
    kernel = state["generator"]["params"]["encoder"]["conv4_1"]["kernel"]
    assert float(kernel.std()) == pytest.approx(0.02, rel=0.01)
    model = recipe.model(state)
    stylization.save(tmp_path / "m.safetensors", model, dtype=np.float32)
    found = stylization.load(tmp_path / "m.safetensors")
    picture = np.random.default_rng(3).random((16, 24, 3), np.float32)
    code = jax.jit(stylization.StyleCoder.code)
    np.testing.assert_array_equal(code(found.projector, picture), code(model.projector, picture))
    draw = jax.jit(stylization.stylize)
    np.testing.assert_array_equal(*(draw(one, picture, one.codes([picture])) for one in (found, model)))
    described = stylization.describe(tmp_path / "m.safetensors")
    assert described["encoder"]["depths"] == [1, 1, 1, 1, 0]
    json.dumps(described)
