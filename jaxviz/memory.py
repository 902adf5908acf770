"""What a run needs of the memory, before it begins."""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxviz import sharding
from jaxviz.optimization import Minimizable, programs
from jaxviz.optimizers import lbfgs


def memory_needed(
    problem: Minimizable, z: Any, *, optimizer: Any = None, batch_axes: Any = None, mesh: Mesh | None = None
) -> int | None:
    """Returns the bytes of each device that `minimize` needs for its loop; None where the compiler tells none.

    Nothing is minimized. The loop is compiled for it, and not again for a `minimize` of these shapes.

    Args:
      problem: As for `minimize`.
      z: As for `minimize`.
      optimizer: As for `minimize`.
      batch_axes: As for `minimize`.
      mesh: As for `minimize`.

    Raises:
      ValueError: If the problem and the start of a batch differ in their number of images.
    """
    key = jax.random.key(0)
    where = None
    if batch_axes is not None and mesh is not None:
        problem, z, key = sharding.spread((batch_axes, 0, None), (problem, z, key), mesh)
        where = sharding.placement(0, mesh)
    start, run = programs(batch_axes, False, mesh)
    state = jax.eval_shape(start, problem, z, lbfgs() if optimizer is None else optimizer, key)
    state = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where, weak_type=leaf.weak_type),
        state,
    )
    used = run.lower(problem, state, np.int32(0)).compile().memory_analysis()
    if used is None:
        return None
    # The new state takes the place of the old one, and is counted once.
    held = used.argument_size_in_bytes + used.output_size_in_bytes - used.alias_size_in_bytes
    return int(held + used.temp_size_in_bytes)
