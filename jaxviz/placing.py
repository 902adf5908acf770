r"""Where a run lies: on one device, its pictures on several, or the rows of each picture on several.

With its rows on n devices, a picture z of h rows has :math:`\lceil h / n \rceil` of them on each, all activations
likewise. The compiler sees to the rest: a convolution fetches the rows at the edges of its neighbors' (halo
exchange), and a sum over positions, such as a Gram matrix, is added up over the devices (all-reduce). Loss and
gradient are those of one device, up to the rounding of sums. Heights that do not divide are filled up below with
rows that no loss depends on.

GSPMD: Xu et al. GSPMD: General and Scalable Parallelization for ML Computation Graphs. arXiv 2021, section 4.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from jaxviz import sharding
from jaxviz._typing import Image, Key, Scalar, static, symbol
from jaxviz.sharding import AXIS, ROWS, has_rows
from jaxviz.stepping import Judging, Minimizable


@symbol
class Cropped:
    """A problem whose unknowns have more rows than its picture: nothing depends on those below."""

    problem: Any
    height: int = static()

    @property
    def random(self) -> bool:
        """Whether the loss depends on the key."""
        return bool(self.problem.random)

    def loss(self, z: Array, key: Key) -> Scalar:
        """Returns the loss of the rows that belong to the picture."""
        loss: Scalar = self.problem.loss(z[: self.height], key)
        return loss

    def project(self, z: Array) -> Array:
        """Returns the unknowns in C that are nearest to `z`, and zeros below them."""
        inside = self.problem.project(z[: self.height])
        return jnp.pad(inside, ((0, z.shape[0] - self.height), (0, 0), (0, 0)))


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the problem, the unknowns and the state of a run lie; made by `layout`.

    Attributes:
      mesh: The devices; None for one.
      axes: Of a batch: the axes of problem, unknowns and key; None for one picture.
      count: Pictures of a batch; None for one picture.
      height: Rows of a picture whose rows are shared; None for others.
    """

    mesh: Mesh | None
    axes: Any
    count: int | None
    height: int | None

    @property
    def filled_height(self) -> int:
        """Rows that the devices hold together."""
        if self.mesh is None or self.height is None:
            return 0
        return -(-self.height // self.mesh.shape[ROWS]) * self.mesh.shape[ROWS]

    @property
    def problem_axes(self) -> Any:
        """The axes of the problem that `spread` returns; None without a batch."""
        if self.axes is None or self.height is None or not self._crops:
            return None if self.axes is None else self.axes[0]
        return Cropped(self.axes[0], self.height)

    @property
    def _crops(self) -> bool:
        return self.height is not None and self.filled_height != self.height

    def spread(self, problem: Minimizable, z: Any, key: Array) -> tuple[Any, Any, Array]:
        """Returns problem, unknowns and key where they belong, filled up; where rows are shared, of shapes too."""
        if self.mesh is None:
            return problem, z, key
        if self.height is None:
            spread: tuple[Any, Any, Array] = sharding.spread(self.axes, (problem, z, key), self.mesh)
            return spread
        if self._crops:
            problem, z = Cropped(problem, self.height), _with_height(z, np.shape(z), self.filled_height)
        if self.axes is None:
            return self._placed(problem, None), self._placed(z, None), self._placed(key, None)
        axes = self.problem_axes, *self.axes[1:]
        filled = sharding.filled(axes, (problem, z, key), self.mesh)
        made: tuple[Any, Any, Array] = tuple(map(self._placed, filled, axes))
        return made

    def spread_state(self, state: Any) -> Any:
        """Returns a state without filling where it belongs, filled up, in memory of its own."""
        # The loop takes its argument's memory, and the caller may want to go on from there again.
        state = jax.tree.map(jnp.copy, state)
        if self.mesh is None:
            return state
        if self._crops:
            shape = np.shape(state.z)
            state = jax.tree.map(lambda leaf: _with_height(leaf, shape, self.filled_height), state)
        if self.axes is not None:
            state = sharding.filled(0, state, self.mesh)
        return jax.device_put(state, self.of_state(state))

    def of_state(self, state: Any) -> Any:
        """Returns where each leaf of a state belongs, filled up; None for the one device."""
        if self.mesh is None:
            return jax.tree.map(lambda leaf: None, state)
        if self.height is None:
            where = sharding.placement(0, self.mesh)
            return jax.tree.map(lambda leaf: where, state)
        return state_placements(state, self.mesh)

    def without_filling(self, state: Any) -> Any:
        """Returns a state without the pictures and rows that only fill up the devices."""
        if self.mesh is None:
            return state
        if self._crops and self.height is not None:
            height, shape = self.height, np.shape(state.z)
            state = jax.tree.map(lambda leaf: _with_height(leaf, shape, height), state)
        if self.count is None:
            return state
        count = self.count
        return jax.tree.map(lambda leaf: sharding.rows(leaf, 0, count, count), state)

    def own(self, leaf: Array) -> Array:
        """Returns a copy of unknowns without filling; donating the state takes the original."""
        if len(leaf.devices()) == 1:
            return jnp.array(leaf, copy=True)
        whole = np.asarray(leaf)[: self.count] if self.count is not None else np.asarray(leaf)
        return jax.device_put(whole[..., : self.height, :, :] if self._crops else whole)

    def of_each(self, numbers: Any) -> np.ndarray:
        """Returns what there is one of for each picture, without that of pictures that only fill up."""
        found = np.asarray(numbers)
        return found if self.count is None else found[: self.count]

    def _placed(self, tree: Any, axes: Any) -> Any:
        mesh: Any = self.mesh
        paths, structure = jax.tree_util.tree_flatten_with_path(tree)
        every = sharding.flat_axes(axes, tree)

        def spec(path: Any, leaf: Any, axis: int | None) -> PartitionSpec:
            before = (AXIS,) * (axis is not None)
            inside = any(getattr(part, "name", "") == "network" for part in path)
            shape = np.shape(leaf)[len(before) :]
            shared = not inside and len(shape) == 3 and shape[0] % mesh.shape[ROWS] == 0
            return PartitionSpec(*before, ROWS) if shared else PartitionSpec(*before)

        placed = [
            _put(leaf, NamedSharding(mesh, spec(path, leaf, axis)))
            for (path, leaf), axis in zip(paths, every, strict=True)
        ]
        return jax.tree.unflatten(structure, placed)


def layout(problem: Minimizable, z: Any, key: Array, batch_axes: Any, mesh: Mesh | None) -> Layout:
    """Returns where a run lies; arguments as for `minimize`.

    Raises:
      ValueError: If there is a mesh and no batch, but for one that shares rows alone; if rows are shared and the
        unknowns are no picture, [h, w, c], or have fewer rows than devices; or if the problem, the start and the
        keys of a batch differ in their number of images.
    """
    axes, count, height = None, None, None
    if batch_axes is not None:
        axes = batch_axes, 0, 0 if key.ndim else None
        count = sharding.image_count(axes, (problem, z, key))
    elif mesh is not None and (not has_rows(mesh) or mesh.shape[AXIS] > 1):
        raise ValueError(
            "mesh is given without batch_axes; one problem runs on one device, or shares its rows among all, by "
            "`jaxviz.mesh(n, rows=n)`; `stack` makes a batch"
        )
    if has_rows(mesh):
        height = _checked_height(problem, z, count is not None, mesh)
    return Layout(mesh, axes, count, height)


def _checked_height(problem: Minimizable, z: Any, stacked: bool, mesh: Any) -> int:
    shape: tuple[int, ...] = np.shape(z)[stacked:] if hasattr(z, "shape") else ()
    if len(shape) != 3:
        raise ValueError(
            "the rows of a picture are shared, but the unknowns are none of shape [height, width, channels]; "
            "take pixels, or a mesh without rows"
        )
    if shape[0] < mesh.shape[ROWS]:
        raise ValueError(f"the picture has {shape[0]} rows; {mesh.shape[ROWS]} devices cannot share them")
    if isinstance(problem, Judging) and shape[0] % mesh.shape[ROWS]:
        raise ValueError(f"the picture has {shape[0]} rows; expected a multiple of {mesh.shape[ROWS]}")
    return int(shape[0])


def state_placements(state: Any, mesh: Mesh) -> Any:
    """Returns where each leaf of a state belongs that shares rows: those that hold unknowns by rows."""
    shape = np.shape(state.z)
    stacked = (AXIS,) * (len(shape) == 4)

    def placement(leaf: Any) -> NamedSharding:
        axis = _rows_axis(leaf, shape)
        if axis is None:
            return NamedSharding(mesh, PartitionSpec(*stacked))
        between = (None,) * (np.ndim(leaf) + axis - len(stacked))
        return NamedSharding(mesh, PartitionSpec(*stacked, *between, ROWS))

    return jax.tree.map(placement, state)


def held(state: Any, mesh: Mesh | None) -> Any:
    """Returns a state inside a program, kept where it belongs where its rows are shared."""
    if mesh is None or not has_rows(mesh):
        return state
    return jax.tree.map(jax.lax.with_sharding_constraint, state, state_placements(state, mesh))


def by_rows(picture: Image, mesh: Mesh | None) -> Any:
    """Returns a picture, [h, w, c], with its rows shared, where the devices divide their number; else as it is."""
    if mesh is None or not has_rows(mesh) or np.shape(picture)[0] % mesh.shape[ROWS]:
        return picture
    return jax.device_put(picture, NamedSharding(mesh, PartitionSpec(ROWS)))


def _put(leaf: Any, where: NamedSharding) -> Any:
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where, weak_type=leaf.weak_type)
    return jax.device_put(leaf, where)


def _rows_axis(leaf: Any, shape: tuple[int, ...]) -> int | None:
    """Returns the axis, from the end, along which a leaf has the rows of unknowns of this shape; None for none.

    An optimizer keeps them as they are, or as one long vector each.
    """
    if np.ndim(leaf) >= len(shape) and np.shape(leaf)[-3:] == shape[-3:]:
        return -3
    flat = np.ndim(leaf) >= len(shape) - 2 and np.shape(leaf)[-1] == math.prod(shape[-3:])
    return -1 if flat else None


def _with_height(leaf: Any, shape: tuple[int, ...], height: int) -> Any:
    """Returns a leaf whose unknowns, of this shape, have so many rows: the first, or zeros below."""
    axis = _rows_axis(leaf, shape)
    if axis is None:
        return leaf
    before = np.shape(leaf)[:axis]
    h, w, c = shape[-3:]
    after = (height, w, c) if axis == -3 else (height * w * c,)
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct((*before, *after), leaf.dtype)
    rows = np.asarray(leaf).reshape(*before, h, w, c)[..., :height, :, :]
    margins = [(0, 0)] * len(before) + [(0, height - rows.shape[-3]), (0, 0), (0, 0)]
    return np.pad(rows, margins).reshape(*before, *after)
