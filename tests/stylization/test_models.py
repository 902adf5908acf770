import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stylizers import any_style, bank, noise

from jaxviz import stylization
from jaxviz.stylization.layers import moments
from jaxviz.stylization.models import adapted

H, W = 24, 28
jitted = jax.jit(stylization.stylize)


def draw(model, image, codes, weights=None, alpha=1.0):
    """The same program for all numbers of one shape."""
    count = jax.tree.leaves(codes)[0].shape[0]
    shares = jnp.full(count, 1 / count) if weights is None else jnp.asarray(weights, jnp.float32)
    return jitted(model, jnp.asarray(image), codes, weights=shares, alpha=jnp.float32(alpha))


@pytest.fixture(scope="module")
def model():
    return bank()


@pytest.fixture(scope="module")
def decoder(vgg16):
    return any_style(vgg16)


@pytest.fixture(scope="module")
def photo():
    return noise(H, W)


def close(found, expected, atol=2e-5):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=atol)


def differ(a, b):
    return float(np.abs(np.asarray(a) - np.asarray(b)).max()) > 0.02


def test_the_styles_of_the_bank_differ(model, photo):
    """Else nothing below could fail."""
    drawn = [draw(model, photo, model.codes([name])) for name in model.styles]
    assert all(differ(a, b) for i, a in enumerate(drawn) for b in drawn[:i])
    assert all(np.isfinite(one).all() and one.min() >= 0 and one.max() <= 1 for one in drawn)


def test_a_row_of_the_bank_is_its_style(model, photo):
    every = model.codes()
    for k, name in enumerate(model.styles):
        close(draw(model, photo, every, weights=np.eye(4)[k]), draw(model, photo, model.codes([name])))
    two = model.codes(["d", "b"])
    close(draw(model, photo, two, weights=np.array([0.0, 1])), draw(model, photo, model.codes(["b"])))


def test_weights_are_divided_by_their_sum_and_none_are_equal_ones(model, photo):
    codes = model.codes(["a", "c"])
    expected = draw(model, photo, codes, weights=np.array([0.3, 0.7]))
    close(draw(model, photo, codes, weights=np.array([3.0, 7.0])), expected)
    close(jitted(model, photo, codes), draw(model, photo, codes, weights=np.array([0.5, 0.5])))
    assert differ(draw(model, photo, codes), expected)


@pytest.mark.parametrize("kind", ["model", "decoder"])
def test_masks_that_are_flat_are_weights(kind, photo, request):
    found = request.getfixturevalue(kind)
    codes = found.codes(["a", "c"] if kind == "model" else [noise(20, 20, 1) ** 2, noise(16, 18, 2)])
    masks = np.stack([np.full((H, W), 0.3), np.full((H, W), 0.7)])
    expected = draw(found, photo, codes, weights=np.array([0.3, 0.7]))
    close(draw(found, photo, codes, weights=masks), expected)
    close(draw(found, photo, codes, weights=0.5 * masks), expected)


