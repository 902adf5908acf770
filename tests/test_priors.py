import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxviz import priors

BETAS = [1.0, 1.5, 2.0, 2.5]
CHECKERBOARD = jnp.asarray(np.indices((4, 6)).sum(0) % 2, jnp.float32)[..., None].repeat(3, -1)


@pytest.mark.parametrize("beta", BETAS)
def test_total_variation_of_a_checkerboard(beta):
    # 3×5 pixels differ from below and from the right, 3 + 5 from one of them, the corner from none.
    expected = 3 * (15 * 2 ** (beta / 2) + 8)
    assert float(priors.total_variation(beta)(CHECKERBOARD)) == pytest.approx(expected, rel=1e-6)
    assert float(priors.total_variation(beta, weight=0.5)(CHECKERBOARD)) == pytest.approx(
        expected / 2, rel=1e-6
    )
    quarter = float(priors.total_variation(beta)(CHECKERBOARD / 4))
    assert quarter == pytest.approx(expected / 4**beta, rel=1e-6)


@pytest.mark.parametrize("beta", BETAS)
def test_total_variation_of_an_edge_is_its_length(beta):
    edge = jnp.zeros((6, 8, 3)).at[:, 4:].set(1)
    assert float(priors.total_variation(beta)(edge)) == 18
    assert float(priors.total_variation(beta)(edge.transpose(1, 0, 2))) == 18


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_flat_images_have_none_and_a_gradient_of_zero(beta, level):
    value, gradient = jax.value_and_grad(priors.total_variation(beta))(jnp.full((5, 4, 3), level))
    assert float(value) == 0
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("step", [1e-8, 1e-6, 1e-5, 1e-3])
def test_gradients_at_almost_equal_pixels_are_finite_and_bounded(beta, step):
    image = jnp.zeros((5, 5, 3)).at[2, 2].set(step)
    value, gradient = jax.value_and_grad(priors.total_variation(beta))(image)
    assert np.isfinite(value)
    # Each pixel takes part in three terms of slope at most beta * (2 step^2)^((beta - 1) / 2).
    assert float(jnp.abs(gradient).max()) <= 4 * beta


@pytest.mark.parametrize("beta", BETAS)
def test_gradient_of_total_variation_is_that_of_finite_differences(beta):
    draw = np.random.default_rng(0)
    with jax.enable_x64(True):
        image, along = (jnp.asarray(draw.uniform(size=(4, 5, 3))) for _ in range(2))
        prior = priors.total_variation(beta)
        slope = (prior(image + 1e-6 * along) - prior(image - 1e-6 * along)) / 2e-6
        assert float(jnp.vdot(jax.grad(prior)(image), along)) == pytest.approx(float(slope), rel=1e-6)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("shift", [(1, 0), (0, 2), (-2, 1)])
def test_total_variation_does_not_change_when_the_picture_moves(beta, shift):
    inner = jax.random.uniform(jax.random.key(0), (6, 5, 3))
    image = jnp.pad(inner, ((4, 4), (4, 4), (0, 0)), constant_values=0.25)
    prior = priors.total_variation(beta)
    moved = jnp.roll(image, shift, (0, 1))
    assert float(prior(moved)) == pytest.approx(float(prior(image)), rel=1e-6)


@pytest.mark.parametrize("alpha", [1.0, 2.0, 6.0])
def test_alpha_norm_by_hand(alpha):
    image = jnp.asarray([[[0.0, 0.5, 1.0], [0.25, 0.5, 0.75]]])
    for center in (0.0, 0.5, np.array([0.1, 0.2, 0.3])):
        expected = 3 * np.sum(np.abs(np.asarray(image, np.float64) - center) ** alpha)
        assert float(priors.alpha_norm(alpha, center=center, weight=3)(image)) == pytest.approx(
            expected, rel=1e-5
        )


@pytest.mark.parametrize("alpha", [1.0, 1.5, 2.0, 6.0])
def test_gradient_of_the_alpha_norm_at_its_center_is_zero(alpha):
    gradient = jax.grad(priors.alpha_norm(alpha, center=0.5))(jnp.full((2, 3, 3), 0.5))
    np.testing.assert_array_equal(gradient, 0)


def test_total_adds():
    both = priors.total(priors.total_variation(1.0), priors.alpha_norm(2.0))
    assert float(both(CHECKERBOARD)) == pytest.approx(3 * (15 * 2**0.5 + 8) + 36, rel=1e-6)
    with pytest.raises(ValueError, match="no prior"):
        priors.total()


def test_numbers_are_checked():
    for beta in (0.5, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="beta is"):
            priors.total_variation(beta)
    with pytest.raises(ValueError, match="alpha is 0"):
        priors.alpha_norm(0)
    for make in (priors.total_variation, priors.alpha_norm):
        with pytest.raises(ValueError, match="weight is -1"):
            make(weight=-1)
