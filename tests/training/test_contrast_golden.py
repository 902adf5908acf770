"""Contrastive training against PyTorch: golden/contrast.npz, which golden/generate_contrast.py made."""

import dataclasses
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import contrasting as given

from jaxviz import objectives, stylization, training
from jaxviz.networks import bordered
from jaxviz.stylization import Adaptive, Decoder, Discriminator, Projector, StyleCoder
from jaxviz.stylization.projector import unit
from jaxviz.training.anew import shallow
from jaxviz.training.contrastive import PARTS, Contrastive
from jaxviz.training.passes import DOMAINS, Passes
from jaxviz.training.queue import Queue, enqueued

GOLDEN = dict(np.load(Path(__file__).parents[1] / "golden" / "contrast.npz"))
PICTURES = jnp.asarray(np.concatenate(given.pictures()) / np.float32(255))
DECODERS = dict(zip(DOMAINS, (given.decoder(21), given.decoder(22)), strict=True))
NUMBERS = jnp.asarray(given.NUMBERS)


def close(found, expected, tolerance=1e-5):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def mirrored(key, image):
    return image[:, ::-1]


def passes(vgg16, kind="paper"):
    """The networks of the golden values, without weights but the shipped ones."""
    encoder, scales, layers = bordered(vgg16, "reflect"), given.SCALES, given.LAYERS
    before = encoder
    if kind == "code":
        layers, scales = given.DEEPER, dict.fromkeys((*given.DEEPER, "relu4_1"), 1.0)
        encoder, before = shallow(encoder, ["relu4_1"]), shallow(encoder, layers)
    coder = StyleCoder({}, before, Projector(layers, given.CODE), tuple((k, scales[k]) for k in layers))
    model = Adaptive({}, encoder, Decoder(slimness=16), scales["relu4_1"], projector=coder)
    return Passes(model, Discriminator(given.WIDTH, kind == "paper"), mirrored, kind == "paper")


def ring(layers):
    codes = {layer: unit(jnp.asarray(given.queue()[layer])) for layer in layers}
    return Queue(codes, jnp.asarray(given.OWNERS), jnp.int32(given.PLACE))


@functools.partial(jax.jit, static_argnums=0)
def drawings(of, encoder, decoders, pictures):
    return of.drawings(encoder, decoders, pictures)


@pytest.fixture(scope="module")
def made(vgg16):
    return drawings(passes(vgg16), vgg16.params, DECODERS, PICTURES)


def test_decoders_draw_there_and_back(made):
    for name, found in (("drawn", made[0].drawn), ("back", made[0].back)):
        close(found, GOLDEN[name].reshape(found.shape))
    cycle = 4.0 * 2 * np.abs(np.asarray(made[0].back) - PICTURES).mean()
    assert cycle == pytest.approx(GOLDEN["paper/cycle"], rel=1e-5)


@pytest.fixture(scope="module")
def codes(made, vgg16):
    """Of the pictures, and of what is cut out of them."""
    of, projector = passes(vgg16), given.projector(given.LAYERS)
    cut = jax.jit(of.cropped)(vgg16.params, PICTURES, jax.random.key(0))
    return [jax.jit(of.codes)(projector, pooled) for pooled in (made[1], cut)]


def test_the_projector_reads_means_and_maxima(codes):
    for layer in given.LAYERS:
        found = codes[0][layer][given.BATCH :]
        close(found, GOLDEN[f"codes/{layer}"])
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)


def test_codes_are_told_from_those_of_other_paintings(codes):
    kept, half = ring(given.LAYERS), given.BATCH
    losses = []
    for k in range(2 * half):
        own, part = ({layer: code[k] for layer, code in one.items()} for one in codes)
        counted = None if k < half else kept.others(NUMBERS[k - half])
        losses.append(objectives.contrast(part, kept.codes, counted=counted)(own))
    assert float(sum(losses)) / (2 * half) == pytest.approx(float(GOLDEN["paper/projector"]), rel=1e-5)
    fresh = {layer: code[half:] for layer, code in codes[0].items()}
    after = enqueued(kept, fresh, NUMBERS)
    assert after.owners.tolist() == GOLDEN["paper owners"].tolist()
    for layer in given.LAYERS:
        close(after.codes[layer], GOLDEN[f"paper queue/{layer}"])


