import glob

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxviz import images, stylization


def waves(rng, size, amount):
    """Noise of low frequency, as what a network draws anew in each frame."""
    small = rng.normal(size=(3, 6, 8)).astype(np.float32)
    large = [Image.fromarray(c).resize(size[::-1], Image.Resampling.BICUBIC) for c in small]
    return amount * np.stack([np.asarray(c) for c in large], -1)


@pytest.fixture(scope="module")
def pan(picture):
    """A film: a window that moves over a picture by (1, 2) pixels a frame."""
    whole = np.asarray(picture("coffee", 160), np.float32)
    return [whole[20 + k : 84 + k, 10 + 2 * k : 106 + 2 * k] for k in range(12)]


@pytest.fixture(scope="module")
def unsteady(pan):
    rng = np.random.default_rng(0)
    return [np.clip(0.1 + 0.8 * frame + waves(rng, frame.shape[:2], 0.08), 0, 1) for frame in pan]


def shown(frames, styled, steadiness):
    steady = stylization.Steady(steadiness)
    return [np.asarray(steady(*pair)) for pair in zip(frames, styled, strict=True)], steady


def test_flicker_falls_and_the_picture_stays(pan, unsteady):
    made, steady = shown(pan, unsteady, 0.8)
    before, after = stylization.flicker(pan, unsteady), stylization.flicker(pan, made)
    assert after < 0.3 * before
    np.testing.assert_allclose(steady.flicker, (before, after), rtol=1e-4)
    # What is steady is also nearer to the drawing without noise, moved with the film: it is not blurred away.
    clean = [0.1 + 0.8 * frame for frame in pan]
    inner = (slice(8, -8), slice(8, -8))

    def apart(drawn):
        return (
            np.mean(
                [np.square(a[inner] - b[inner]).mean() for a, b in zip(drawn[6:], clean[6:], strict=True)]
            )
            ** 0.5
        )

    assert apart(made) < 0.6 * apart(unsteady)
    # And each more than a weaker one.
    assert stylization.flicker(pan, shown(pan, unsteady, 0.4)[0]) > 1.5 * after


def test_a_steady_film_stays_as_it_is(pan):
    made, _ = shown(pan, pan, 0.8)
    apart = np.abs(made[-1] - pan[-1])[8:-8, 8:-8]
    assert apart.mean() < 0.006
    sharp = [np.abs(np.diff(x, axis=1)).mean() for x in (pan[-1], made[-1])]
    assert sharp[1] > 0.93 * sharp[0]


@pytest.mark.parametrize("steadiness", [0.8, 1.0])
def test_a_moving_box_leaves_no_ghost(picture, steadiness):
    ground = np.asarray(picture("coffee", 96), np.float32)[:64]
    box = np.random.default_rng(1).random((20, 20, 3), np.float32)
    frames = []
    for k in range(8):
        frame = ground.copy()
        frame[20:40, 4 + 6 * k : 24 + 6 * k] = box
        frames.append(frame)
    made, _ = shown(frames, frames, steadiness)
    apart = np.abs(made[-1] - frames[-1]).mean(-1)
    assert apart.mean() < 0.008
    # Where the box has been, and is no longer.
    assert apart[20:40, :40].mean() < 0.03
    # Without the mask it would be there.
    naive = frames[0]
    for frame in frames[1:]:
        naive = 0.8 * naive + 0.2 * frame
    assert np.abs(naive - frames[-1]).mean(-1)[20:40, :40].mean() > 0.07


def test_no_steadiness_is_no_change_to_the_bit(pan, unsteady):
    made, steady = shown(pan, unsteady, 0.0)
    np.testing.assert_array_equal(made, unsteady)
    assert steady.flicker[0] == steady.flicker[1] > 0
    assert not steady.active
    assert stylization.Steady().flicker == (0, 0)


def test_flicker_of_a_still_film_is_known():
    rng = np.random.default_rng(0)
    still = [rng.random((64, 96, 3), np.float32)] * 3
    outputs = [np.full((64, 96, 3), value, np.float32) for value in (0.5, 0.6, 0.4)]
    assert stylization.flicker(still, outputs) == pytest.approx(0.15, abs=1e-4)
    assert stylization.flicker(still, still) == 0


def test_wrong_films_are_refused(pan):
    with pytest.raises(ValueError, match="flicker is between frames; give two or more"):
        stylization.flicker(pan[:1], pan[:1])
    with pytest.raises(ValueError, match="have 96×64 and 48×64 pixels; expected the same"):
        stylization.flicker(pan, [frame[:, :48] for frame in pan])
    with pytest.raises(ValueError, match="zip"):
        stylization.flicker(pan, pan[:3])
    for steadiness in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"steadiness is .*; expected a number in \[0, 1\]"):
            stylization.Steady(steadiness)


@pytest.fixture(scope="module")
def model():
    return stylization.initialize("transformer", jax.random.key(0), styles=("a", "b"), width=4, blocks=1)


def test_a_film_is_its_frames_and_batches_change_nothing(pan, model):
    codes, some = model.codes(), [images.to_bytes(frame) for frame in pan[:5]]

    def made(**more):
        return list(stylization.film(model, iter(some), codes, weights=[1, 3], alpha=0.7, **more))

    alone = [
        stylization.stylize(model, jnp.asarray(images.to_floats(x)), codes, weights=[1, 3], alpha=0.7)
        for x in some
    ]
    np.testing.assert_allclose(made(), alone, atol=1e-5)
    for steadiness in (0.0, 0.8):
        whole = made(steadiness=steadiness)
        assert len(whole) == 5
        for batch in (1, 3):
            np.testing.assert_allclose(made(steadiness=steadiness, batch=batch), whole, atol=1e-5)
    steady = stylization.Steady(0.8)
    made(steadiness=steady)
    assert steady.flicker[1] < steady.flicker[0]


def test_a_film_is_drawn_as_it_is_taken(pan, model):
    taken = []

    def frames():
        for k in range(100):
            taken.append(k)
            yield pan[k % 12]

    film = stylization.film(model, frames(), model.codes(["a"]), batch=2)
    next(film)
    assert len(taken) == 2


def test_wrong_frames_are_refused(pan, model):
    codes = model.codes(["a"])
    with pytest.raises(ValueError, match="a frame has 48×64 pixels; expected 96×64, as the first one has"):
        list(stylization.film(model, [pan[0], pan[1][:, :48]], codes))
    with pytest.raises(ValueError, match="batch is 0"):
        stylization.film(model, pan, codes, batch=0)
    with pytest.raises(ValueError, match="steadiness is 2"):
        stylization.film(model, pan, codes, steadiness=2)
    assert list(stylization.film(model, [], codes)) == []


@pytest.mark.data
def test_flicker_of_a_real_film_falls(data):
    paths = sorted(glob.glob(f"{data}/video/mountain/*.jpg"))[:16]
    frames, rng = [images.read(path) for path in paths], np.random.default_rng(0)
    styled = [np.clip(frame + waves(rng, frame.shape[:2], 0.08), 0, 1) for frame in frames]
    made, steady = shown(frames, styled, 0.8)
    assert steady.flicker[1] < 0.3 * steady.flicker[0]
    noise, left = (np.sqrt(np.mean(np.square(x[-1] - frames[-1]))) for x in (styled, made))
    assert left < 0.6 * noise
