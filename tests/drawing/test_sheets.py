import numpy as np
import pytest

from jaxviz.drawing import sheets

RANDOM = np.random.default_rng(0)


def test_grey_is_zero_and_the_largest_weight_is_full():
    kernels = np.zeros((4, 2, 2, 3), np.float32)
    kernels[0, 0, 0] = (2, -2, 1)
    kernels[1, 1, 1] = (0.5, 0, 0)
    drawn = {scale: sheets.color_filters(kernels, scale=scale) for scale in sheets.SCALES}
    tile, at = 240, sheets.MARGIN
    for shown in drawn.values():
        np.testing.assert_allclose(shown[at, at], (1, 0, 0.75), atol=1 / 255)
        np.testing.assert_allclose(shown[at, at + tile - 1], 0.5, atol=1 / 255)
        np.testing.assert_allclose(shown[at + tile + sheets.GAP, at], 0.5, atol=1 / 255)
    second = (at + tile - 1, at + 2 * tile + sheets.GAP - 1)
    np.testing.assert_allclose(drawn["each"][second], (1, 0.5, 0.5), atol=1 / 255)
    np.testing.assert_allclose(drawn["common"][second], (0.625, 0.5, 0.5), atol=1 / 255)


def test_an_unknown_scale_is_refused():
    with pytest.raises(KeyError, match="no scale is named 'both'; there are: each, common"):
        sheets.kernel_blocks(np.ones((1, 1, 1, 2), np.float32), scale="both")


def test_blocks_are_limited():
    kernels = RANDOM.normal(size=(40, 3, 3, 40)).astype(np.float32)
    whole = sheets.kernel_blocks(kernels)
    few = sheets.kernel_blocks(kernels[:16, ..., :16])
    np.testing.assert_array_equal(whole, few)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 2), (13, 13, 7), (30, 200, 12), (500, 400, 5)])
@pytest.mark.parametrize("low", [0, -1])
def test_maps_of_all_shapes_fit_on_a_page(shape, low):
    maps = RANDOM.uniform(low, 1, shape).astype(np.float32)
    shown = sheets.activation_maps(maps, np.arange(shape[2]), caption="some words about it " * 9)
    assert shown.dtype == np.float32
    assert 300 < shown.shape[1] <= 2000
    assert shown.min() >= 0
    assert shown.max() <= 1


def test_maps_are_drawn_in_the_order_given():
    maps = np.zeros((4, 4, 3), np.float32)
    maps[..., 2] = 5
    first = sheets.activation_maps(maps, np.array([2, 0]))
    other = sheets.activation_maps(maps, np.array([0, 2]))
    side = first.shape[1] // 2
    assert first[-sheets.MARGIN - 5, side // 2].min() > 0.5 > 0.1 > other[-sheets.MARGIN - 5, side // 2].max()


def test_many_maps_fit_too():
    shown = sheets.activation_maps(np.ones((2, 2, 1000), np.float32), np.arange(1000))
    assert max(shown.shape) <= 2000
