"""A radiance field, factorized into planes and lines, with view-dependent colors by spherical harmonics."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxviz._typing import Key, Scalar, static, symbol

PLANES = ((0, 1), (0, 2), (1, 2))
LINES = (2, 1, 0)
"""Axes of the three planes, and of the line that belongs to each."""
COEFFICIENTS = 9
"""Of spherical harmonics up to degree 2, for each color."""

Resolution = tuple[int, int, int]


@symbol
class Factors:
    """A function of space with several channels for each of three pairs of a plane and a line.

    Attributes:
      planes: [p, c], the nodes of the three planes one after the other, of each row by row.
      lines: [q, c], the nodes of the three lines.
    """

    planes: Float[Array, "_ _"]
    lines: Float[Array, "_ _"]


@symbol
class Field:
    r"""Density and color at each point of a box, seen from each direction.

    .. math:: f(x) = \sum_m \sum_c P_{m,c}(x_u, x_v) \, L_{m,c}(x_w), \qquad
              \sigma = \frac{s}{D} \, \mathrm{softplus}(f(x) + b)

    with planes P and lines L interpolated linearly, and D the diagonal of the first box. Colors are
    :math:`\mathrm{sigmoid}(\sum_k Y_k(d) \, (B a(x))_k)`, where a has the products :math:`P_{m,c} L_{m,c}` of
    other planes and lines as its entries, and Y are the spherical harmonics up to degree 2.

    Attributes:
      density: P and L of f.
      color: Those of a.
      basis: B, [3 c, 27].
      box: [2, 3], lowest and highest corner.
      unit: s / D.
      resolution: Nodes along x, y and z.

    References:
      Chen, Xu, Geiger, Yu, Su. TensoRF: Tensorial Radiance Fields. ECCV 2022, sections 3 and 4.
    """

    density: Factors
    color: Factors
    basis: Float[Array, "_ _"]
    box: Float[Array, "2 3"]
    unit: Scalar
    resolution: Resolution = static()

    def nodes(self, points: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
        """Returns points in units of nodes, from 0 to the resolution less 1."""
        return (points - self.box[0]) * self.per_unit

    @property
    def per_unit(self) -> Float[Array, "3"]:
        """Nodes along a unit of length, for each axis."""
        return (jnp.asarray(self.resolution) - 1) / (self.box[1] - self.box[0])


SHIFT = -8.0
"""b: a new field is all but empty, so that light reaches everything."""
STEEPNESS = 100.0
"""s: by it a layer of one hundredth of the box is opaque where f is near 1."""


def initialize(
    key: Key,
    box: Float[Array | np.ndarray, "2 3"],
    resolution: Resolution,
    *,
    density_channels: int = 8,
    color_channels: int = 24,
) -> Field:
    """Returns a new field, of random planes and lines.

    Args:
      key: Seeds them.
      box: Lowest and highest corner of what is modelled.
      resolution: Nodes along x, y and z.
      density_channels: Of each plane and line, for the density.
      color_channels: The same for colors.
    """
    one, two, three = jax.random.split(key, 3)
    low, high = (np.asarray(corner, np.float32) for corner in np.asarray(box))
    basis = jax.random.normal(three, (3 * color_channels, 3 * COEFFICIENTS)) / np.sqrt(3 * color_channels)
    unit = STEEPNESS / float(np.linalg.norm(high - low))
    return Field(
        _drawn(one, resolution, density_channels),
        _drawn(two, resolution, color_channels),
        basis,
        jnp.asarray(box, jnp.float32),
        jnp.float32(unit),
        resolution,
    )


def sizes(resolution: Resolution) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns the numbers of nodes of the three planes, and of the three lines.

    Example:
      >>> sizes((2, 3, 4))
      ((6, 8, 12), (4, 3, 2))
    """
    return tuple(resolution[u] * resolution[v] for u, v in PLANES), tuple(resolution[w] for w in LINES)


def _drawn(key: Key, resolution: Resolution, channels: int) -> Factors:
    keys, counts = jax.random.split(key), sizes(resolution)
    planes, lines = (
        0.1 * jax.random.normal(k, (sum(n), channels)) for k, n in zip(keys, counts, strict=True)
    )
    return Factors(planes, lines)


