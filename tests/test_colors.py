import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.color
import skimage.exposure

from jaxviz import colors
from jaxviz.colors import KEEP, ROOTS

RANDOM = np.random.default_rng(0)
NOISE = RANDOM.random((24, 31, 3), np.float32)
GREY = RANDOM.random((24, 31, 1), np.float32).repeat(3, 2)
FLAT = np.full((24, 31, 3), (0.9, 0.4, 0.1), np.float32)
CORNERS = np.stack(np.meshgrid(*[(0, 0.02, 0.5, 1)] * 3), -1).reshape(8, 8, 3).astype(np.float32)
FUNCTIONS = {
    **{f"before {kind}": functools.partial(colors.before, kind) for kind in ("luminance", "lab")},
    **{f"after {kind}": functools.partial(colors.after, kind) for kind in ("luminance", "lab")},
    **{f"match {root}": functools.partial(colors.match_colors, root=root) for root in ROOTS},
    "histogram": colors.match_histogram,
    "joint histogram": functools.partial(colors.match_histogram, iterations=2),
}


@pytest.fixture(scope="module")
def photo(picture):
    return picture("chelsea", 96, square=False)


@pytest.fixture(scope="module")
def other(picture):
    """Another photo of the same size."""
    return picture("coffee", 96, square=False)[:, :96][: picture("chelsea", 96, square=False).shape[0]]


def covariance(image):
    return np.cov(np.asarray(image, np.float64).reshape(-1, 3).T, bias=True)


def test_luminance_is_that_of_yiq(photo):
    np.testing.assert_allclose(colors.luminance(photo), skimage.color.rgb2yiq(photo)[..., 0], atol=1e-6)
    np.testing.assert_allclose(colors.luminance(GREY), GREY[..., 0], atol=1e-6)


@pytest.mark.parametrize("image", [NOISE, CORNERS, GREY])
def test_lab_is_that_of_the_standard(image):
    # scikit-image's white, and its matrix's, differ in the fifth digit, so that its grey has a little color.
    xyz = skimage.color.rgb2xyz(image.astype(np.float64))
    white = skimage.color.rgb2xyz(np.ones((1, 1, 3)))
    exact = skimage.color.xyz2lab(xyz / white * (0.95047, 1, 1.08883))
    np.testing.assert_allclose(colors.to_lab(image), exact, atol=1.5e-4)
    np.testing.assert_allclose(
        colors.to_lab(image), skimage.color.rgb2lab(image.astype(np.float64)), atol=6e-3
    )


@pytest.mark.parametrize("image", [NOISE, CORNERS, GREY])
def test_lab_and_back(image):
    np.testing.assert_allclose(colors.from_lab(colors.to_lab(image)), image, atol=6e-6)


def test_grey_has_no_color_in_lab():
    np.testing.assert_allclose(colors.to_lab(GREY)[..., 1:], 0, atol=1e-4)


def test_luminance_is_replaced_as_in_yiq():
    middle = 0.4 + 0.2 * NOISE
    other = 0.4 + 0.2 * NOISE[::-1]
    planes = skimage.color.rgb2yiq(middle.astype(np.float64))
    planes[..., 0] = skimage.color.rgb2yiq(other)[..., 0]
    found = colors.replace_luminance(middle, other)
    np.testing.assert_allclose(found, skimage.color.yiq2rgb(planes), atol=1e-6)


@pytest.mark.parametrize("content", [NOISE, GREY, FLAT])
def test_light_is_the_results_also_where_colors_have_to_fade(content):
    result = NOISE[::-1]
    kept = colors.replace_luminance(content, result)
    np.testing.assert_allclose(colors.luminance(kept), colors.luminance(result), atol=1e-6)
    kept = colors.replace_lightness(content, result)
    np.testing.assert_allclose(colors.to_lab(kept)[..., 0], colors.to_lab(result)[..., 0], atol=1e-3)
    assert kept.min() >= 0
    assert kept.max() <= 1


def test_color_is_the_contents_where_it_exists():
    content, result = 0.4 + 0.2 * NOISE, 0.4 + 0.2 * NOISE[::-1]
    lab = colors.to_lab(colors.replace_lightness(content, result))
    np.testing.assert_allclose(lab[..., 1:], colors.to_lab(content)[..., 1:], atol=1e-3)
    np.testing.assert_allclose(lab[..., 0], colors.to_lab(result)[..., 0], atol=1e-3)