def test_masks_put_each_style_at_its_place(model, photo):
    codes, left = model.codes(["a", "c"]), np.zeros((H, W), np.float32)
    left[:, : W // 2] = 1
    both = np.asarray(draw(model, photo, codes, weights=np.stack([left, 1 - left])))
    a, c = (np.asarray(draw(model, photo, model.codes([name]))) for name in "ac")

    def distance(part, other):
        return np.abs(both[:, part] - other[:, part]).mean()

    west, east = slice(0, 6), slice(W - 6, W)
    assert distance(west, a) < 0.8 * distance(west, c)
    assert distance(east, c) < 0.8 * distance(east, a)


def test_alpha_goes_from_the_picture_to_the_style(model, photo):
    codes = model.codes(["b"])
    close(draw(model, photo, codes, alpha=0.0), photo)
    whole = draw(model, photo, codes)
    close(draw(model, photo, codes, alpha=1.0), whole)
    close(draw(model, photo, codes, alpha=0.25), 0.75 * photo + 0.25 * np.asarray(whole))


def test_alpha_0_of_any_style_is_no_style(decoder, photo):
    one, other = (decoder.codes([style]) for style in (noise(16, 16, 1) ** 3, noise(16, 16, 2)))
    close(draw(decoder, photo, one, alpha=0.0), draw(decoder, photo, other, alpha=0.0))
    assert differ(draw(decoder, photo, one), draw(decoder, photo, other))


def test_features_get_the_moments_of_the_style(decoder):
    features = np.random.default_rng(0).normal(1, 2, (6, 5, 512)).astype(np.float32)
    codes = decoder.codes([noise(24, 24, 3)])
    mean, variance = moments(adapted(jnp.asarray(features), codes, jnp.ones(1))[None], (1, 2))
    close(mean[0, 0, 0], codes["mean"][0], 1e-3)
    close(jnp.sqrt(variance[0, 0, 0]), codes["deviation"][0], 1e-2)


@pytest.mark.parametrize("size", [(17, 23), (16, 16)])
def test_odd_sizes_are_parts_of_mirrored_pictures(model, size):
    (h, w), codes = size, model.codes(["a"])
    whole = np.pad(noise(h, w), ((0, -h % 4), (0, -w % 4), (0, 0)), mode="reflect")
    found = draw(model, noise(h, w), codes)
    assert found.shape == (h, w, 3)
    close(found, draw(model, whole, codes)[:h, :w])


def test_a_flat_picture_gets_no_frame():
    # By batch normalization: that of each picture divides by what a flat one has not, and draws its rounding.
    model = bank(norm="batch", styles=("a",))
    drawn = np.asarray(draw(model, np.full((H, W, 3), 0.25, np.float32), model.codes(["a"])))
    assert np.ptp(drawn, (0, 1)).max() < 2e-3


def test_borders_are_drawn_like_the_rest(model):
    drawn = np.mean([np.asarray(draw(model, noise(H, W, k), model.codes(["a"]))) for k in range(8)], 0)
    inside = drawn[4:-4, 4:-4]
    # With zeros outside in the place of mirrored borders one of the four is off by 1.0.
    for ring in (drawn[:2], drawn[-2:], drawn[:, :2], drawn[:, -2:]):
        assert abs(ring.mean() - inside.mean()) < 0.4 * inside.std()


def test_a_flat_picture_gets_no_frame_of_any_style(decoder):
    drawn = draw(decoder, np.full((H, 32, 3), 0.25, np.float32), decoder.codes([noise(16, 16)]))
    assert np.ptp(np.asarray(drawn), (0, 1)).max() < 2e-3
    assert np.ptp(np.asarray(draw(decoder, noise(H, 32), decoder.codes([noise(16, 16)])))) > 0.05


def test_mapped_is_one_after_the_other(model):
    pictures = np.stack([noise(H, W, k) for k in range(3)])
    codes, weights = model.codes(), np.random.default_rng(0).random((3, 4)).astype(np.float32)
    mapped = jax.jit(jax.vmap(lambda m, x, w: stylization.stylize(m, x, codes, weights=w), (None, 0, 0)))
    for found, x, w in zip(mapped(model, pictures, weights), pictures, weights, strict=True):
        close(found, draw(model, x, codes, weights=w))


def test_new_numbers_compile_nothing(model, photo):
    draw(model, photo, model.codes(["a", "b"]), weights=[0.5, 0.5], alpha=0.5)
    before = jitted._cache_size()
    other = dataclasses.replace(model, params=jax.tree.map(lambda leaf: leaf + 1, model.params))
    draw(other, 1 - photo, model.codes(["d", "c"]), weights=[0.1, 0.9], alpha=0.25)
    assert jitted._cache_size() == before
    draw(model, photo[:20], model.codes(["a", "b"]))
    assert jitted._cache_size() == before + 1


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (noise(15, 40), "image has 40×15 pixels; expected at least 16×16"),
        (np.full((20, 20, 3), 2.0, np.float32), r"values in \[2, 2\]; expected \[0, 1\]"),
        (np.full((20, 20, 3), np.nan, np.float32), "NaN"),
    ],
)
def test_what_is_no_picture_is_refused(model, image, words):
    with pytest.raises(ValueError, match=words):
        stylization.stylize(model, image, model.codes(["a"]))


def spoiled(value):
    masks = np.ones((2, H, W), np.float32)
    masks[:, 3, 4] = value
    return masks


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1.0], "1 shares for 2 styles"),
        ([1.0, -1.0], "share of style 1"),
        ([0.0, 0.0], "all shares are zero"),
        ([1.0, float("nan")], "share of style 1"),
        (np.ones((2, H, W + 1)), rf"shape \[2, {H}, {W + 1}\]; expected \[2, {H}, {W}\]"),
        (np.ones((3, H, W)), "one mask of the picture's size for each style"),
        (spoiled(np.nan), "masks hold NaN"),
        (spoiled(-1), "negative"),
        (spoiled(0), "zero in all styles at some pixels"),
    ],
)
def test_wrong_weights_are_refused(model, photo, weights, words):
    with pytest.raises(ValueError, match=words):
        stylization.stylize(model, photo, model.codes(["a", "b"]), weights=weights)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_wrong_alphas_are_refused(model, photo, alpha):
    with pytest.raises(ValueError, match="alpha is"):
        stylization.stylize(model, photo, model.codes(["a"]), alpha=alpha)


def test_styles_that_a_model_has_no_use_for_are_refused(model, decoder):
    with pytest.raises(KeyError, match="no style is named 'e'; there are: a, b, c, d"):
        model.codes(["e"])
    with pytest.raises(ValueError, match="knows the styles a, b, c, d and no others"):
        model.codes([noise(16, 16)])
    with pytest.raises(ValueError, match="give at least one"):
        decoder.codes([])
    with pytest.raises(ValueError, match="style 'a' is a name"):
        decoder.codes(["a"])
    with pytest.raises(ValueError, match="style has 8×20 pixels"):
        decoder.codes([noise(20, 8)])


def test_kinds_of_models_are_known():
    with pytest.raises(KeyError, match="no kind of model is named 'gan'"):
        stylization.initialize("gan", jax.random.key(0))
    with pytest.raises(ValueError, match="a decoder needs encoder="):
        stylization.initialize("decoder", jax.random.key(0))