def by_plane(factors: Factors, resolution: Resolution) -> list[tuple[Array, Array]]:
    """Returns the three planes, [n_u, n_v, c], each with its line, [n_w, c]."""
    flat, straight = sizes(resolution)
    planes = jnp.split(factors.planes, np.cumsum(flat)[:2].tolist())
    lines = jnp.split(factors.lines, np.cumsum(straight)[:2].tolist())
    grids = [
        plane.reshape(resolution[u], resolution[v], -1) for (u, v), plane in zip(PLANES, planes, strict=True)
    ]
    return list(zip(grids, lines, strict=True))


@jax.jit
def density(field: Field, nodes: Float[Array, "n 3"]) -> Float[Array, " n"]:
    """Returns σ at points in units of nodes, [n], per unit of length."""
    products = _products(field.density, nodes, field.resolution)
    # A product with ones: on a CPU a sum over the last axis is not vectorized.
    total = _times(products, jnp.ones((3, products.shape[2], 1)))[:, 0]
    return field.unit * jax.nn.softplus(total + SHIFT)


@jax.jit
def colors(
    field: Field, nodes: Float[Array, "n 3"], looks: Float[Array, "n 3"] | None
) -> Float[Array, "n 3"]:
    """Returns colors at points in units of nodes, seen along unit vectors; None for their mean over directions."""
    basis = field.basis.reshape(3, -1, field.basis.shape[1])
    products = _products(field.color, nodes, field.resolution)
    if looks is None:
        return jax.nn.sigmoid(HARMONIC_0 * _times(products, basis[:, :, :3]))
    weighted = _times(products, basis) * jnp.repeat(harmonics(looks), 3, axis=1)
    return jax.nn.sigmoid(jnp.matmul(weighted, jnp.tile(jnp.eye(3), (COEFFICIENTS, 1)), precision="highest"))


def _times(products: Float[Array, "3 n c"], basis: Float[Array, "3 c k"]) -> Float[Array, "n k"]:
    parts = [
        jnp.matmul(product, part, precision="highest") for product, part in zip(products, basis, strict=True)
    ]
    return parts[0] + parts[1] + parts[2]


def _products(factors: Factors, nodes: Float[Array, "n 3"], resolution: Resolution) -> Float[Array, "3 n c"]:
    low = jnp.clip(jnp.floor(nodes).astype(jnp.int32), 0, jnp.asarray(resolution) - 2)
    part = jnp.clip(nodes - low, 0, 1)
    flat, straight = sizes(resolution)
    u, v = (jnp.asarray(axes) for axes in zip(*PLANES, strict=True))
    w = jnp.asarray(LINES)
    across = jnp.asarray(resolution)[v][:, None]
    corner = jnp.asarray(np.cumsum((0, *flat[:2])))[:, None] + low.T[u] * across + low.T[v]
    node = jnp.asarray(np.cumsum((0, *straight[:2])))[:, None] + low.T[w]
    fu, fv, fw = (part.T[axes] for axes in (u, v, w))
    corners = corner, corner + 1, corner + across, corner + across + 1
    shares = (1 - fu) * (1 - fv), (1 - fu) * fv, fu * (1 - fv), fu * fv
    return _blended(factors.planes, corners, shares) * _blended(factors.lines, (node, node + 1), (1 - fw, fw))


@jax.custom_vjp
def _blended(table: Array, rows: tuple[Array, ...], shares: tuple[Array, ...]) -> Array:
    """Returns sums of some rows of a table, each times its share."""
    # One after the other: gathered at once, their sum takes several times as long on a CPU.
    found = [share[..., None] * _rows(table, row) for row, share in zip(rows, shares, strict=True)]
    return functools.reduce(jnp.add, found)


def _blend(table: Array, rows: tuple[Array, ...], shares: tuple[Array, ...]) -> Any:
    return _blended(table, rows, shares), (table, rows, shares)


def _spread(saved: Any, change: Array) -> Any:
    table, rows, shares = saved
    spread = jnp.zeros_like(table)
    # Into one table: the automatic rule would fill one for each row, and add them.
    for row, share in zip(rows, shares, strict=True):
        spread = spread.at[row].add(share[..., None] * change, mode="promise_in_bounds")
    by_share = tuple(jnp.sum(change * _rows(table, row), -1) for row in rows)
    return spread, tuple(None for _ in rows), by_share


