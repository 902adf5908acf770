import jax
import numpy as np
import pytest
from stylizers import any_style, bank, noise

from jaxviz import colors, stylization

H, W = 20, 24


def test_a_row_goes_from_one_style_to_the_other():
    np.testing.assert_allclose(stylization.between(2, 3), [[1, 0], [0.5, 0.5], [0, 1]])


def test_a_square_has_a_style_at_each_corner_and_all_in_its_middle():
    table = stylization.between(4, 5).reshape(5, 5, 4)
    np.testing.assert_allclose([table[0, 0], table[0, 4], table[4, 0], table[4, 4]], np.eye(4))
    np.testing.assert_allclose(table[2, 2], 0.25)
    np.testing.assert_allclose(table[0, 1], [0.75, 0.25, 0, 0])
    np.testing.assert_allclose(table[1, 4], [0, 0.75, 0, 0.25])
    np.testing.assert_allclose(table.sum(-1), 1)


@pytest.mark.parametrize(("count", "steps", "words"), [(3, 5, "there are 3 styles"), (2, 1, "steps is 1")])
def test_other_sheets_are_refused(count, steps, words):
    with pytest.raises(ValueError, match=words):
        stylization.between(count, steps)


def test_where_no_style_goes_the_share_is_zero_and_the_weights_are_some():
    masks = np.zeros((2, 1, 4), np.float32)
    masks[0, 0], masks[1, 0] = [1, 0.2, 0, 1], [0, 0.2, 0, 1]
    weights, share = stylization.placed(masks)
    np.testing.assert_allclose(weights[:, 0], [[1, 0.5, 0.5, 0.5], [0, 0.5, 0.5, 0.5]])
    np.testing.assert_allclose(share[0], [1, 0.4, 0, 1])


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        ([], "expected"),
        ([np.ones((2, 2)), np.ones((2, 3))], "all the same"),
        ([np.ones((2, 2, 3))], r"expected \[h, w\]"),
        ([np.ones((2, 2)), np.zeros((2, 2))], "mask 1 is zero everywhere"),
        ([np.full((2, 2), np.nan)], "mask 0 holds NaN"),
        ([np.full((2, 2), 255.0)], "out of range"),
    ],
)
def test_masks_that_are_none_are_refused(masks, words):
    with pytest.raises(ValueError, match=words):
        stylization.placed(masks)


keep = jax.jit(stylization.recolored, static_argnames="kind")
draw = jax.jit(stylization.stylize)


@pytest.mark.parametrize("kind", ["luminance", "sqrt"])
def test_a_bank_draws_in_its_colors_which_are_exchanged_afterwards(kind):
    model, photo = bank(), noise(H, W) * np.float32([0.9, 0.5, 0.2])
    codes = model.codes(["a", "b"])
    found = keep(model, photo, codes, kind=kind, weights=np.array([0.2, 0.8]))
    drawn = draw(model, photo, codes, weights=np.array([0.2, 0.8]))
    change = colors.before if kind in colors.ROOTS else colors.after
    np.testing.assert_allclose(found, change(kind, photo, drawn), atol=1e-4)
    mean, own, style = (np.asarray(x).mean((0, 1)) for x in (found, photo, drawn))
    assert np.ptp(mean - own) < 0.5 * np.ptp(style - own)


@pytest.mark.parametrize("kind", ["pca"])
def test_a_model_of_any_style_is_given_the_pictures_colors(kind, vgg16):
    model, photo = any_style(vgg16), noise(H, W) * np.float32([0.9, 0.5, 0.2])
    style = noise(16, 20, 1) ** 3
    found = keep(model, photo, [style], kind=kind)
    seen = model.codes([colors.before(kind, photo, style)])
    drawn = draw(model, photo, seen)
    np.testing.assert_allclose(found, colors.after(kind, photo, drawn), atol=1e-4)
    assert np.abs(np.asarray(found) - np.asarray(draw(model, photo, model.codes([style])))).max() > 0.01


def test_other_ways_to_keep_colors_are_refused():
    model = bank()
    with pytest.raises(KeyError, match="no way to keep colors is named 'hue'"):
        stylization.recolored(model, noise(H, W), model.codes(["a"]), "hue")
