import numpy as np
import pytest

from jaxviz.drawing import maps, plots

RANDOM = np.random.default_rng(0)


def test_heat_map_goes_from_black_to_bright():
    shown = maps.heat_map(np.linspace(0, 1, 50, dtype=np.float32)[None], percentile=100.0)
    assert shown.shape == (1, 50, 3)
    assert shown.dtype == np.float32
    assert shown[0, 0].max() < 0.02
    assert (np.diff(shown[0] @ (0.299, 0.587, 0.114)) > 0).all()


def test_heat_map_does_not_depend_on_the_unit():
    values = RANDOM.random((8, 8), np.float32)
    np.testing.assert_allclose(maps.heat_map(values), maps.heat_map(values * 512), atol=1e-6)


def test_one_bright_pixel_does_not_darken_the_rest():
    values = np.ones((20, 20), np.float32)
    values[0, 0] = 1000
    shown = maps.heat_map(values)
    np.testing.assert_array_equal(shown[5, 5], shown[0, 0])


def test_heat_map_of_zeros_is_black():
    assert maps.heat_map(np.zeros((3, 4), np.float32)).max() < 0.02


def test_overlay_covers_the_grey_picture_where_values_are_large():
    picture, values = RANDOM.random((5, 6, 3), np.float32), np.zeros((5, 6), np.float32)
    values[1, 2], values[3, 4] = 1.0, 0.25
    mixed = maps.overlay(picture, values, percentile=100.0)
    assert mixed.dtype == np.float32
    grey = np.broadcast_to(picture.mean(-1, keepdims=True), picture.shape).copy()
    colors = maps.heat_map(values, percentile=100.0)
    for at in ((1, 2), (3, 4)):
        grey[at] = (1 - values[at]) * grey[at] + values[at] * colors[at]
    np.testing.assert_allclose(mixed, grey, atol=1e-6)


def test_overlay_of_zeros_is_the_grey_picture():
    picture = RANDOM.random((5, 6, 3), np.float32)
    shown = maps.overlay(picture, np.zeros((5, 6), np.float32))
    np.testing.assert_allclose(shown, picture.mean(-1, keepdims=True).repeat(3, -1), atol=1e-6)


def test_difference_is_enlarged_around_grey_and_clipped():
    before = np.full((1, 3, 3), 0.5, np.float32)
    after = before + np.array([0, 0.01, -0.4], np.float32)[None, :, None]
    shown = maps.difference(before, after)
    np.testing.assert_allclose(shown[0, :, 0], [0.5, 0.6, 0], atol=1e-6)
    assert shown.dtype == np.float32


@pytest.mark.parametrize(
    "losses", [[], [1.0], [3.0, 5.0, 0.1], [1.0, np.nan, 0.5], [0.0, 0.0], [-1.0, -2.0], [np.nan, np.nan]]
)
def test_every_curve_of_losses_can_be_drawn(losses):
    shown = plots.loss_plot(losses)
    assert shown.shape == (384, 600, 3)
    assert shown.dtype == np.uint8
    assert (shown == 255).mean() > 0.5


def test_plot_marks_what_was_rejected():
    losses = np.array([4.0, 9.0, 1.0, np.nan, 3.0, 1.0])
    plain, marked = plots.loss_plot(losses), plots.loss_plot(losses, rejections=3)
    red = [(shown[..., 0].astype(int) - shown[..., 2] > 100).sum() for shown in (plain, marked)]
    assert red[0] == 0 < red[1]
    falling = losses[[0, 2, 5]]
    np.testing.assert_array_equal(plots.loss_plot(falling), plots.loss_plot(falling, rejections=3))


def test_plot_shows_its_title_and_its_curve():
    plain = plots.loss_plot(np.array([4.0, 1.0]))
    assert (plain != plots.loss_plot(np.array([4.0, 1.0]), title="texture")).any()
    assert (plain != plots.loss_plot(np.array([4.0, 2.0, 1.0]))).any()
