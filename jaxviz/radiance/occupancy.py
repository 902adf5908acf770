"""Which parts of a field's box hold something, and the samples of rays that lie there, in arrays of fixed size."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxviz._typing import symbol
from jaxviz.radiance.field import STEEPNESS, Field, at_nodes
from jaxviz.radiance.rays import Rays

THRESHOLD = 1e-3
"""Opacity of one hundredth of the first box's diagonal below which a node is empty."""


@symbol
class Occupancy:
    """Whether nodes of a field's box, or their neighbors, hold something: [x, y, z]."""

    cells: Bool[Array, "_ _ _"]

    def at(self, nodes: Float[Array, "*n 3"], resolution: tuple[int, int, int]) -> Bool[Array, "*n"]:
        """Returns what holds at points in units of a field's nodes."""
        x, y, z = self.cells.shape
        scale = (jnp.asarray([x, y, z]) - 1) / (jnp.asarray(resolution) - 1)
        near = jnp.clip(jnp.round(nodes * scale).astype(jnp.int32), 0, jnp.asarray([x, y, z]) - 1)
        flat = (near[..., 0] * y + near[..., 1]) * z + near[..., 2]
        return self.cells.reshape(-1).at[flat].get(mode="promise_in_bounds")


@symbol
class Samples:
    """Samples of many rays in one list, those of a ray one after the other; what is left of the list is void.

    Attributes:
      ray: [k], to which each belongs, ascending.
      nodes: [k, 3], where it is, in units of the field's nodes.
      at: [k], its t along the ray.
      length: [k], of the piece of the ray that it stands for; 0 of void ones.
      start: [k], the place in the list of the first sample of its ray.
      stop: [k], that of the last one.
      complete: [n], whether all samples of a ray are in the list.
      count: How many samples there were, those that found no place included.
    """

    ray: Int[Array, " k"]
    nodes: Float[Array, "k 3"]
    at: Float[Array, " k"]
    length: Float[Array, " k"]
    start: Int[Array, " k"]
    stop: Int[Array, " k"]
    complete: Bool[Array, " n"]
    count: Int[Array, ""]


@jax.jit
def full(field: Field) -> Occupancy:
    """Returns the occupancy of a field of which nothing is known."""
    return Occupancy(jnp.ones(field.resolution, bool))


@jax.jit
def of_field(field: Field) -> Occupancy:
    """Returns where a field, or a neighboring node of it, is denser than next to nothing."""
    dense = 1 - jnp.exp(-at_nodes(field) * STEEPNESS / (100 * field.unit)) > THRESHOLD
    for axis in range(3):
        none = jnp.zeros_like(jax.lax.slice_in_dim(dense, 0, 1, axis=axis))
        count = dense.shape[axis]
        before = jnp.concatenate([none, jax.lax.slice_in_dim(dense, 0, count - 1, axis=axis)], axis)
        after = jnp.concatenate([jax.lax.slice_in_dim(dense, 1, count, axis=axis), none], axis)
        dense = dense | before | after
    return Occupancy(dense)


def steps_through(resolution: tuple[int, int, int], step: float) -> int:
    """Returns how many steps the longest ray through a field takes, in multiples of 8."""
    longest = sum((n - 1) ** 2 for n in resolution) ** 0.5
    return -(-int(longest / step + 1) // 8) * 8


def sample(
    field: Field,
    occupancy: Occupancy,
    rays: Rays,
    *,
    step: float | Float[Array, ""],
    steps: int,
    budget: int,
    shift: Float[Array, " n"] | None = None,
) -> Samples:
    """Returns the samples of rays where there is something, at equal steps, `budget` of them at most.

    Args:
      field: Whose box and nodes are meant.
      occupancy: What of it holds something.
      rays: n of them.
      step: Between samples, in nodes.
      steps: How many steps a ray takes at most.
      budget: k, the length of the list; later rays find no place in it where it is too short.
      shift: Where in its steps each ray has its samples, in [0, 1); None for the middle.
    """
    n = rays.near.shape[0]
    shift = jnp.full(n, 0.5) if shift is None else shift
    there, pace = _there(field, occupancy, rays, step, steps, shift)
    counts = there.sum(1)
    ends = jnp.cumsum(counts)
    chosen = first(there.reshape(-1), budget)
    void = chosen >= there.size
    chosen = jnp.minimum(chosen, there.size - 1)
    ray = chosen // steps
    t = rays.near[ray] + (chosen % steps + shift[ray]) * pace[ray]
    length = jnp.where(void, 0.0, (pace * jnp.linalg.norm(rays.directions, axis=1))[ray])
    places = (field.nodes(rays.origins))[ray] + t[:, None] * (rays.directions * field.per_unit)[ray]
    bounds = (ends - counts)[ray], jnp.minimum(ends - 1, budget - 1)[ray]
    return Samples(ray, places, t, length, *bounds, ends <= budget, ends[-1])


def counted(
    field: Field, occupancy: Occupancy, rays: Rays, *, step: float | Float[Array, ""], steps: int
) -> Int[Array, " n"]:
    """Returns how many samples of each ray are in occupied space, at equal steps."""
    return _there(field, occupancy, rays, step, steps, jnp.full(rays.near.shape, 0.5))[0].sum(1)


def _there(
    field: Field, occupancy: Occupancy, rays: Rays, step: Any, steps: int, shift: Array
) -> tuple[Array, Array]:
    """Returns which steps of rays are in occupied space, [n, steps], and how long a step is along each ray."""
    along = rays.directions * field.per_unit
    pace = step / jnp.linalg.norm(along, axis=1)
    at = rays.near[:, None] + (jnp.arange(steps) + shift[:, None]) * pace[:, None]
    nodes = field.nodes(rays.origins)[:, None, :] + at[..., None] * along[:, None, :]
    return (at < rays.far[:, None]) & occupancy.at(nodes, field.resolution), pace


def first(where: Bool[Array, " n"], budget: int) -> Int[Array, " k"]:
    """Returns the first `budget` indices at which something holds; n where there are no more."""
    rank = jnp.cumsum(where) - 1
    place = jnp.where(where, rank, budget)
    return jnp.full(budget, where.size).at[place].set(jnp.arange(where.size), mode="drop")
