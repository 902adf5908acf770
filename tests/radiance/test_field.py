import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxviz.radiance import field as fields
from jaxviz.radiance import occupancy, rendering
from jaxviz.radiance.rays import Rays, unwarped, warped
from jaxviz.radiance.scenes import Space

BOX = np.array([[-1.0, -1.0, -1.0], [1.0, 2.0, 3.0]], np.float32)


@pytest.fixture(scope="module")
def field():
    made = fields.initialize(jax.random.key(0), BOX, (5, 6, 7), density_channels=2, color_channels=3)
    louder = fields.Factors(8 * made.density.planes, 8 * made.density.lines)
    return fields.Field(louder, made.color, made.basis, made.box, made.unit, made.resolution)


def interpolated(grid, nodes):
    """Linear interpolation between the nodes of a grid, point by point."""
    found = []
    for point in np.asarray(nodes, float):
        low = np.minimum(np.floor(point).astype(int), np.array(grid.shape[:3]) - 2)
        part, total = point - low, 0.0
        for corner in np.ndindex(2, 2, 2):
            share = np.prod(np.where(corner, part, 1 - part))
            total = total + share * grid[tuple(low + corner)]
        found.append(total)
    return np.array(found)


def products(factors, resolution):
    """P times L of each pair at every node, [x, y, z, 3 c]."""
    made = []
    for (u, v), w, (plane, line) in zip(
        fields.PLANES, fields.LINES, fields.by_plane(factors, resolution), strict=True
    ):
        both = np.asarray(plane)[:, :, None, :] * np.asarray(line)[None, None]
        made.append(np.moveaxis(both, (0, 1, 2), (u, v, w)))
    return np.concatenate(made, -1)


def test_density_and_color_are_sums_of_planes_times_lines(field):
    # At points that are nodes along the axes of two planes, products of interpolations are interpolated products.
    nodes = jnp.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [0.0, 0.0, 0.0], [2.0, 3.0, 5.0]])
    at = tuple(np.asarray(nodes).astype(int).T)
    expected = products(field.density, field.resolution)[at].sum(-1)
    expected = field.unit * np.logaddexp(0, expected + fields.SHIFT)
    np.testing.assert_allclose(fields.density(field, nodes), expected, rtol=1e-5)
    np.testing.assert_allclose(fields.at_nodes(field)[at], expected, rtol=1e-5)
    looks = jnp.asarray(np.eye(3)[[0, 1, 2, 2]], jnp.float32)
    coefficients = products(field.color, field.resolution)[at] @ np.asarray(field.basis)
    mixed = (coefficients.reshape(4, 9, 3) * np.asarray(fields.harmonics(looks))[..., None]).sum(1)
    np.testing.assert_allclose(fields.colors(field, nodes, looks), 1 / (1 + np.exp(-mixed)), rtol=1e-4)
    flat = 1 / (1 + np.exp(-fields.HARMONIC_0 * coefficients[:, :3]))
    np.testing.assert_allclose(fields.colors(field, nodes, None), flat, rtol=1e-4)


def test_between_nodes_planes_and_lines_are_interpolated(field):
    nodes = jax.random.uniform(jax.random.key(1), (20, 3)) * (jnp.asarray(field.resolution) - 1)
    plane, line = (np.asarray(part) for part in fields.by_plane(field.density, field.resolution)[0])
    flat = interpolated(np.repeat(plane[:, :, None], 2, 2), np.column_stack([nodes[:, :2], np.zeros(20)]))
    along = interpolated(
        np.broadcast_to(line[None, None], (2, 2, *line.shape)),
        np.column_stack([np.zeros((20, 2)), nodes[:, 2]]),
    )
    np.testing.assert_allclose(
        fields._products(field.density, nodes, field.resolution)[0], flat * along, rtol=1e-4
    )


