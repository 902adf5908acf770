import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trainings
from PIL import Image as PillowImage

from jaxviz import jobs, training
from jaxviz.stylization.decoder import Decoder
from jaxviz.training.solved import RIDGE

DECODER = Decoder(depths=(1, 1, 1), slimness=16)
SCALE = 2.0


@pytest.fixture(scope="module")
def network():
    return trainings.network()


@pytest.fixture(scope="module")
def pictures():
    """Smooth ones, of 16²: every place of them is looked at."""
    random = np.random.default_rng(0)
    return [
        np.asarray(jax.image.resize(random.random((4, 4, 3), np.float32), (16, 16, 3), "linear"))
        for _ in range(6)
    ]


@pytest.fixture(scope="module")
def params(network, pictures):
    return training.solved(network, DECODER, pictures, scale=SCALE)


@pytest.fixture(scope="module")
def features(network, pictures):
    return jnp.stack([network.features(picture, ["relu4_1"])["relu4_1"] for picture in pictures]) / SCALE


def test_pictures_come_back(params, features, pictures):
    drawn = DECODER.apply({"params": params}, features)
    wanted = np.stack(pictures)
    assert np.mean((drawn - wanted) ** 2) < 0.5 * wanted.var()


def test_the_last_layer_is_the_least_of_its_squares(params, features, pictures):
    _, kept = DECODER.apply({"params": params}, features, capture_intermediates=True)
    hidden = jax.nn.relu(kept["intermediates"]["conv1_1"]["__call__"][0])  # one convolution a stage
    assert hidden.shape == (6, 16, 16, 3)
    wide = jax.nn.relu(kept["intermediates"]["conv2_1"]["__call__"][0])
    # Nearest neighbors, mirrored borders: written out, in float64, as the formula says.
    x = np.pad(np.repeat(np.repeat(wide, 2, 1), 2, 2), ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
    windows = np.concatenate([x[:, i : i + 16, j : j + 16] for i in range(3) for j in range(3)], -1)
    windows = np.concatenate([windows, np.ones((*windows.shape[:3], 1))], -1).reshape(6 * 256, -1)
    squares = windows.T.astype(np.float64) @ windows
    ridge = RIDGE * np.trace(squares) / len(squares) * np.eye(len(squares))
    found = np.linalg.solve(squares + ridge, windows.T @ (np.stack(pictures).reshape(6 * 256, 3) - 0.5))
    np.testing.assert_allclose(params["conv1_1"]["kernel"].reshape(-1, 3), found[:-1], atol=2e-3)
    np.testing.assert_allclose(params["conv1_1"]["bias"], found[-1], atol=2e-3)


def test_a_training_begins_so(network, pictures, params):
    changes = {"slimness": 16, "style_layers": {"relu1_1": 1.0}, "solved_from": 6}
    values = training.ADAIN["default"].merged(changes)
    begun = training.arbitrary(network, values, pictures=pictures).init(jax.random.key(0))
    assert jax.tree.map(jnp.shape, begun["variables"]["params"]) == jax.tree.map(jnp.shape, params)
    with pytest.raises(ValueError, match="solved_from is 6, and there are 2 pictures"):
        training.arbitrary(network, values, pictures=pictures[:2])


def test_bad_pictures_are_told(network, pictures):
    with pytest.raises(ValueError, match="there is no picture"):
        training.solved(network, DECODER, [])
    with pytest.raises(ValueError, match=r"16×12, 16×16 pixels; give pictures of one shape"):
        training.solved(network, DECODER, [pictures[0], pictures[0][:12]])
    with pytest.raises(ValueError, match="multiples of 8"):
        training.solved(network, DECODER, [pictures[0][:12]])


def test_first_squares_are_those_of_every_run(tmp_path):
    for k in range(5):
        pixels = np.random.default_rng(k).integers(0, 255, (40, 30, 3), np.uint8)
        PillowImage.fromarray(pixels).save(tmp_path / f"{k}.png")
    source = jobs.open_source(str(tmp_path))
    one, two = (training.first_squares(source, 3, 24) for _ in range(2))
    assert [square.shape for square in one] == [(24, 24, 3)] * 3
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
