import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxviz import constraints
from jaxviz.norms import L1, NORMS, ascent

ORDERS = {"linf": np.inf, "l2": 2, "l1": 1}
DUALS = {"linf": 1, "l2": 2, "l1": np.inf}
RADII = [0.0, 0.1, 1.0, 4.0, 50.0]


def norm(v, order):
    return float(np.linalg.norm(np.asarray(v, np.float64).ravel(), order))


def vectors(count, shape=(3, 4)):
    return [2 * jax.random.normal(jax.random.key(i), shape) for i in range(count)]


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("name", ORDERS)
class TestProjection:
    def test_ends_inside_and_leaves_alone_what_is_inside(self, name, radius):
        for v in vectors(8):
            found = NORMS[name].project(v, radius)
            assert norm(found, ORDERS[name]) <= radius * (1 + 1e-5)
            if norm(v, ORDERS[name]) <= radius:
                np.testing.assert_array_equal(found, v)
            else:
                assert norm(found, ORDERS[name]) == pytest.approx(radius, rel=1e-5, abs=1e-6)

    def test_is_idempotent(self, name, radius):
        for v in vectors(8):
            once = NORMS[name].project(v, radius)
            twice = NORMS[name].project(once, radius)
            np.testing.assert_allclose(twice, once, rtol=1e-5, atol=1e-6)

    def test_brings_no_two_points_further_apart(self, name, radius):
        project = NORMS[name].project
        for a, b in itertools.combinations(vectors(6), 2):
            apart = norm(project(a, radius) - project(b, radius), 2)
            assert apart <= norm(a - b, 2) * (1 + 1e-5)

    def test_is_the_nearest_point(self, name, radius):
        # p is nearest to v in a convex set just when no point q of it has (v - p) · (q - p) > 0.
        project, sample = NORMS[name].project, constraints.NORMS[name].sample
        corner = NORMS[name].direction
        for i, v in enumerate(vectors(6)):
            p = project(v, radius)
            rest = v - p
            candidates = [sample(jax.random.key(100 * i + k), v.shape, radius) for k in range(10)]
            for q in [radius * corner(rest), *candidates]:
                assert float(jnp.vdot(rest, q - p)) <= 1e-4 * (1 + norm(rest, 2) * radius)


def test_l1_projection_equals_a_brute_force_search():
    for v in vectors(6, (5,)):
        values = np.asarray(v, np.float64)
        sizes = np.abs(values)
        # The answer is a soft threshold; try all that leave k entries.
        best, nearest = np.inf, None
        for k in range(1, 6):
            threshold = (np.sort(sizes)[::-1][:k].sum() - 1.5) / k
            candidate = np.sign(values) * np.maximum(sizes - threshold, 0)
            distance = np.sum((candidate - values) ** 2)
            if threshold >= 0 and np.abs(candidate).sum() <= 1.5 + 1e-9 and distance < best:
                best, nearest = distance, candidate
        np.testing.assert_allclose(L1().project(v, 1.5), nearest, atol=1e-5)


@pytest.mark.parametrize("name", ORDERS)
def test_direction_has_norm_one_and_the_largest_product(name):
    for i, g in enumerate(vectors(5)):
        direction = NORMS[name].direction(g)
        assert norm(direction, ORDERS[name]) == pytest.approx(1, rel=1e-6)
        assert float(jnp.vdot(direction, g)) == pytest.approx(norm(g, DUALS[name]), rel=1e-5)
        for k in range(10):
            other = NORMS[name].sample(jax.random.key(10 * i + k), g.shape, 1.0)
            assert float(jnp.vdot(other, g)) < float(jnp.vdot(direction, g))


@pytest.mark.parametrize("name", ORDERS)
def test_direction_of_zero_is_zero(name):
    np.testing.assert_array_equal(NORMS[name].direction(jnp.zeros((2, 3))), 0)


@pytest.mark.parametrize("name", ORDERS)
def test_samples_fill_the_ball(name):
    draw = jax.vmap(lambda key: NORMS[name].sample(key, (2,), 3.0))
    samples = np.asarray(draw(jax.random.split(jax.random.key(0), 4000)), np.float64)
    lengths = np.linalg.norm(samples, ORDERS[name], axis=1)
    assert lengths.max() <= 3 * (1 + 1e-5)
    # In the plane the ball of half the radius has a quarter of the area; 4000 draws are off by 0.7 %.
    assert np.mean(lengths <= 1.5) == pytest.approx(0.25, abs=0.03)
    assert np.abs(samples.mean(0)).max() < 0.15
    assert np.mean(samples[:, 0] > samples[:, 1]) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("name", ORDERS)
def test_projections_under_jit_and_vmap(name):
    batch = jnp.stack(vectors(4))
    together = jax.jit(jax.vmap(NORMS[name].project, (0, None)))(batch, 1.0)
    for i, v in enumerate(batch):
        np.testing.assert_allclose(together[i], NORMS[name].project(v, 1.0), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ORDERS)
def test_a_ball_is_around_its_center(name):
    center, v = vectors(2)
    ball = constraints.ball(center, 0.75, norm=name)
    assert norm(ball.project(v) - center, ORDERS[name]) == pytest.approx(0.75, rel=1e-5)
    np.testing.assert_array_equal(ball.project(center), center)


def test_a_ball_of_the_maximum_norm_and_a_box_are_both_kept():
    center = jax.random.uniform(jax.random.key(0), (5, 5, 3))
    allowed = constraints.both(constraints.ball(center, 0.1), constraints.box())
    v = 2 * jax.random.normal(jax.random.key(1), (5, 5, 3))
    found = allowed.project(v)
    expected = np.clip(v, np.maximum(center - np.float32(0.1), 0), np.minimum(center + np.float32(0.1), 1))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(allowed.project(found), found, atol=1e-6)


def test_boxes_and_balls_are_checked():
    np.testing.assert_array_equal(constraints.box(-1, 2).project(jnp.array([-3.0, 0.5, 3.0])), [-1, 0.5, 2])
    with pytest.raises(ValueError, match=r"high is 0; expected a number in \[1, inf\]"):
        constraints.box(1, 0)
    with pytest.raises(ValueError, match="radius is -1"):
        constraints.ball(jnp.zeros(2), -1)
    with pytest.raises(KeyError, match="no norm is named 'l3'; nearest: l"):
        constraints.ball(jnp.zeros(2), 1, norm="l3")


@pytest.mark.parametrize("name", ORDERS)
def test_measure_is_the_norm(name):
    for v in vectors(4):
        assert float(NORMS[name].measure(v)) == pytest.approx(norm(v, ORDERS[name]), rel=1e-6)


@pytest.mark.parametrize(("share", "count"), [(0.0, 1), (0.01, 1), (0.25, 3), (1.0, 12)])
def test_a_step_in_the_sum_norm_may_be_spread_over_the_largest_entries(share, count):
    for v in vectors(4):
        found = np.asarray(ascent("l1", v, share))
        assert norm(found, 1) == pytest.approx(1, rel=1e-6)
        chosen = np.flatnonzero(found)
        assert len(chosen) == count
        assert set(chosen) == set(np.argsort(-np.abs(v).ravel())[:count])
        np.testing.assert_allclose(found.ravel()[chosen], np.sign(v).ravel()[chosen] / count, rtol=1e-6)
    np.testing.assert_array_equal(ascent("l1", jnp.zeros(4), share), np.zeros(4))


def test_a_share_changes_no_other_norm():
    (v,) = vectors(1)
    for name in ("linf", "l2"):
        np.testing.assert_array_equal(ascent(name, v, 0.5), NORMS[name].direction(v))
