import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxviz import parameterizations, transforms

KEY = jax.random.key(3)


@pytest.fixture
def image(picture):
    return jnp.asarray(picture("chelsea", 24))


def test_jitter_cuts_a_part(image):
    found = np.asarray(transforms.jitter(5)(KEY, image))
    assert found.shape == (19, 19, 3)
    parts = [image[i : i + 19, j : j + 19] for i in range(6) for j in range(6)]
    assert sum(np.array_equal(found, part) for part in parts) == 1
    places = {np.asarray(transforms.jitter(5)(jax.random.key(k), image)).tobytes() for k in range(300)}
    assert len(places) == 36  # every place is reached, the last one too


def test_roll_keeps_every_pixel(image):
    found = np.asarray(transforms.roll(4)(KEY, image))
    np.testing.assert_array_equal(np.sort(found.ravel()), np.sort(np.ravel(image)))
    assert np.abs(found - image).max() > 0


def test_a_frame_is_of_its_grey(image):
    found = transforms.padded(3, 0.25)(KEY, image)
    assert found.shape == (30, 30, 3)
    np.testing.assert_array_equal(found[3:-3, 3:-3], image)
    assert float(found[:3].min()) == float(found[:3].max()) == 0.25


@pytest.mark.parametrize("make", [transforms.scale, transforms.rotate])
def test_factors_of_one_and_angles_of_zero_change_nothing(make, image):
    same = 1.0 if make is transforms.scale else 0.0
    np.testing.assert_allclose(make(same, same)(KEY, image), image, atol=1e-6)


def test_a_quarter_turn_is_counterclockwise(image):
    np.testing.assert_allclose(transforms.rotate(90, 90)(KEY, image), jnp.rot90(image), atol=1e-5)


def test_twice_as_large_shows_the_middle(image):
    ramp = jnp.broadcast_to(jnp.arange(25.0)[:, None, None], (25, 25, 3)) / 25
    found = transforms.scale(2, 2)(KEY, ramp)
    np.testing.assert_allclose(found[:, 0, 0], (jnp.arange(25.0) - 12) / 2 / 25 + 12 / 25, atol=1e-5)


def test_composed_transforms_have_keys_of_their_own(image):
    both = transforms.compose(transforms.roll(4), transforms.roll(4))
    found = both(KEY, image)
    expected = transforms.roll(4)(
        jax.random.fold_in(KEY, 1), transforms.roll(4)(jax.random.fold_in(KEY, 0), image)
    )
    np.testing.assert_array_equal(found, expected)


def test_new_numbers_compile_nothing(image):
    seen = jax.jit(lambda t, key, x: t(key, x))
    for low, high in ((0.9, 1.1), (0.5, 2.0)):
        seen(transforms.scale(low, high), KEY, image)
    assert seen._cache_size() == 1


def test_derivatives_go_through(image):
    whole = transforms.compose(
        transforms.padded(4), transforms.jitter(3), transforms.scale(0.8, 1.2), transforms.rotate(-20, 20)
    )
    slope = jax.grad(lambda x: whole(KEY, x).sum())(image)
    assert np.isfinite(slope).all()
    assert float(slope.mean()) == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: transforms.jitter(-1), "pixels is -1"),
        (lambda: transforms.scale(2, 1), "low is 2, above high, 1"),
        (lambda: transforms.scale(0, 1), "low is 0"),
        (lambda: transforms.rotate(0, 999), "high is 999"),
        (lambda: transforms.padded(1, 2), "value is 2"),
        (lambda: transforms.jitter(9)(KEY, jnp.zeros((8, 8, 3))), "leaves nothing of 8×8"),
        (lambda: parameterizations.fourier(0, 4), "height is 0"),
        (lambda: parameterizations.fourier(4, 4, decay=-1), "decay is -1"),
    ],
)
def test_bad_numbers_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("shape", [(16, 16), (15, 20), (7, 9)])
def test_spectra_of_one_size_make_pictures_like_photographs(shape):
    made = parameterizations.fourier(*shape)
    image = jax.random.uniform(KEY, (*shape, 3))
    np.testing.assert_allclose(made.decode(made.encode(image)), image, atol=1e-5)
    z = made.init(KEY, 0.01)
    assert z.shape == (2, shape[0], shape[1] // 2 + 1, 3)
    many = jnp.stack([made.decode(made.init(jax.random.key(k), 1.0)) for k in range(200)])
    power = (jnp.abs(jnp.fft.rfft(many.mean(3), axis=2)) ** 2).mean((0, 1))
    assert float(power[1]) > float(power[3])


def test_decorrelated_colors_vary_together_and_are_valid():
    made = parameterizations.decorrelated(parameterizations.pixels())
    image = np.asarray(made.decode(jax.random.normal(KEY, (64, 64, 3))))
    assert 0 < image.min() < image.max() < 1
    assert np.corrcoef(image.reshape(-1, 3).T).min() > 0.5


def test_shrunk_leaves_alone_what_it_does_not_change_and_keeps_the_rest_on_black(picture):
    image = jnp.asarray(picture("chelsea", 32))
    for same in (transforms.shrunk(probability=0.0), transforms.shrunk(1.0, 1.0)):
        np.testing.assert_allclose(same(jax.random.key(0), image), image, atol=1e-6)
    smaller = np.asarray(transforms.shrunk(0.5, 1.0)(jax.random.key(1), image))
    black = (smaller == 0).all(-1)
    assert 0.05 < black.mean() < 0.8
    assert 0 <= smaller.min() <= smaller.max() <= 1


def test_a_part_is_shown_in_the_size_of_the_whole():
    rows, columns = jnp.meshgrid(jnp.arange(20.0), jnp.arange(30.0), indexing="ij")
    ramps = jnp.stack([rows / 20, columns / 30, jnp.ones_like(rows)], -1)
    cut = jax.jit(jax.vmap(transforms.resized_crop(0.5, 0.8, 1.5), (0, None)))
    found = np.asarray(cut(jax.random.split(KEY, 60), ramps))
    assert found.shape == (60, 20, 30, 3)
    np.testing.assert_allclose(found[..., 2], 1, atol=1e-5)
    # Steps between neighbors tell which share of the sides was cut out, a border's value where.
    high, wide = ((np.diff(found[..., k], axis=k + 1)[:, 8, 8] * n) for k, n in ((0, 20), (1, 30)))
    share = high * wide
    assert share.min() >= 0.49
    assert share.max() <= 0.81
    assert max(high.max(), wide.max()) <= 1 + 1e-4
    assert np.ptp(wide / high) > 0.3
    assert np.ptp(found[:, 10, 15, 0]) > 0.05
    whole = transforms.resized_crop(1.0, 1.0, 1.0)(KEY, ramps)
    np.testing.assert_allclose(whole, ramps, atol=1e-5)
    with pytest.raises(ValueError, match=r"low is 0\.9, above high, 0\.8"):
        transforms.resized_crop(0.9, 0.8)
