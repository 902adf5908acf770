"""What a run needs of the memory, known before it begins, and windows that make it fit a budget."""

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxviz import sharding
from jaxviz.batching import bytes_of, device_memory
from jaxviz.optimization import programs
from jaxviz.optimizers import lbfgs
from jaxviz.stepping import Minimizable


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


WINDOWS = (None, 1024, 512, 256, 128)
"""Pixels of an image that are seen at once, down and across: all, or a window of about as many."""
DEVICE_SHARE = 0.8
PROCESS = 1.08
"""What a process takes over what it held and the program needs, for copies of pictures and the allocator: measured
were 0.98 to 1.06 in five runs from 96² to 2048² pixels."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a run fits a budget.

    Attributes:
      window: About how many pixels are seen at once, down and across; None for the whole image.
      predicted: Bytes that the run will have taken at most, what the process holds already included; None where the
        compiler tells none.
      budget: Bytes that it may take.
    """

    window: int | None
    predicted: int | None
    budget: int


def plan(
    pose: Callable[[int | None], tuple[Any, Any]],
    optimizer: Callable[[Any], Any],
    memory: str | int | float | None = None,
    windows: Sequence[int | None] = WINDOWS,
) -> Plan:
    """Returns the largest window with which a run fits a budget.

    The loop is compiled for each window that is tried, and its memory read off: the history of the optimizer is
    counted. Nothing is computed.

    Args:
      pose: From a window to the problem and its start.
      optimizer: From the start's shapes to the optimizer.
      memory: Bytes, or text such as "4GB": of the process on a CPU, of the device elsewhere. None for what
        the device has, less a fifth.
      windows: What may be tried, from large to small.

    Raises:
      ValueError: If even the smallest window needs more; the message says how much.
    """
    device = jax.local_devices()[0]
    budget = int(DEVICE_SHARE * device_memory(device)) if memory is None else bytes_of(memory)
    predicted, sides = None, None
    for window in windows:
        if window is not None and sides is not None and window >= max(sides):
            continue  # it would be the whole image once more
        problem, z = jax.eval_shape(lambda window=window: pose(window))
        sides = z.shape[:2]
        needed = memory_needed(problem, z, optimizer=optimizer(z))
        if needed is None:
            return Plan(window, None, budget)
        predicted = int(PROCESS * (needed + resident())) if device.platform == "cpu" else needed
        if predicted <= budget:
            return Plan(window, predicted, budget)
    raise ValueError(
        f"memory is {budget:,} bytes; the least that would do for this picture and optimizer is {predicted:,} bytes"
    )


def resident() -> int:
    """Returns the bytes of memory that this process holds now; 0 where the system does not tell."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if status.is_file() else 0


def peak() -> int:
    """Returns the most bytes that this process, or the accelerator that it uses, has held at once; 0 if unknown."""
    found = (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    if found:
        return int(found)
    try:
        import resource  # which Windows has not
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
