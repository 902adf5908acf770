"""How long the device waits for the host between two chunks of the loop, read off the profiler's trace."""

import gzip
import json
import math
import time
from pathlib import Path
from typing import Any

import jax

from jaxviz._checks import known, number
from jaxviz.costs.programs import TECHNIQUES, program
from jaxviz.optimization import minimize

LOOP = "advance"
"""The name of the loop's function: the compiler's module is jit_advance, the host's call PjitFunction(advance)."""
UNDER_WAY = "ThunkExecutor::Execute (wait for completion)"
"""On a processor: from a program's call to its end. Of its convolutions' threads the trace has only the start."""
SUMMARIES = ("XLA Modules", "Steps", "Framework", "TensorFlow", "Source")
"""How lines of a trace begin that have whole programs as one event, and so no gaps within them."""
SECONDS = 5.0
TRIAL = 8
"""Evaluations by which is seen how many fit the seconds."""


def gaps(
    technique: str = "style",
    folder: str | Path = "trace",
    *,
    size: int = 128,
    precision: str = "float32",
    seconds: float | int = SECONDS,
) -> dict[str, Any]:
    """Returns what share of a run the device waits, by the profiler's trace of `jaxviz.minimize`.

    Args:
      technique: One of `TECHNIQUES` that minimizes.
      folder: Where the profiler writes; the trace is a file in it.
      size: Side of the picture in pixels.
      precision: Of the network.
      seconds: How long the run is to be, about. A profiler keeps a million events, some thousand each evaluation.

    Returns:
      As `waits`, and `trace`, the path of the trace; `evaluations`; `wall_s`, the seconds of the loop by the clock,
      and `between_by_clock`, the share of them in which no chunk was under way or read, as a check.

    Raises:
      KeyError: If there is no such technique.
      ValueError: If it minimizes nothing, or the size is below 1.

    Example:
      >>> import tempfile
      >>> from jaxviz import costs
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     found = costs.gaps("ifgsm", folder, size=32, seconds=0)
      >>> 0 <= found["between"] <= found["idle"] <= 1
      True
    """
    _, method = TECHNIQUES[known(technique, TECHNIQUES, "technique")]
    if method.problem is None:
        raise ValueError(
            f"{technique} minimizes nothing, so it has no loop with gaps; take style or inversion"
        )
    number(seconds, "seconds", 0)
    problem, state, _ = program(technique, size=size, precision=precision).make()

    def run(steps: int) -> tuple[Any, float]:
        began = time.perf_counter()
        found = minimize(
            problem, state.z, steps=steps, optimizer=state.optimizer, on_chunk=lambda solution: None
        )
        return found, time.perf_counter() - began

    tried, _ = run(TRIAL)
    steps = max(TRIAL, math.ceil(seconds * TRIAL / max(tried.run_seconds, 1e-9)))
    # Each call of Python as an event of its own would slow the host, which is what is measured.
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    with jax.profiler.trace(folder, profiler_options=options):
        found, wall = run(steps)
    trace = max(Path(folder).rglob("*.trace.json.gz"), key=lambda path: path.stat().st_mtime)
    looping = wall - found.compile_seconds
    record = {"technique": technique, "size": size, "precision": precision, "trace": str(trace)}
    record |= {"evaluations": int(found.evaluations), "wall_s": looping}
    return record | {"between_by_clock": max(0.0, 1 - found.run_seconds / looping)} | waits(events(trace))


def events(trace: str | Path) -> list[dict[str, Any]]:
    """Returns the events of a trace in the file of the profiler; times in microseconds."""
    with gzip.open(trace, "rt", encoding="utf-8") as file:
        return json.load(file)["traceEvents"]


def waits(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns what share of the loop's time the device works on no compiled program.

    An event that names its `hlo_module` is an operation on the device; on a processor there is one for the whole of
    each program besides, as the trace has not all that its threads do. Of the time from the first to the last
    operation of the loop's, what none covers is `idle`. A chunk begins where the host calls the loop; of the idle
    time, what lies around such a call, from the loop's last operation before it to its first after it, is `between`
    chunks. The rest are waits within a chunk, of an accelerator for its next kernel.

    Args:
      events: As a trace has them: `name`, `ts` and `dur` in microseconds, `args`.

    Returns:
      `chunks`, `traced_s`, and the shares `idle` and `between`.

    Raises:
      ValueError: If the loop is not in the trace.

    Example:
      >>> from jaxviz.costs.waiting import waits
      >>> operation = {"ph": "X", "name": "conv", "args": {"hlo_module": "jit_advance"}}
      >>> called = {"ph": "X", "name": "PjitFunction(advance)", "dur": 1}
      >>> found = waits([
      ...     called | {"ts": 0}, operation | {"ts": 2, "dur": 48},
      ...     called | {"ts": 60}, operation | {"ts": 62, "dur": 40}])
      >>> found["chunks"], found["idle"], found["between"]
      (2, 0.12, 0.12)
    """
    lines = {
        (event.get("pid"), event.get("tid"))
        for event in events
        if event.get("name") == "thread_name" and event["args"]["name"].startswith(SUMMARIES)
    }
    timed = [
        event
        for event in events
        if event.get("ph") == "X" and (event.get("pid"), event.get("tid")) not in lines
    ]
    operations = [event for event in timed if "hlo_module" in event.get("args", {})]
    looping = [event for event in operations if LOOP in event["args"]["hlo_module"]]
    busy = operations + [event for event in timed if event["name"] == UNDER_WAY]
    if not looping:
        raise ValueError("the trace holds no operation of the loop")
    began = min(event["ts"] for event in looping)
    ended = max(event["ts"] + event["dur"] for event in looping)
    uncovered, covered = [], began
    for event in sorted(busy, key=lambda event: event["ts"]):
        if covered < min(event["ts"], ended):
            uncovered.append((covered, event["ts"]))
        covered = max(covered, event["ts"] + event["dur"])
    calls = _calls(timed)
    between = 0.0
    for call in calls:
        before = max((e["ts"] + e["dur"] for e in looping if e["ts"] < call), default=began)
        after = min((e["ts"] for e in looping if e["ts"] >= call), default=ended)
        between += sum(stop - start for start, stop in uncovered if before <= start and stop <= after)
    whole, idle = ended - began, sum(stop - start for start, stop in uncovered)
    return {"chunks": len(calls), "traced_s": whole / 1e6, "idle": idle / whole, "between": between / whole}


def _calls(timed: list[dict[str, Any]]) -> list[float | int]:
    """Returns when the host called the loop: of each call there are several events, one within the other."""
    moments: list[float | int] = []
    end = -math.inf
    for event in sorted(timed, key=lambda event: event["ts"]):
        if event["name"] == f"PjitFunction({LOOP})" and event["ts"] >= end:
            moments.append(event["ts"])
            end = event["ts"] + event["dur"]
    return moments
