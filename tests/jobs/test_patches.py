"""The strongest units of a run, and what they see."""

from pathlib import Path

import numpy as np
import pytest

import jaxviz
from jaxviz import images, jobs
from jaxviz.jobs.patches import crop
from jaxviz.jobs.reading import Reader
from jaxviz.networks import compiled_features

DATA = Path(__file__).parents[1] / "data"
SOURCE = "tfds:drawn"
CHANNELS = (3, 40, 7)
LAYER = "fire3"


@pytest.fixture(scope="module")
def run(tmp_path_factory, squeezenet):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(DATA))
        folder = tmp_path_factory.mktemp("patches")
        task = jobs.strongest(squeezenet, LAYER, CHANNELS, size=64)
        # Several shards, so that the best of one must stand against those of the next.
        jobs.run(task, SOURCE, out=folder / "run", shard=6)
        yield folder / "run", jobs.open_source(SOURCE)


def test_the_strongest_are_those_of_all_pictures(run, squeezenet):
    folder, source = run
    reader = Reader(source, jobs.Square(64), images.MAX_PIXELS)
    taps = np.stack(
        [
            compiled_features(squeezenet, images.to_floats(reader(k).pixels), (LAYER,))[LAYER]
            for k in range(len(source))
        ]
    )
    found = jobs.read_strongest(folder, 5)
    assert found.strength.shape == found.index.shape == (3, 5)
    for row, channel in enumerate(CHANNELS):
        peaks = taps[..., channel].max((1, 2))
        expected = np.argsort(-peaks, kind="stable")[:5]
        np.testing.assert_allclose(found.strength[row], peaks[expected], rtol=1e-4)
        for index, (y, x), strength in zip(
            found.index[row], found.place[row], found.strength[row], strict=True
        ):
            assert taps[index, y, x, channel] == pytest.approx(strength, rel=1e-4)


def test_more_than_there_are_gives_all(run):
    folder, source = run
    assert jobs.read_strongest(folder, 99).index.shape == (3, len(source))


def test_patches_are_the_receptive_fields(run, squeezenet):
    folder, source = run
    found = jobs.read_strongest(folder, 2)
    made = jobs.cut_patches(squeezenet, source, found, LAYER, CHANNELS, size=64)
    field = jaxviz.features.receptive_field(squeezenet, LAYER)
    assert made.pictures.shape == made.reliefs.shape == (3, 2, *field.size, 3)
    reader = Reader(source, jobs.Square(64), images.MAX_PIXELS)
    picture = images.to_floats(reader(int(found.index[0, 0])).pixels)
    (top, bottom), (left, right) = field.box(*map(int, found.place[0, 0]))
    seen = picture[max(top, 0) : bottom, max(left, 0) : right]
    inside = made.pictures[0, 0][max(-top, 0) :, max(-left, 0) :][: seen.shape[0], : seen.shape[1]]
    np.testing.assert_array_equal(inside, seen)
    assert np.abs(made.reliefs).max() > 0


def test_what_lies_beyond_the_border_is_white_and_long_fields_are_the_picture():
    picture = np.zeros((10, 8, 3), np.float32)
    field = jaxviz.features.ReceptiveField((4, 4), (2, 2), (0.0, 0.0))
    found = crop(picture, field, (0, 0), 1.0)
    assert found.shape == (4, 4, 3)
    assert found[:2].min() == found[:, :2].min() == 1
    assert found[2:, 2:].max() == 0
    wide = jaxviz.features.ReceptiveField((4, 99), (2, 2), (0.0, 0.0))
    assert crop(picture, wide, (1, 0), 1.0).shape == (4, 8, 3)


def test_features_of_a_run_come_back_in_order(tmp_path, squeezenet, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(DATA))
    jobs.run(jobs.features(squeezenet, ["fire3"], size=48, pool=True), SOURCE, out=tmp_path / "run", shard=6)
    points, index = jobs.read_features(tmp_path / "run", "fire3")
    assert points.shape == (20, 128)
    assert index.tolist() == list(range(20))
    with pytest.raises(jobs.RunError, match="has no features of 'fire9'"):
        jobs.read_features(tmp_path / "run", "fire9")
    with pytest.raises(jobs.RunError, match="has no answers"):
        jobs.read_strongest(tmp_path / "run")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda n: jobs.strongest(n, "fire99"), "nearest"),
        (lambda n: jobs.strongest(n, "logits"), "has no positions"),
        (lambda n: jobs.strongest(n, "fire3", [128]), "no channel 128; it has 128"),
        (lambda n: jobs.strongest(n, "fire3", [1, 1]), "name each once"),
        (lambda n: jobs.strongest(n, "fire3", []), "at least one"),
    ],
)
def test_tasks_are_checked_when_they_are_made(make, message, squeezenet):
    with pytest.raises((KeyError, ValueError), match=message):
        make(squeezenet)