@pytest.mark.parametrize("replace", [colors.replace_luminance, colors.replace_lightness])
def test_a_picture_with_its_own_light_is_itself(replace, photo):
    np.testing.assert_allclose(replace(photo, photo), photo, atol=4e-6)


@pytest.mark.parametrize("kind", ["luminance", "lab"])
def test_grey_content_gives_a_grey_result(kind):
    found = np.asarray(colors.after(kind, GREY, NOISE))
    np.testing.assert_allclose(found, found[..., :1].repeat(3, 2), atol=2e-6)


@pytest.mark.parametrize(
    ("kind", "light"), [("luminance", colors.luminance), ("lab", lambda x: colors.to_lab(x)[..., 0] / 100)]
)
def test_greys_have_the_contents_mean_and_deviation(kind, light):
    content, style = 0.4 + 0.2 * NOISE, NOISE[:, :7]
    greys = colors.greys(content, style, kind=kind)
    for grey in greys:
        np.testing.assert_allclose(grey, np.asarray(grey)[..., :1].repeat(3, 2), atol=1e-6)
        np.testing.assert_allclose(light(grey).mean(), light(content).mean(), atol=1e-5)
        np.testing.assert_allclose(light(grey).std(), light(content).std(), atol=1e-5)
    np.testing.assert_allclose(light(greys[0]), light(content), atol=1e-5)
    np.testing.assert_array_equal(colors.before(kind, content, style), greys[1])


@pytest.mark.parametrize("root", ROOTS)
def test_means_and_covariances_are_matched(root, photo, other):
    for image, to in ((photo, other), (other, photo), (NOISE, photo), (photo, NOISE[:, :9])):
        found = colors.match_colors(image, to, root=root)
        np.testing.assert_allclose(np.mean(found, (0, 1)), to.mean((0, 1)), atol=1e-5)
        np.testing.assert_allclose(covariance(found), covariance(to), atol=1e-5)


@pytest.mark.parametrize("root", ROOTS)
def test_a_picture_matched_to_itself_is_itself(root, photo):
    for image in (photo, NOISE, GREY, FLAT):
        np.testing.assert_allclose(colors.match_colors(image, image, root=root), image, atol=1e-5)
        np.testing.assert_allclose(colors.before(root, image, image), image, atol=1e-5)


def test_roots_are_those_of_their_formulas(photo, other):
    def root(matrix):
        values, vectors = np.linalg.eigh(matrix)
        return vectors * np.sqrt(values) @ vectors.T

    source, target = covariance(photo), covariance(other)
    half, back = root(source), np.linalg.inv(root(source))
    expected = {
        "cholesky": np.linalg.cholesky(target) @ np.linalg.inv(np.linalg.cholesky(source)),
        "pca": root(target) @ back,
        "sqrt": back @ root(half @ target @ half) @ back,
    }
    centered = photo - photo.mean((0, 1), dtype=np.float64)
    for name, matrix in expected.items():
        wanted = centered @ matrix.T + other.mean((0, 1), dtype=np.float64)
        np.testing.assert_allclose(colors.match_colors(photo, other, root=name), wanted, atol=1e-4)


def test_the_square_root_moves_colors_least(photo, other):
    moved = [np.mean((colors.match_colors(photo, other, root=root) - photo) ** 2) for root in ROOTS]
    assert moved[ROOTS.index("sqrt")] == min(moved)


def test_histogram_of_distinct_values_becomes_the_others():
    to = RANDOM.random(NOISE.shape, np.float32) ** 2
    found = np.asarray(colors.match_histogram(NOISE, to))
    for c in range(3):
        np.testing.assert_array_equal(np.sort(found[..., c].ravel()), np.sort(to[..., c].ravel()))
        np.testing.assert_array_equal(found[..., c].ravel().argsort(), NOISE[..., c].ravel().argsort())
    reference = skimage.exposure.match_histograms(NOISE, to, channel_axis=-1)
    np.testing.assert_allclose(found, reference, atol=1e-6)


def test_histogram_of_another_size_is_near_scikit_images(photo):
    found = colors.match_histogram(NOISE, photo)
    reference = skimage.exposure.match_histograms(NOISE, photo, channel_axis=-1)
    assert np.abs(found - reference).mean() < 1 / 255


def test_histogram_of_a_picture_matched_to_itself_is_itself(photo):
    for image in (photo, GREY, FLAT):
        np.testing.assert_allclose(colors.match_histogram(image, image), image, atol=1e-6)


