import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxviz import stylization
from jaxviz.stylization import motion

INNER = (slice(16, -16), slice(16, -16))


def moved(picture, down, right):
    """The picture whose pixel p is the first one's at p + (down, right), by cubic splines."""
    rows, columns = np.indices(picture.shape[:2]).astype(float)
    channels = [
        ndimage.map_coordinates(picture[..., c], [rows + down, columns + right], order=3, mode="nearest")
        for c in range(3)
    ]
    return np.stack(channels, -1).clip(0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def cat(picture):
    return np.asarray(picture("chelsea", 128), np.float32)[20:100]


@pytest.mark.parametrize("shift", [(0, 0), (2, -3), (0.5, 0.5), (1.3, -2.7), (-9, 6)])
def test_movement_of_a_picture_is_found_to_a_part_of_a_pixel(cat, shift):
    found = np.asarray(stylization.flow(cat, moved(cat, *shift)))
    assert found.shape == (*cat.shape[:2], 2)
    apart = np.linalg.norm(found - np.asarray(shift), axis=-1)[INNER]
    assert apart.mean() < 0.12
    assert np.quantile(apart, 0.95) < 0.4


def test_reach_bounds_what_is_found(cat):
    far = moved(cat, 0, 14)
    assert np.median(np.asarray(stylization.flow(cat, far))[INNER][..., 1]) == pytest.approx(14, abs=0.2)
    assert np.abs(np.asarray(stylization.flow(cat, far, reach=4))).max() < 8


def test_parts_without_texture_stay_where_they_are():
    rng = np.random.default_rng(0)
    flat = [np.clip(0.6 + 0.008 * rng.normal(size=(80, 128, 3)), 0, 1).astype(np.float32) for _ in range(2)]
    assert np.abs(np.asarray(stylization.flow(*flat))).max() < 0.6


def test_warp_by_whole_pixels_is_exact(cat):
    flow = jnp.broadcast_to(jnp.array([3.0, -5.0]), (*cat.shape[:2], 2))
    for sharp in (False, True):
        found = np.asarray(stylization.warped(cat, flow, sharp=sharp))
        np.testing.assert_array_equal(found[:-3, 5:], cat[3:, :-5])
        # What comes from outside is the nearest pixel.
        np.testing.assert_array_equal(found[-3:, 5:], np.repeat(cat[-1:, :-5], 3, 0))


def test_warp_between_pixels(cat):
    flow = jnp.broadcast_to(jnp.array([0.0, 0.25]), (*cat.shape[:2], 2))
    found = np.asarray(stylization.warped(cat, flow))
    np.testing.assert_allclose(found[:, :-1], 0.75 * cat[:, :-1] + 0.25 * cat[:, 1:], atol=1e-6)
    # Cubics keep a parabola, lines do not.
    x = jnp.arange(32.0)
    bent = jnp.broadcast_to((x * x)[None, :, None], (8, 32, 1))
    right = jnp.broadcast_to(jnp.array([0.0, 0.25]), (8, 32, 2))
    expected = (np.arange(2, 30) + 0.25) ** 2
    sharp = np.asarray(stylization.warped(bent, right, sharp=True))[4, 2:30, 0]
    np.testing.assert_allclose(sharp, expected, rtol=1e-5)
    assert np.abs(np.asarray(stylization.warped(bent, right))[4, 2:30, 0] - expected).min() > 0.1


def test_what_was_hidden_behind_a_moving_box_is_marked(cat):
    box = np.random.default_rng(0).random((6, 6, 3), np.float32).repeat(4, 0).repeat(4, 1)
    before, now = cat.copy(), cat.copy()
    before[28:52, 40:64] = box
    now[28:52, 48:72] = box
    there, back = stylization.flow(before, now), stylization.flow(now, before)
    inside, uncovered, far = np.s_[34:46, 54:66], np.s_[30:50, 41:47], np.s_[:, 96:]
    np.testing.assert_allclose(np.asarray(there)[inside].reshape(-1, 2).mean(0), (0, -8), atol=0.3)
    seen = np.asarray(stylization.visible(there, back))
    assert set(np.unique(seen)) == {0, 1}
    trusted = np.asarray(stylization.reliability(before, now, there, back))
    assert seen[uncovered].mean() < 0.5
    assert trusted[uncovered].mean() < 0.2
    for found in (seen, trusted):
        assert found[inside].mean() > 0.9
        assert found[far].mean() > 0.95


def test_the_rule_of_visibility_by_its_formula():
    def at(w, back):
        flows = [jnp.broadcast_to(jnp.asarray(v, jnp.float32), (9, 9, 2)) for v in (w, back)]
        return float(stylization.visible(*flows)[4, 4])

    assert at((0, 0), (0, 0)) == 1
    assert at((1, 2), (-1, -2)) == 1
    assert at((0, 0), (0, 0.70)) == 1  # 0.49 ≤ 0.01·0.49 + 0.5
    assert at((0, 0), (0, 0.72)) == 0  # 0.518 > 0.01·0.518 + 0.5
    assert at((0, 3), (0, -2.2)) == 0  # 0.64 > 0.01·13.84 + 0.5
    assert at((0, 3), (0, -2.3)) == 1  # 0.49
    assert at((0, 40), (0, -40)) == 0  # outside


def test_flow_compiles_once_for_a_size(cat):
    stylization.flow(cat, cat)
    before = motion._flow._cache_size()
    for k in range(3):
        stylization.flow(np.roll(cat, k, 1), cat)
    assert motion._flow._cache_size() == before


def test_wrong_arguments_are_refused(cat):
    with pytest.raises(ValueError, match="previous has 128×80 pixels, current 64×64; expected the same"):
        stylization.flow(cat, cat[:64, :64])
    with pytest.raises(ValueError, match="block is 6; expected a multiple of 4"):
        stylization.flow(cat, cat, block=6)
    with pytest.raises(ValueError, match="reach is 0; expected a whole number"):
        stylization.flow(cat, cat, reach=0)