@pytest.mark.parametrize("blurred", [True, False])
def test_a_discriminator_scores_parts(blurred):
    module = Discriminator(given.WIDTH, blurred)
    found = jax.jit(module.apply)({"params": given.discriminator(23)}, PICTURES[: given.BATCH])
    close(found, GOLDEN[f"scores {blurred}"])


def test_discriminators_are_taught_by_hinges(made, vgg16):
    judges = dict(zip(DOMAINS, (given.discriminator(23), given.discriminator(24)), strict=True))
    scored = jax.jit(passes(vgg16).scores)
    sides = zip(scored(judges, PICTURES), scored(judges, made[0].drawn), strict=True)
    loss = sum(stylization.hinge(real) + stylization.hinge(false, -1.0) for real, false in sides) / 4
    assert float(loss) == pytest.approx(float(GOLDEN["paper/discriminators"]), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["paper", "code"])
def test_a_step_is_that_of_pytorch(kind, vgg16):
    of, paper = passes(vgg16, kind), kind == "paper"
    layers = given.LAYERS if paper else given.DEEPER
    values = training.CAST[kind].values | {"queue": given.ROOM, "batch": given.BATCH}
    weights = {name: jnp.float32(value) for name, value in given.WEIGHTS.items()}
    encoder = dict(vgg16.params) if paper else {}
    recipe = Contrastive(of, values, {"encoder": encoder, "weights": weights}, None, {}, {})
    judges = dict(zip(DOMAINS, (given.discriminator(23), given.discriminator(24)), strict=True))
    own = {} if paper else {"encoder": given.encoder("relu4_1", 25)}
    before = {} if paper else {"network": given.encoder("relu4_2", 26)}
    parts = (DECODERS | own, {"coder": given.projector(layers)} | before, judges)
    optimizer = recipe._optimizer()
    state = {
        name: {"params": params, "memory": optimizer.init(params)}
        for name, params in zip(PARTS, jax.tree.map(jnp.asarray, parts), strict=True)
    }
    state |= {"queue": ring(layers)}
    content, style = given.pictures()
    batch = {"content": content, "style": style, "style_numbers": np.int32(given.NUMBERS)}
    after, told = jax.jit(recipe.step)(recipe.frozen, state, batch, jax.random.key(0))
    for name, value in told.items():
        # Before codes are compared, Adam has moved weights that have no derivative by the sign of rounding.
        tolerance = 1e-4 if name == "contrast" else 1e-5
        assert float(value) == pytest.approx(float(GOLDEN[f"{kind}/{name}"]), rel=tolerance), name
    for layer in layers:
        close(after["queue"].codes[layer], GOLDEN[f"{kind} queue/{layer}"])
    assert int(after["queue"].place) == (given.PLACE + given.BATCH) % given.ROOM
    # The first moment of Adam after one step is half the derivative. Of decoders it is limited by decisions: where
    # weights move by 3e-7, a winner of pooling changes, and with it this one, by half a percent, there and back.
    for part, path, tolerance in (
        ("discriminators", ("discriminators", "photographs", "conv2"), 1e-4),
        ("projector", ("projector", "coder", "relu2_2_1"), 1e-3),
        ("photographs", ("generator", "photographs", "conv2_2"), 1e-2),
        ("paintings", ("generator", "paintings", "conv3_1"), 1e-2),
        ("encoder", ("generator", "encoder", "conv1_1"), 1e-2),
    ):
        if f"{kind} slope/{part}" in GOLDEN:
            first = after[path[0]]["memory"][0].mu[path[1]][path[2]]["kernel"]
            close(2 * first, GOLDEN[f"{kind} slope/{part}"], tolerance)


def test_a_network_ends_where_it_is_read(vgg16):
    short = shallow(vgg16, ["relu2_1", "relu3_2"])
    assert short.architecture.depths == (2, 2, 2, 0, 0)
    assert set(short.params) == {"conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2"}
    whole = dataclasses.replace(short, params={name: vgg16.params[name] for name in short.params})
    picture = PICTURES[0]
    found, expected = (one.features(picture, ["relu3_2"])["relu3_2"] for one in (whole, vgg16))
    np.testing.assert_array_equal(found, expected)
