"""How long a program takes: traced, compiled and called, with what it needs of the memory."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxviz._checks import whole
from jaxviz.costs.contents import contents, total_flops
from jaxviz.costs.programs import Program

MOST_CALLS = 200


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A program for its own arguments.

    Attributes:
      call: The compiled function.
      trace_s: Seconds of tracing and of lowering to what the compiler takes.
      compile_s: Seconds of the compiler.
      argument_bytes: What the arguments take, as far as the program uses them; None where the compiler tells none.
      temporary_bytes: What it needs besides arguments and results, likewise.
      memory_bytes: All three together, likewise.
    """

    call: Callable[..., Any]
    trace_s: float
    compile_s: float
    argument_bytes: int | None
    temporary_bytes: int | None
    memory_bytes: int | None


@dataclasses.dataclass(frozen=True)
class Traced:
    """A program that is traced and lowered, not yet compiled.

    Attributes:
      lowered: What JAX has of it.
      seconds: Of both.
      operations: Additions and multiplications of one call, as `costs.contents` counts them.
      counted: Whether all of its loops have a known length; an evaluation is the one turn of its own loop.
    """

    lowered: Any
    seconds: float
    operations: int
    counted: bool

    def compiled(self) -> Compiled:
        """Returns the compiled program."""
        began = time.perf_counter()
        made = self.lowered.compile()
        compiling = time.perf_counter() - began
        used = made.memory_analysis()
        needs: tuple[int | None, ...] = (None, None, None)
        if used is not None:
            total = used.argument_size_in_bytes + used.output_size_in_bytes + used.temp_size_in_bytes
            needs = used.argument_size_in_bytes, used.temp_size_in_bytes, total - used.alias_size_in_bytes
        return Compiled(made, self.seconds, compiling, *needs)


def traced(program: Program, arguments: tuple[Any, ...]) -> Traced:
    """Returns a program traced and lowered for arguments."""
    began = time.perf_counter()
    # A function of its own: of one that was traced before JAX would find that.
    lowered = jax.jit(lambda *arguments: program.function(*arguments)).lower(*arguments)
    seconds = time.perf_counter() - began
    found = contents(lowered.as_text())
    unknown = sum(times for loop, times in found.loops.items() if loop.rounds is None)
    made = total_flops(found.products)
    return Traced(lowered, seconds, made, unknown <= (program.unit == "evaluation"))


def timed(call: Callable[[], Any], seconds: float | int, least: int = 2) -> list[float]:
    """Returns the seconds of calls, until their results are there.

    The first call warms up, and counts only if it takes longer than `seconds`.

    Args:
      call: Does the work; its results are waited for.
      seconds: For how long to go on, judged by the first call.
      least: Calls to make at least; `MOST_CALLS` is the most.

    Example:
      >>> from jaxviz.costs.timing import timed
      >>> len(timed(lambda: jnp.ones(3), seconds=0, least=3))
      3
    """

    def once() -> float:
        began = time.perf_counter()
        jax.block_until_ready(call())
        return time.perf_counter() - began

    first = once()
    calls = min(max(math.ceil(seconds / max(first, 1e-9)), least), MOST_CALLS)
    # Of a long call, what warming up takes is no part that counts.
    times = [first] if first > seconds else []
    return times + [once() for _ in range(calls - len(times))]


def spread(times: list[float]) -> dict[str, float | int]:
    """Returns median, quartiles, lowest and highest of some seconds, and how many there are.

    Example:
      >>> from jaxviz.costs.timing import spread
      >>> spread([1.0, 3.0, 2.0])["median_s"]
      2.0
    """
    names = ("min_s", "q1_s", "median_s", "q3_s", "max_s")
    values = np.quantile(times, (0, 0.25, 0.5, 0.75, 1))
    return {"calls": len(times)} | {k: float(v) for k, v in zip(names, values, strict=True)}


def together(program: Program, count: int) -> Program:
    """Returns the program of several pictures at once: one compiled program, by `jax.vmap`.

    The network or the problem is shared; pictures, or the states of runs, are stacked.

    Raises:
      ValueError: If the count is below 1, or the program has many pictures of one result already.

    Example:
      >>> from jaxviz import costs
      >>> from jaxviz.costs.timing import together
      >>> several = together(costs.program("gradient", size=64), 3)
      >>> jax.eval_shape(several.function, *several.shapes).shape
      (3, 64, 64)
    """
    whole(count, "count")
    if program.of_many:
        raise ValueError(f"{program.technique} seeks one result for many pictures, which are its batch")
    evaluates = program.unit == "evaluation"

    def make() -> tuple[Any, ...]:
        shared, *own = program.make()
        last = own[1:] if evaluates else []
        own = own[:1] if evaluates else own
        return (shared, *jax.tree.map(lambda leaf: jnp.stack([jnp.asarray(leaf)] * count), own), *last)

    axes = (None, 0, None) if evaluates else (None, *[0] * (len(program.shapes) - 1))
    return dataclasses.replace(program, function=jax.vmap(program.function, in_axes=axes), make=make)
