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

from jaxviz.batching import bytes_of, device_memory
from jaxviz.optimization import programs
from jaxviz.optimizers import lbfgs
from jaxviz.placing import layout
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
    place = layout(problem, z, key, batch_axes, mesh)
    if place.mesh is not None:  # what is placed has numbers; without a mesh shapes will do
        problem, z, key = place.spread(problem, z, key)
    start, run = programs(place.problem_axes, False, place.mesh)
    state = jax.eval_shape(start, problem, z, lbfgs() if optimizer is None else optimizer, key)
    state = jax.tree.map(
        lambda leaf, where: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=where, weak_type=leaf.weak_type
        ),
        state,
        place.of_state(state),
    )
    used = run.lower(problem, state, np.int32(0)).compile().memory_analysis()
    if used is None:
        return None
    # The new state takes the place of the old one, and is counted once.
    held = used.argument_size_in_bytes + used.output_size_in_bytes - used.alias_size_in_bytes
    return int(held + used.temp_size_in_bytes)


@dataclasses.dataclass(frozen=True)
class Form:
    """One way to see an image.

    Attributes:
      window: About how many pixels are seen at once, down and across; None for the whole image.
      rematerialized: Whether features are computed again for the derivative, instead of kept.
    """

    window: int | None = None
    rematerialized: bool = False


WINDOWS = tuple(Form(window) for window in (1024, 512, 256, 128))
FORMS = {"cpu": (Form(), *WINDOWS)}
FORMS_ELSEWHERE = (Form(), Form(rematerialized=True), *WINDOWS)
"""What may be tried, from fast to small. All give the same numbers, up to rounding, so none has fewer bits."""
DEVICE_SHARE = 0.8
PROCESS = 1.08
"""What a process takes over what it held and the program needs, for copies of pictures and the allocator: measured
were 0.98 to 1.06 in five runs from 96² to 2048² pixels."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a run fits a budget.

    Attributes:
      form: How the image is seen.
      predicted: Bytes that the run will have taken at most, what the process holds already included; None where the
        compiler tells none.
      budget: Bytes that it may take.
    """

    form: Form
    predicted: int | None
    budget: int


def plan(
    pose: Callable[[Form], tuple[Any, Any]],
    optimizer: Callable[[Any], Any],
    memory: str | int | float | None = None,
    forms: Sequence[Form] | None = None,
    mesh: Mesh | None = None,
) -> Plan:
    """Returns the fastest form of a run that fits a budget.

    The loop is compiled for each form that is tried, and its memory read off: the history of the optimizer is
    counted. Nothing is computed.

    Args:
      pose: From a form to the problem and its start.
      optimizer: From the start's shapes to the optimizer.
      memory: Bytes, or text such as "4GB": of the process on a CPU, of the device elsewhere. None for what
        the device has, less a fifth.
      forms: What may be tried, from fast to small; None for what the device has.
      mesh: Devices that share the picture's rows; it is seen whole then, and the memory is that of each.

    Raises:
      ValueError: If even the smallest form needs more; the message says how much.
    """
    device = jax.local_devices()[0]
    budget = int(DEVICE_SHARE * device_memory(device)) if memory is None else bytes_of(memory)
    predicted, least, sides = None, None, None
    if forms is None:
        forms = FORMS.get(device.platform, FORMS_ELSEWHERE)
    for form in forms if mesh is None else [form for form in forms if form.window is None]:
        if form.window is not None and sides is not None and form.window >= max(sides):
            continue  # it would be the whole image once more
        problem, z = jax.eval_shape(lambda form=form: pose(form))
        sides = z.shape[:2]
        needed = memory_needed(problem, z, optimizer=optimizer(z), mesh=mesh)
        if needed is None:
            return Plan(form, None, budget)
        predicted = needed
        if device.platform == "cpu":  # whose devices are one process
            predicted = int(PROCESS * (needed * (1 if mesh is None else mesh.size) + resident()))
        if predicted <= budget:
            return Plan(form, predicted, budget)
        least = predicted if least is None else min(least, predicted)
    raise ValueError(
        f"memory is {budget:,} bytes; the least that would do for this picture and optimizer is {least:,} bytes"
        + (f" on each of {mesh.size} devices" if mesh is not None and device.platform != "cpu" else "")
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
