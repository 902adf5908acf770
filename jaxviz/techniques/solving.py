"""One picture's problem, or many stacked, handed to `minimize` with the steps and the optimizer of its method."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from jaxviz.memory import memory_needed
from jaxviz.networks import Network
from jaxviz.optimization import Solution, minimize
from jaxviz.optimizers import Optimizer
from jaxviz.problem import stack
from jaxviz.techniques.registry import Method, Preset

AT_ONCE = {"cpu": 4}
AT_ONCE_ELSEWHERE = 16


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


def at_once() -> int:
    """Returns how many problems in one program are fastest, on each device, where the memory allows it."""
    return AT_ONCE.get(jax.devices()[0].platform, AT_ONCE_ELSEWHERE)


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
      options: Of each picture the keywords; those of the schedule must be the same for all.
      mesh: Devices to share the batch among, from `sharding.mesh`.
      on_chunk: As for `minimize`.
    """
    problem, z, axes, steps, optimizer = _batch(method, network, inputs, options)
    more = {} if mesh is None else {"mesh": mesh}
    return minimize(problem, z, steps=steps, optimizer=optimizer, batch_axes=axes, on_chunk=on_chunk, **more)


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
