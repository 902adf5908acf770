"""One picture's problem, or many stacked, handed to `minimize` with the steps and the optimizer of its method."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from jaxviz import placing, sharding, snapshots
from jaxviz._checks import random_key
from jaxviz.memory import Form, Plan, memory_needed, plan
from jaxviz.networks import Network
from jaxviz.optimization import Solution, minimize
from jaxviz.optimizers import Optimizer
from jaxviz.parameterizations import Pixels
from jaxviz.problem import stack
from jaxviz.techniques.registry import Method, Preset

AT_ONCE = {"cpu": 4}
AT_ONCE_ELSEWHERE = 16
LARGE = 1024 * 1024
"""Pixels of a picture above which the memory is asked about before the run."""


def schedule_of(presets: Mapping[str, Preset]) -> Callable[..., tuple[int, Optimizer]]:
    """Returns the `schedule` of a method with presets: evaluations and optimizer, those given or the preset's."""

    def schedule(
        start: Any, *, preset: str = "default", steps: int | None = None, optimizer: Optimizer | None = None
    ) -> tuple[int, Optimizer]:
        chosen = presets[preset]
        return (
            chosen.steps if steps is None else steps,
            chosen.optimizer(start) if optimizer is None else optimizer,
        )

    return schedule


def solve(
    problem: Any,
    z: Any,
    *,
    snapshot: str | Path | None = None,
    every: int = 100,
    resume: bool = False,
    **more: Any,
) -> Solution:
    """Returns what `minimize` does, by way of snapshots where a file is named for them.

    Args:
      problem: As for `minimize`.
      z: As for `minimize`.
      snapshot: File to keep the run's state in; None for none.
      every: Evaluations between two snapshots.
      resume: Whether to go on from the snapshot where it exists.
      more: As for `minimize`.
    """
    if snapshot is None:
        return minimize(problem, z, **more)
    return snapshots.minimize(problem, z, path=snapshot, every=every, resume=resume, **more)


def planned(
    pose: Callable[..., Any],
    schedule: Callable[..., tuple[int, Optimizer]],
    network: Network,
    *inputs: Any,
    shape: tuple[int, ...],
    memory: str | int | float | Plan | None = None,
    preset: str = "default",
    optimizer: Optimizer | None = None,
    mesh: Mesh | None = None,
    **options: Any,
) -> Plan | None:
    """Returns how a picture is to be seen so that a run fits the memory, and what it takes.

    Where no memory is named, pictures of up to 1024² pixels are seen whole, without asking: None.

    Args:
      pose: The `problem` of a method, one that has a `window`.
      schedule: The method's.
      network: Φ.
      inputs: What `pose` takes after the network.
      shape: h and w of the picture that is sought.
      memory: As for `jaxviz.memory.plan`; or a plan, which is taken as it is.
      preset: The method's.
      optimizer: None for the preset's.
      mesh: Devices that share the picture's rows; None for one.
      options: Of the problem.

    Raises:
      ValueError: If the memory is too small: the message says the least that would do.

    Example:
      >>> from jaxviz.techniques import FAMILIES, solving
      >>> method, picture = FAMILIES["texture"].methods["texture"], jnp.full((16, 16, 3), 0.5)
      >>> found = solving.planned(
      ...     method.problem, method.schedule, jaxviz.load("vgg16"), picture,
      ...     shape=(16, 16), memory="64GB", weights={"relu1_1": 1})
      >>> found.form.window is None, found.predicted < found.budget
      (True, True)
    """
    if isinstance(memory, Plan):
        return memory
    if memory is None and shape[0] * shape[1] <= LARGE:
        return None
    return plan(
        lambda form: pose(
            _rematerialized(network, form), *inputs, preset=preset, **{**options, "window": form.window}
        ),
        lambda z: schedule(z, preset=preset, optimizer=optimizer)[1],
        memory,
        mesh=mesh,
    )


def seen_as(network: Network, plan: Plan | None, window: int | None) -> tuple[Network, int | None]:
    """Returns the network and the window of a plan; without one those given."""
    return (network, window) if plan is None else (_rematerialized(network, plan.form), plan.form.window)


def _rematerialized(network: Network, form: Form) -> Network:
    return dataclasses.replace(network, rematerialized=True) if form.rematerialized else network


def over_rows(network: Network, picture: Any, mesh: Mesh | None) -> tuple[Network, Any]:
    """Returns the network on all devices of a mesh, and a picture's rows shared among them; None changes nothing.

    What is made of both then is spread over the devices too, such as the features that are to be matched.
    """
    if mesh is None:
        return network, picture
    return sharding.place(None, network, mesh), placing.by_rows(picture, mesh)


def at_once() -> int:
    """Returns how many problems in one program are fastest, on each device, where the memory allows it."""
    return AT_ONCE.get(jax.local_devices()[0].platform, AT_ONCE_ELSEWHERE)


def solve_many(
    method: Method,
    network: Network,
    inputs: Sequence[tuple[Any, ...]],
    options: Sequence[Mapping[str, Any]],
    *,
    mesh: Any = None,
    on_chunk: Callable[[Solution], None] | None = None,
) -> Solution:
    """Returns the solutions of a method that minimizes for many pictures of one size, as one batch.

    Args:
      method: One with a `problem` and a `schedule`.
      network: Φ.
      inputs: Of each picture what `problem` takes after the network.
      options: Of each picture the keywords; those of the schedule, and `key`, must be the same for all.
      mesh: Devices to share the batch among, from `sharding.mesh`.
      on_chunk: As for `minimize`.
    """
    problem, z, axes, steps, optimizer = _batch(method, network, inputs, options)
    more: dict[str, Any] = {} if mesh is None else {"mesh": mesh}
    if "key" in options[0]:
        more["key"] = random_key(options[0]["key"])
    found = minimize(problem, z, steps=steps, optimizer=optimizer, batch_axes=axes, on_chunk=on_chunk, **more)
    if not isinstance(getattr(problem, "parameterization", Pixels()), Pixels):
        shown = jax.vmap(lambda shape, z: shape.decode(z), in_axes=(axes.parameterization, 0))
        found = dataclasses.replace(found, value=shown(problem.parameterization, found.value))
    return found


def memory_of_many(
    method: Method,
    network: Network,
    inputs: Sequence[tuple[Any, ...]],
    options: Sequence[Mapping[str, Any]],
    *,
    mesh: Any = None,
) -> int | None:
    """Returns the bytes of each device that `solve_many` needs for these; None where the compiler tells none.

    Arguments as for `solve_many`; only the shapes of the pictures matter.
    """
    problem, z, axes, _, optimizer = _batch(method, network, inputs, options)
    return memory_needed(problem, z, optimizer=optimizer, batch_axes=axes, mesh=mesh)


def _batch(
    method: Method,
    network: Network,
    inputs: Sequence[tuple[Any, ...]],
    options: Sequence[Mapping[str, Any]],
) -> tuple[Any, Any, Any, int, Optimizer]:
    if method.problem is None or method.schedule is None:
        raise ValueError(f"{method.title} minimizes nothing; map its function over pictures instead")
    pairs = [
        method.problem(network, *given, **taken(method.problem, chosen))
        for given, chosen in zip(inputs, options, strict=True)
    ]
    (problem, z), (axes, _) = stack(pairs)
    steps, optimizer = method.schedule(pairs[0][1], **taken(method.schedule, options[0]))
    return problem, z, axes, steps, optimizer


def taken(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those of the options that a function has."""
    has = inspect.signature(function).parameters
    return {name: value for name, value in options.items() if name in has}
