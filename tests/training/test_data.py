import numpy as np
import pytest
from PIL import Image as PillowImage

from jaxviz import jobs
from jaxviz.training.data import Crop, batches


@pytest.fixture
def folder(tmp_path):
    for k in range(6):
        # Each picture is a ramp of its own green, so that cuts can be told apart.
        ramp = np.arange(48, dtype=np.uint8)[None].repeat(40, 0)
        pixels = np.stack([ramp, np.full_like(ramp, 40 * k), ramp], -1)
        PillowImage.fromarray(pixels).save(tmp_path / f"{k}.png")
    return tmp_path


def first(folder, count, **changes):
    stream = batches(Crop(jobs.open_source(folder), 32), **{"batch": 3, "seed": 0} | changes)
    return [next(stream)["pictures"] for _ in range(count)]


def test_batches_depend_on_seed_and_number_alone(folder):
    unbroken = first(folder, 5)
    assert unbroken[0].shape == (3, 32, 32, 3)
    assert unbroken[0].dtype == np.uint8
    later = first(folder, 2, start=3, workers=1)
    assert all((a == b).all() for a, b in zip(unbroken[3:], later, strict=True))
    assert any((a != b).any() for a, b in zip(unbroken, first(folder, 5, seed=1), strict=True))


def test_each_picture_comes_once_an_epoch_in_another_order(folder):
    made = first(folder, 4)
    greens = [round(float(one[..., 1].mean()) / 40) for batch in made for one in batch]
    assert sorted(greens[:6]) == sorted(greens[6:]) == list(range(6))
    assert greens[:6] != greens[6:]


def test_squares_are_cut_at_random_and_mirrored(folder):
    squares = [one for batch in first(folder, 8) for one in batch]
    rising = {bool(one[0, -1, 0] > one[0, 0, 0]) for one in squares}
    assert rising == {True, False}
    assert len({int(one[..., 0].min()) for one in squares}) > 2


def test_pictures_that_cannot_be_read_give_way_to_others(folder):
    (folder / "3.png").write_text("no picture")
    crop = Crop(jobs.open_source(folder), 32)
    stream = batches(crop, batch=3, seed=0)
    made = [next(stream) for _ in range(2)]
    assert list(crop.failures) == ["3.png"]
    for batch in made:  # and tell which ones these are
        greens = [round(float(one[..., 1].mean()) / 40) for one in batch["pictures"]]
        assert batch["numbers"].tolist() == greens
    assert sorted(np.concatenate([batch["numbers"] for batch in made]).tolist()) == [0, 1, 2, 4, 4, 5]
    for path in folder.glob("*.png"):
        path.write_text("no picture")
    with pytest.raises(ValueError, match="none of 6 pictures can be read"):
        next(batches(Crop(jobs.open_source(folder), 32), batch=3, seed=0))


def test_small_pictures_are_enlarged(tmp_path):
    PillowImage.new("L", (1, 1), 128).save(tmp_path / "dot.png")
    square = Crop(jobs.open_source(tmp_path), 32)(0, np.random.default_rng(0))
    assert square.shape == (32, 32, 3)
    assert (square == 128).all()