def test_the_derivative_is_the_automatic_one(field):
    nodes = jax.random.uniform(jax.random.key(1), (20, 3)) * (jnp.asarray(field.resolution) - 1)
    automatic = fields._blended.fun

    def loss(factors, nodes):
        return jnp.sum(jnp.sin(fields._products(factors, nodes, field.resolution)))

    stated = jax.jit(jax.grad(loss, argnums=(0, 1)))(field.density, nodes)
    whole, fields._blended = fields._blended, automatic
    try:
        # Another function, so that what was traced before is not taken.
        expected = jax.jit(jax.grad(lambda *given: loss(*given), argnums=(0, 1)))(field.density, nodes)
    finally:
        fields._blended = whole
    for one, two in zip(jax.tree.leaves(stated), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


def test_harmonics_are_orthonormal():
    heights, weights = np.polynomial.legendre.leggauss(6)
    turns = 2 * np.pi * np.arange(8) / 8
    z, t = np.meshgrid(heights, turns, indexing="ij")
    r = np.sqrt(1 - z**2)
    looks = np.stack([r * np.cos(t), r * np.sin(t), z], -1).reshape(-1, 3)
    found = np.asarray(fields.harmonics(jnp.asarray(looks, jnp.float32)))
    share = np.repeat(weights, 8) * 2 * np.pi / 8
    np.testing.assert_allclose(found.T @ (share[:, None] * found), np.eye(9), atol=1e-5)


def test_a_resampled_field_is_the_same_function(field):
    finer = fields.resampled(field, field.box, (9, 11, 13))
    nodes = jnp.asarray(np.argwhere(np.ones(field.resolution)), jnp.float32)
    np.testing.assert_allclose(
        fields.density(finer, 2 * nodes), fields.density(field, nodes), rtol=1e-3, atol=1e-5
    )
    spacing = (BOX[1] - BOX[0]) / (np.array(field.resolution) - 1)
    part = jnp.asarray([BOX[0] + spacing, BOX[1] - spacing])
    inner = fields.resampled(field, part, (3, 4, 5))
    inside = nodes[np.asarray(((nodes >= 1) & (nodes <= jnp.asarray([3, 4, 5]))).all(1))]
    np.testing.assert_allclose(
        fields.density(inner, inside - 1), fields.density(field, inside), rtol=1e-3, atol=1e-5
    )


def sums(thickness, ray):
    passed, weights = {}, []
    for tau, r in zip(thickness, ray, strict=True):
        through = np.exp(-passed.get(r, 0.0))
        weights.append(through * (1 - np.exp(-tau)))
        passed[r] = passed.get(r, 0.0) + tau
    return np.array(weights)


def test_weights_are_those_of_each_ray_wherever_it_is_in_the_list():
    random = np.random.default_rng(0)
    ray = np.sort(random.integers(0, 40, 400))
    thickness = random.exponential(0.4, 400) * random.choice([0, 1, 30], 400)
    start, stop = np.searchsorted(ray, ray), np.searchsorted(ray, ray, side="right") - 1
    given = (jnp.asarray(thickness, jnp.float32), jnp.asarray(start), jnp.asarray(stop))
    clipped = np.minimum(thickness, rendering.OPAQUE)
    # Each of some ten samples of a ray is counted to 2⁻²⁰.
    np.testing.assert_allclose(jax.jit(rendering.weights)(*given), sums(clipped, ray), atol=1e-5)
    change = random.normal(size=400)
    slope = jax.jit(jax.grad(lambda tau: jnp.sum(rendering.weights(tau, *given[1:]) * change)))(given[0])
    step = 1e-5
    for k in random.integers(0, 400, 12):
        moved = [sums(clipped + s * step * (np.arange(400) == k), ray) @ change for s in (-1, 1)]
        np.testing.assert_allclose(slope[k], (moved[1] - moved[0]) / (2 * step), atol=1e-4)


def test_what_is_solid_hides_all_behind_it_however_thick():
    count = rendering.LONGEST
    thickness, start = jnp.full(3 * count, 50.0), jnp.repeat(jnp.arange(3) * count, count)
    found = rendering.weights(thickness, start, start + count - 1).reshape(3, count)
    np.testing.assert_allclose(found[:, 0], 1, atol=1e-4)
    assert found[:, 1:].max() < rendering.VISIBLE
    with pytest.raises(ValueError, match=f"up to {count + 1} samples; expected at most {count}"):
        rendering.Budget(count + 1, 8, 8)


def rays_along_x(rows):
    n = len(rows)
    origins = jnp.asarray([[-2.0, y, 0.5] for y in rows])
    ahead = jnp.tile(jnp.asarray([[1.0, 0.0, 0.0]]), (n, 1))
    return Rays(origins, ahead, ahead, jnp.full(n, 1.0), jnp.full(n, 3.0))


def test_a_uniform_field_lets_through_what_beers_law_says():
    made = fields.initialize(jax.random.key(0), BOX, (9, 6, 7), density_channels=2, color_channels=3)
    made = fields.Field(
        fields.Factors(*(jnp.ones_like(t) for t in (made.density.planes, made.density.lines))),
        fields.Factors(*(jnp.zeros_like(t) for t in (made.color.planes, made.color.lines))),
        *(made.basis, made.box, made.unit, made.resolution),
    )
    sigma = float(made.unit * np.log1p(np.exp(6 + fields.SHIFT)))
    rays = rays_along_x([0.0, 0.7])
    budget = rendering.Budget(steps=40, samples=80, visible=80, step=0.25)
    found = rendering.render(made, occupancy.full(made), rays, budget, background=jnp.ones(3))
    assert found.complete.all()
    opacity = 1 - np.exp(-2 * sigma)
    np.testing.assert_allclose(found.opacity, opacity, rtol=1e-3)
    np.testing.assert_allclose(found.color, 0.5 * opacity + 1 - opacity, rtol=1e-3)
    depth = 1 + 1 / sigma - 2 * np.exp(-2 * sigma) / opacity
    np.testing.assert_allclose(found.depth, depth, rtol=2e-3)


def test_empty_space_costs_nothing_and_changes_nothing(field):
    rays = rays_along_x([-0.5, 0.0, 0.9, 1.7])
    steps = occupancy.steps_through(field.resolution, 0.5)
    large = rendering.Budget(steps, 4 * steps, 4 * steps, 0.5)
    whole = rendering.render(field, occupancy.full(field), rays, large, background=jnp.zeros(3))
    cells = np.ones(field.resolution, bool)
    cells[3:] = False
    part = occupancy.Occupancy(jnp.asarray(cells))
    found = rendering.render(field, part, rays, large, background=jnp.zeros(3))
    assert int(found.samples) < int(whole.samples)
    # By a budget that holds just what there is, the same; by a smaller one, later rays are told to be cut.
    count = int(found.samples)
    exact = rendering.Budget(steps, count, count, 0.5)
    again = rendering.render(field, part, rays, exact, background=jnp.zeros(3))
    np.testing.assert_allclose(again.color, found.color, atol=1e-6)
    assert again.complete.all()
    small = rendering.Budget(steps, count - 1, count - 1, 0.5)
    cut = rendering.render(field, part, rays, small, background=jnp.zeros(3))
    assert cut.complete.tolist() == [True, True, True, False]
    np.testing.assert_allclose(cut.color[:3], found.color[:3], atol=1e-6)


def test_occupancy_has_what_is_dense_and_its_neighbors():
    made = fields.initialize(jax.random.key(0), BOX, (9, 9, 9), density_channels=1, color_channels=1)
    plane = np.zeros((3, 9, 9, 1), np.float32)
    plane[0, 4, 4] = 20
    line = np.zeros((3, 9, 1), np.float32)
    line[0, 4] = 1
    dense = fields.Factors(jnp.asarray(plane.reshape(-1, 1)), jnp.asarray(line.reshape(-1, 1)))
    made = fields.Field(dense, made.color, made.basis, made.box, made.unit, made.resolution)
    cells = np.argwhere(np.asarray(occupancy.of_field(made).cells))
    assert cells.min(0).tolist() == [3, 3, 3]
    assert cells.max(0).tolist() == [5, 5, 5]
    assert len(cells) == 27


def test_rays_in_device_coordinates_are_images_of_rays():
    warp = jnp.asarray([1.5, 2.0, 0.5])
    space = Space(BOX, np.zeros((), np.float32), warp, True, "none")
    origins = jnp.asarray([[0.1, 0.2, 0.3], [-0.2, 0.0, 0.0]])
    directions = jnp.asarray([[0.2, -0.1, -1.0], [0.1, 0.3, -0.8]])
    o, d = warped(origins, directions, warp)
    for t in (0.1, 0.5, 0.9):
        points = unwarped(o + t * d, space)
        apart = (points - origins) / directions
        np.testing.assert_allclose(apart, apart[:, :1].repeat(3, 1), rtol=1e-4)
        assert (apart > 0).all()
