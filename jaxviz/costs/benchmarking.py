"""Every technique measured: how long it compiles and runs, what it needs, how near the ceiling it comes."""

import functools
import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxviz import zoo
from jaxviz._checks import known, number, whole
from jaxviz.batching import batched
from jaxviz.costs.ceilings import ceiling
from jaxviz.costs.machines import machine
from jaxviz.costs.programs import TECHNIQUES, Program, program
from jaxviz.costs.timing import Traced, spread, timed, traced
from jaxviz.techniques import FAMILIES

SIZE = 128
"""Side of the picture: at 224 pixels all techniques together would take far longer than `BUDGET` on a processor."""
SECONDS, BUDGET = 0.5, 120.0
"""For how long each technique is repeated, and all together."""
BATCH = 8
LIKELY_SHARE = 0.3
"""Of the ceiling, by which is foreseen how long a call will take."""
LIKELY_COMPILING = 4.0
"""Seconds that compiling is foreseen to take before any was measured."""
LIKELY_TURNS = 10
"""Of a loop whose length is known only at its end, where the method has no number of steps."""
MOST = 1 / 5
"""Of the budget, that one technique may take: a few slow ones are not to take the place of all others."""
SIZE_QUICK = 32


def bench(
    techniques: Sequence[str] | None = None,
    *,
    size: int | None = None,
    precision: str = "float32",
    seconds: float | int = SECONDS,
    budget: float | int = BUDGET,
    quick: bool = False,
    on_row: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Returns what techniques cost on this device.

    Without names all are measured, as far as the budget goes: the usual one of each family, the same in batches of
    `BATCH` pictures, then the others, of each family in turns, those that minimize at the end.

    Args:
      techniques: Names of `TECHNIQUES`, each of which is measured for one picture and, where it makes pictures one
        by one, in a batch; None for all.
      size: Side of the picture in pixels; None for `SIZE`.
      precision: Of the networks: "float32", "tf32" or "bfloat16".
      seconds: For how long each is repeated, at least twice.
      budget: Seconds for all; a technique that is foreseen to go beyond them, or to take more than a fifth, is left
        out. Not of those named.
      quick: Whether one call of each, at `SIZE_QUICK` pixels, will do: a check that it runs, no measurement, and no
        share of a ceiling.
      on_row: Called with each row as soon as it is there.

    Returns:
      `machine`, `ceiling`, `rows` and `left_out`, name → why; as `docs/benchmarking.md` tells.

    Raises:
      KeyError: If there is no such technique or precision.
      ValueError: If the size is below 1, or seconds are negative.

    Example:
      >>> from jaxviz import costs
      >>> row, = costs.bench(["activations"], quick=True)["rows"]
      >>> row["technique"], row["size"], row["calls"], row["unit"]
      ('activations', 32, 1, 'picture')
    """
    began = time.perf_counter()
    for name in techniques or ():
        known(name, TECHNIQUES, "technique")
    number(seconds, "seconds", 0)
    number(budget, "budget", 0)
    size = whole((SIZE_QUICK if quick else SIZE) if size is None else size, "size")
    repeated = {"seconds": 0.0 if quick else seconds, "least": 1 if quick else 2}
    load = functools.cache(functools.partial(zoo.load, precision=precision))
    record: dict[str, Any] = {"machine": machine(), "ceiling": ceiling(precision, quick=quick)}
    top = record["ceiling"]["operations_per_second"]
    rows: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}
    for name, batch in _order(techniques, quick):
        left = math.inf if techniques is not None else budget - (time.perf_counter() - began)
        if left <= 0:
            left_out[_named(name, batch)] = "as the seconds had ended"
            continue
        made = program(name, network=load(TECHNIQUES[name][0].network), size=size)
        arguments = jax.device_put(made.make())
        found = traced(made, arguments)
        turns = batch * (1 if found.counted else _turns(name))
        foreseen = repeated["least"] * turns * found.operations / (LIKELY_SHARE * top)
        foreseen += statistics.median([row["compile_s"] for row in rows] or [LIKELY_COMPILING])
        if techniques is None and foreseen > min(left, MOST * budget):
            left_out[_named(name, batch)] = f"foreseen to take {foreseen:.0f} s"
            continue
        row = {"technique": name, "family": made.family, "size": size, "precision": precision}
        row |= {"batch": batch, "unit": made.unit}
        row |= _one(found, arguments, repeated) if batch == 1 else _several(made, arguments, batch, repeated)
        rows.append(row | _pace(row, found, None if quick else top))
        if on_row is not None:
            on_row(rows[-1])
    return record | {"rows": rows, "left_out": left_out, "seconds": {"total": time.perf_counter() - began}}


def _order(techniques: Iterable[str] | None, quick: bool) -> list[tuple[str, int]]:
    """Returns what is measured, one after the other: techniques, each with a number of pictures."""
    if techniques is not None:
        return [(name, n) for name in techniques for n in ((1,) if quick else _batches(name))]
    families = [[name for name in family.methods if name in TECHNIQUES] for family in FAMILIES.values()]
    usual = [names[0] for names in families]
    if quick:
        return [(name, 1) for name in usual]
    in_turns = itertools.chain.from_iterable(itertools.zip_longest(*families))
    several = [(name, n) for name in usual for n in _batches(name)[1:]]
    rest = [name for name in in_turns if name is not None and name not in usual]
    # Those that minimize compile longest.
    rest.sort(key=lambda name: TECHNIQUES[name][1].problem is not None)
    return [(name, 1) for name in usual] + several + [(name, 1) for name in rest]


def _turns(name: str) -> float:
    """Returns how often a technique's loop is likely to turn."""
    _, method = TECHNIQUES[name]
    said = [method.default(option) for option in ("steps", "searches") if option in method.options]
    return math.prod(filter(None, said)) if any(said) else LIKELY_TURNS


def _batches(name: str) -> tuple[int, ...]:
    _, method = TECHNIQUES[name]
    return (1,) if method.problem is not None else (1, BATCH)


def _named(name: str, batch: int) -> str:
    return name if batch == 1 else f"{name}, batch {batch}"


def _one(found: Traced, arguments: tuple[Any, ...], repeated: dict[str, Any]) -> dict[str, Any]:
    """Returns the numbers of a program for one picture."""
    made = found.compiled()
    numbers = {name: getattr(made, name) for name in ("trace_s", "compile_s")}
    numbers |= {name: getattr(made, name) for name in ("argument_bytes", "temporary_bytes", "memory_bytes")}
    return numbers | spread(timed(lambda: made.call(*arguments), **repeated))


def _several(
    made: Program, arguments: tuple[Any, ...], batch: int, repeated: dict[str, Any]
) -> dict[str, Any]:
    """Returns the numbers of a batch by `jaxviz.batched`, which compiles in its first call."""
    network, *own = arguments
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf] * batch), own)
    maps = batched(made.function, in_axes=(None, *[0] * len(own)))
    began = time.perf_counter()
    jax.block_until_ready(maps(network, *stacked))
    first = time.perf_counter() - began
    taken = spread(timed(lambda: maps(network, *stacked), **repeated))
    numbers: dict[str, Any] = {"trace_s": None, "compile_s": max(0.0, first - taken["median_s"])}
    numbers |= {"argument_bytes": None, "temporary_bytes": None, "memory_bytes": None}
    return numbers | taken


def _pace(row: dict[str, Any], found: Traced, top: float | None) -> dict[str, Any]:
    made = row["batch"] * found.operations if found.counted else None
    reached = None if made is None else made / row["median_s"]
    return {
        "per_second": row["batch"] / row["median_s"],
        "operations": made,
        "operations_per_second": reached,
        "share_of_ceiling": None if reached is None or top is None else reached / top,
    }
