"""Several devices: a batch is split over them, or the rows of each picture too; a network is copied to each.

Of a batch every device runs the program of its own images and none waits for another, so there is no communication
to get wrong or to pay for; how rows are shared, `placing` tells. Axes are those of `jax.vmap`: 0 for what differs
from image to image, None for what all share.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxviz._checks import whole

AXIS = "batch"
ROWS = "rows"


def mesh(devices: int | str = "all", *, rows: int = 1) -> Mesh:
    """Returns a mesh for `minimize(..., mesh=)` and `batched(..., mesh=)`.

    Its axis "batch" shares pictures among devices. With `rows` above 1, the rows of each picture are shared among
    so many of them, by the axis "rows": one picture that is too large for a device, or a batch of such.

    Args:
      devices: How many to take, at least 1; "all" for all that this process has.
      rows: Devices that share the rows of one picture, a divisor of the number of devices.

    Raises:
      ValueError: If there are fewer, or `rows` is no divisor.

    Example:
      >>> dict(jaxviz.mesh(1).shape)
      {'batch': 1}
    """
    there = jax.local_devices()
    wanted = str(devices).strip().lower()
    if wanted != "all" and not (wanted.isdecimal() and int(wanted) > 0):
        raise ValueError(f"devices is {devices!r}; expected 'all' or a number from 1 to {len(there)}")
    count = len(there) if wanted == "all" else int(wanted)
    if count > len(there):
        kind = there[0].platform
        remedy = "; for virtual ones set XLA_FLAGS=--xla_force_host_platform_device_count=" + str(count)
        raise ValueError(
            f"devices is {count}, but there {'is' if len(there) == 1 else 'are'} {len(there)} of kind "
            f"{kind}{remedy if kind == 'cpu' else ''}"
        )
    if whole(rows, "rows") == 1:
        return Mesh(np.asarray(there[:count]), (AXIS,))
    if count % rows:
        raise ValueError(f"rows is {rows}; expected a divisor of the number of devices, {count}")
    return Mesh(np.asarray(there[:count]).reshape(-1, rows), (AXIS, ROWS))


def has_rows(mesh: Mesh | None) -> bool:
    """Returns whether a mesh shares the rows of pictures among devices."""
    return mesh is not None and ROWS in mesh.axis_names


def flat_axes(axes: Any, tree: Any) -> list[int | None]:
    """Returns the axis of each leaf of `tree`, which `axes` gives for it or for a whole branch.

    Raises:
      ValueError: If an axis is neither 0 nor None, or the trees differ.
    """
    given, structure = jax.tree.flatten(axes, is_leaf=lambda axis: axis is None)
    made: Any = structure  # whose method the stubs of JAX do not name
    for axis in given:
        if axis is not None and (isinstance(axis, bool) or axis != 0):
            raise ValueError(f"an axis is {axis!r}; expected 0 for stacked and None for shared arguments")
    if isinstance(axes, tuple) and isinstance(tree, tuple) and len(axes) != len(tree):
        raise ValueError(f"axes are given for {len(axes)} arguments; there are {len(tree)}")
    branches = made.flatten_up_to(tree)
    return [axis for axis, branch in zip(given, branches, strict=True) for _ in jax.tree.leaves(branch)]


def image_count(axes: Any, tree: Any) -> int:
    """Returns how many images are stacked in `tree`.

    Raises:
      ValueError: If nothing is stacked, or not equally many everywhere.
    """
    paths = jax.tree_util.tree_flatten_with_path(tree)[0]
    counts: dict[int, str] = {}
    for (path, leaf), axis in zip(paths, flat_axes(axes, tree), strict=True):
        if axis is not None:
            name = jax.tree_util.keystr(path)
            if np.ndim(leaf) == 0:
                raise ValueError(f"argument {name} is one number; expected one for each image, or axis None")
            counts.setdefault(np.shape(leaf)[0], name)
    if not counts:
        raise ValueError("no argument has axis 0, so there is no batch")
    if len(counts) > 1:
        found = ", ".join(f"{n} in argument {name}" for n, name in counts.items())
        raise ValueError(f"arguments differ in their number of images: {found}")
    return next(iter(counts))


def map_stacked(function: Callable[[Any], Any], axes: Any, tree: Any) -> Any:
    """Returns `tree` with `function` applied to its stacked leaves."""
    leaves, structure = jax.tree.flatten(tree)
    both = zip(flat_axes(axes, tree), leaves, strict=True)
    return jax.tree.unflatten(structure, [leaf if axis is None else function(leaf) for axis, leaf in both])


def rows(leaf: Any, start: int, stop: int, count: int) -> Any:
    """Returns rows `start` to `stop` of a stacked leaf, the last repeated until there are `count`."""
    if start == 0 and stop == count == np.shape(leaf)[0]:
        return leaf
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = rows(jax.random.key_data(leaf), start, stop, count)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    # Slices of NumPy arrays compile nothing, those of JAX arrays a program for each size.
    on_host = isinstance(leaf, np.ndarray) or (_concrete(leaf) and _on_cpu(leaf))
    part = (np.asarray(leaf) if on_host else leaf)[start:stop]
    missing = count - (stop - start)
    if missing == 0:
        return part
    repeat, join = (np.repeat, np.concatenate) if on_host else (jnp.repeat, jnp.concatenate)
    return join([part, repeat(part[-1:], missing, axis=0)])


def place(axes: Any, tree: Any, mesh: Mesh) -> Any:
    """Returns `tree` on the devices of a mesh: stacked leaves split, shared ones copied to each.

    What is placed already stays where it is, so place a network once to use it often. The number of images
    must be a multiple of the number of devices.
    """
    leaves, structure = jax.tree.flatten(tree)
    both = zip(leaves, flat_axes(axes, tree), strict=True)
    placed = [jax.device_put(leaf, placement(axis, mesh)) for leaf, axis in both]
    return jax.tree.unflatten(structure, placed)


def spread(axes: Any, tree: Any, mesh: Mesh) -> Any:
    """Returns `tree` on the devices of a mesh, the last image repeated until each device has equally many."""
    return place(axes, filled(axes, tree, mesh), mesh)


def filled(axes: Any, tree: Any, mesh: Mesh) -> Any:
    """Returns `tree` with the last image repeated until the devices' shares are equal."""
    n, shares = image_count(axes, tree), mesh.shape[AXIS]
    return map_stacked(lambda leaf: rows(leaf, 0, n, -(-n // shares) * shares), axes, tree)


def placement(axis: int | None, mesh: Mesh) -> NamedSharding:
    """Returns where an argument of this axis belongs: split over the devices, or copied to each."""
    return NamedSharding(mesh, _spec(axis))


def split(function: Callable, mesh: Mesh | None, in_axes: Any) -> Callable:
    """Returns a function of a batch as one in which each device computes its own part of the batch.

    Args:
      function: Of stacked and shared arguments, such as `jax.vmap` returns; all results are stacked.
      mesh: From `mesh`; None returns `function` as it is.
      in_axes: One tree of axes for each argument, or 0 for all.

    Raises:
      ValueError: If the mesh shares rows.
    """
    if mesh is None:
        return function
    if has_rows(mesh):
        raise ValueError(
            "the mesh shares the rows of pictures, which `minimize` alone does; take one without"
        )
    specs = jax.tree.map(_spec, in_axes, is_leaf=lambda axis: axis is None)
    # The check of which values vary asks the loops inside for annotations that they do not have.
    return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=_spec(0), check_vma=False)


def _spec(axis: int | None) -> PartitionSpec:
    return PartitionSpec() if axis is None else PartitionSpec(AXIS)


def _concrete(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer)


def _on_cpu(leaf: jax.Array) -> bool:
    return all(device.platform == "cpu" for device in leaf.devices())