def test_colors_of_a_nearly_grey_style_are_not_invented(photo):
    noisy = np.clip(GREY + RANDOM.normal(scale=1e-3, size=GREY.shape), 0, 1).astype(np.float32)
    found = colors.to_lab(colors.before("pca", photo, noisy))
    assert found[..., 1:].std((0, 1)).max() < colors.to_lab(photo)[..., 1:].std((0, 1)).max() / 2


def test_a_constant_picture_gets_the_median():
    found = colors.match_histogram(FLAT, NOISE)
    np.testing.assert_allclose(found, np.broadcast_to(np.median(NOISE, (0, 1)), FLAT.shape), atol=1e-2)


def test_iterations_match_the_joint_distribution(photo):
    one, many = (colors.match_histogram(NOISE, photo, iterations=n) for n in (0, 20))
    wrong = [np.abs(covariance(found) - covariance(photo)).max() for found in (one, many)]
    assert wrong[1] < wrong[0] / 10
    with pytest.raises(ValueError, match="iterations is -1; expected at least 0"):
        colors.match_histogram(NOISE, photo, iterations=-1)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_grey_and_constant_pictures_give_finite_results_and_gradients(name):
    total = jax.jit(jax.value_and_grad(lambda a, b: jnp.sum(FUNCTIONS[name](a, b) ** 2), argnums=(0, 1)))
    for pair in ((GREY, NOISE), (NOISE, GREY), (FLAT, NOISE), (NOISE, FLAT), (FLAT, FLAT)):
        value, gradients = total(*pair)
        assert np.isfinite(value)
        assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled_and_mapped_functions_are_the_same(name):
    function = FUNCTIONS[name]
    first, second = np.stack([NOISE, NOISE[::-1] ** 2]), np.stack([FLAT * NOISE, NOISE**3])
    expected = np.stack([function(a, b) for a, b in zip(first, second, strict=True)])
    np.testing.assert_allclose(jax.jit(function)(first[0], second[0]), expected[0], atol=1e-5)
    np.testing.assert_allclose(jax.jit(jax.vmap(function))(first, second), expected, atol=1e-5)


def test_derivative_of_a_match_is_that_of_differences(photo, other):
    for root in ROOTS:
        match = functools.partial(colors.match_colors, root=root)
        direction = RANDOM.normal(size=photo.shape).astype(np.float32)
        inside = 0.1 + 0.8 * photo
        up, down = (match(inside + step * direction, other) for step in (1e-3, -1e-3))
        _, found = jax.jvp(lambda x: match(x, other), (inside,), (direction,))  # noqa: B023
        np.testing.assert_allclose(found, (up - down) / 2e-3, atol=2e-2 * float(np.abs(found).max()))


@pytest.mark.parametrize("kind", KEEP)
def test_pictures_that_techniques_get_are_in_range(kind, photo, other):
    for found in (colors.before(kind, photo, NOISE), colors.after(kind, photo, other)):
        assert found.dtype == jnp.float32
        assert found.min() >= 0
        assert found.max() <= 1
    assert colors.before(kind, photo, NOISE).shape == NOISE.shape


def test_what_is_done_before_is_not_done_again(photo, other):
    for root in ROOTS:
        np.testing.assert_array_equal(colors.after(root, photo, other), other)


def test_wrong_arguments_are_refused():
    with pytest.raises(KeyError, match="no way to keep colors is named 'luminence'; nearest: luminance"):
        colors.before("luminence", NOISE, NOISE)
    with pytest.raises(KeyError, match="there are: luminance, cholesky, pca, sqrt, lab"):
        colors.after("hsv", NOISE, NOISE)
    with pytest.raises(KeyError, match="no root is named 'svd'"):
        colors.match_colors(NOISE, NOISE, root="svd")
    with pytest.raises(KeyError, match="no measure of light is named 'pca'"):
        colors.greys(NOISE, NOISE, kind="pca")
    for kind in KEEP:
        with pytest.raises(
            ValueError, match=r"result has shape \[23, 31, 3\]; expected the content's \[24, 31, 3\]"
        ):
            colors.after(kind, NOISE, NOISE[1:])
        with pytest.raises(ValueError, match=r"in \[.*\]; expected \[0, 1\]"):
            colors.before(kind, NOISE, 2 * NOISE)
        with pytest.raises(ValueError, match="content holds NaN"):
            colors.after(kind, NOISE * np.float32(np.nan), NOISE)