_blended.defvjp(_blend, _spread)


def _rows(table: Array, index: Array) -> Array:
    return table.at[index].get(mode="promise_in_bounds")


HARMONIC_0 = 0.28209479177387814


@jax.jit
def harmonics(looks: Float[Array, "n 3"]) -> Float[Array, "n 9"]:
    r"""Returns the real spherical harmonics of degree 0, 1 and 2 at unit vectors, orthonormal over the sphere.

    Example:
      >>> harmonics(jnp.array([[0.0, 0.0, 1.0]])).round(3).tolist()
      [[0.282..., 0.0, 0.489..., 0.0, 0.0, 0.0, 0.631..., 0.0, 0.0]]
    """
    x, y, z = looks[:, 0], looks[:, 1], looks[:, 2]
    one, two = float(np.sqrt(3 / (4 * np.pi))), float(np.sqrt(15 / (4 * np.pi)))
    zonal = float(np.sqrt(5 / (16 * np.pi)))
    return jnp.stack(
        [
            jnp.full_like(x, HARMONIC_0),
            one * y,
            one * z,
            one * x,
            two * x * y,
            two * y * z,
            zonal * (3 * z * z - 1),
            two * x * z,
            two / 2 * (x * x - y * y),
        ],
        1,
    )


@jax.jit
def at_nodes(field: Field) -> Float[Array, "x y z"]:
    """Returns σ at all nodes of the field, as products of matrices."""
    n = field.resolution
    total = jnp.zeros(n)
    for (u, v), w, (plane, line) in zip(PLANES, LINES, by_plane(field.density, n), strict=True):
        found = jnp.matmul(plane, line.T, precision="highest")
        total += jnp.moveaxis(found, (0, 1, 2), (u, v, w))
    return field.unit * jax.nn.softplus(total + SHIFT)


@functools.partial(jax.jit, static_argnums=2)
def resampled(field: Field, box: Float[Array, "2 3"], resolution: Resolution) -> Field:
    """Returns the field within another box, with another number of nodes, its planes and lines interpolated."""
    ends = (box - field.box[0]) * field.per_unit
    places = [jnp.linspace(ends[0, axis], ends[1, axis], resolution[axis]) for axis in range(3)]

    def along(table: Array, axis: int, dimension: int) -> Array:
        low = jnp.clip(jnp.floor(places[axis]).astype(jnp.int32), 0, field.resolution[axis] - 2)
        part = jnp.clip(places[axis] - low, 0, 1)
        part = part.reshape(-1, *[1] * (table.ndim - dimension - 1))
        below, above = jnp.take(table, low, dimension), jnp.take(table, low + 1, dimension)
        return (1 - part) * below + part * above

    def changed(factors: Factors) -> Factors:
        planes, lines = [], []
        for (u, v), w, (plane, line) in zip(PLANES, LINES, by_plane(factors, field.resolution), strict=True):
            planes.append(along(along(plane, u, 0), v, 1).reshape(-1, plane.shape[2]))
            lines.append(along(line, w, 0))
        return Factors(jnp.concatenate(planes), jnp.concatenate(lines))

    return Field(changed(field.density), changed(field.color), field.basis, box, field.unit, resolution)


def roughness(factors: Factors, resolution: Resolution) -> Scalar:
    """Returns the total variation of planes: mean squared differences of neighboring nodes, both ways, summed."""
    parts = [
        jnp.square(jnp.diff(plane, axis=axis)).mean()
        for plane, _ in by_plane(factors, resolution)
        for axis in (0, 1)
    ]
    return jnp.stack(parts).sum()


def magnitude(factors: Factors) -> Scalar:
    """Returns the mean absolute value of planes and of lines, summed: what makes empty space empty."""
    return jnp.abs(factors.planes).mean() + jnp.abs(factors.lines).mean()


def nodes_for(box: Float[Array | np.ndarray, "2 3"], total: int) -> Resolution:
    """Returns how many nodes along each axis make about `total` cubes of a box.

    Example:
      >>> nodes_for(np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 4.0]]), 8**3)
      (4, 8, 16)
    """
    sides = np.maximum(np.asarray(box[1] - box[0], np.float64), 1e-9)
    edge = np.cbrt(sides.prod() / total)
    x, y, z = (max(4, round(side / edge)) for side in sides)
    return x, y, z
