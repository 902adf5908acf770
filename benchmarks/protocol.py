"""How times are taken: apart from compiling, until the result is there, the sides in turn, with their spread."""

import dataclasses
import json
import math
import os
import platform
import statistics
import subprocess
import time
import timeit
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxviz

ROOT = Path(__file__).resolve().parents[1]
PAUSE = 0.25
"""Seconds of rest before each measurement, in which threads that wait for work by spinning go to sleep."""
SHORTEST = 0.1
"""Seconds that a measurement lasts at least: shorter calls are repeated."""


@dataclasses.dataclass
class Settings:
    """What the command line chose."""

    quick: bool = False
    precision: str = "float32"
    commit: str = ""

    def rounds(self, full: int) -> int:
        return min(full, 2) if self.quick else full


@dataclasses.dataclass
class Side:
    """One of the contestants.

    Attributes:
      name: As in the table.
      call: Does the work once and returns when the result is there.
      units: How many units of work one call does; times are divided by it.
      prepare: Called before each measurement, outside the measured time; such a call is not repeated.
      repeats: Calls per measurement.
      facts: What else the record is to say.
      first: Seconds of the first call, which compiles, and the units that it did.
    """

    name: str
    call: Callable[[], Any]
    units: int = 1
    prepare: Callable[[], Any] | None = None
    repeats: int = 1
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)
    first: tuple[float, float] = (0.0, 0.0)
    times: list[float] = dataclasses.field(default_factory=list)

    def timed(self) -> float:
        """Returns the seconds that a call took."""
        if self.prepare is not None:
            self.prepare()
        began = time.perf_counter()
        for _ in range(self.repeats):
            self.call()
        seconds = (time.perf_counter() - began) / self.repeats
        if not self.first[0]:
            self.first = (seconds, self.units)
        return seconds

    def record(self) -> dict[str, Any]:
        quartiles = statistics.quantiles(self.times, n=4) if len(self.times) > 1 else self.times * 3
        return {
            "median_s": statistics.median(self.times),
            "min_s": min(self.times),
            "max_s": max(self.times),
            "quartiles_s": [quartiles[0], quartiles[2]],
            "first_call_s": self.first[0],
            "compile_s": max(0.0, self.first[0] - statistics.median(self.times) * self.first[1]),
            "units_per_measurement": self.units * self.repeats,
            "times_s": self.times,
            **self.facts,
        }


def alternate(sides: Sequence[Side], rounds: int, *, warmups: int = 2) -> None:
    """Times the sides in turn, A B C A B C …, after `warmups` calls of each, of which the first compiles."""
    for side in sides:
        for _ in range(warmups):
            seconds = side.timed()
        if warmups and side.prepare is None:
            side.repeats = min(100, math.ceil(SHORTEST / seconds))
    for _ in range(rounds):
        for side in sides:
            time.sleep(PAUSE)
            side.times.append(side.timed() / side.units)


def fastest(trials: Mapping[str, Callable[[], Any]], calls: int = 3) -> str:
    """Returns the name of the trial with the shortest of a few calls, after one that is not timed."""
    shortest = {}
    for name, trial in trials.items():
        trial()
        shortest[name] = min(timeit.repeat(trial, number=1, repeat=calls))
    return min(shortest, key=lambda name: shortest[name])


def surviving(sides: Sequence[Side], begin: Callable[[Side], Any] = Side.timed) -> list[Side]:
    """Returns the sides that run; prints why another does not, as a compiler may refuse where eager code runs."""
    kept = []
    for side in sides:
        try:
            begin(side)
        except Exception as error:
            print(f"  left out: {side.name}: {type(error).__name__}: {str(error).splitlines()[0][:160]}")
        else:
            kept.append(side)
    return kept


def ratio(ours: Side, other: Side) -> dict[str, Any]:
    """Returns our time ÷ the other's, round by round: below 1, ours is the faster."""
    pairs = [a / b for a, b in zip(ours.times, other.times, strict=True)]
    return {"median": statistics.median(pairs), "min": min(pairs), "max": max(pairs), "pairs": pairs}


def agreement(found: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Returns how far two sides' derivatives differ, relative to the largest entry.

    The median is rounding. The maximum is that of pixels whose max pooling ties, in flat regions, where rounding
    picks the winner: PyTorch's two layouts differ from each other by as much.
    """
    difference = np.abs(found - expected) / np.abs(expected).max()
    return {
        "median_difference_over_largest": float(np.median(difference)),
        "largest_difference_over_largest": float(difference.max()),
        "correlation": float(np.corrcoef(found.ravel(), expected.ravel())[0, 1]),
    }


def best(sides: Sequence[Side]) -> Side | None:
    """Returns the side of least median time, None where there is none."""
    return min(sides, key=lambda side: statistics.median(side.times), default=None)


def row(
    work: str, ours: Side, others: Sequence[Side], rivals: Sequence[Side], **facts: Any
) -> dict[str, Any]:
    """Returns one line of the table: `ours` against the best of `rivals`; `others` are reported beside them."""
    rival = best(rivals)
    return {
        "work": work,
        "ours": ours.name,
        "rival": None if rival is None else rival.name,
        "ratio": None if rival is None else ratio(ours, rival),
        "sides": {side.name: side.record() for side in (ours, *others, *rivals)},
        **facts,
    }


def environment(settings: Settings) -> dict[str, Any]:
    """Returns commit, device and versions."""
    device = jax.devices()[0]
    record = {
        "commit": settings.commit or commit(),
        "platform": device.platform,
        "device": device.device_kind if device.platform != "cpu" else processor(),
        "devices": jax.device_count(),
        "cores": cores(),
        "precision": settings.precision,
        "python": platform.python_version(),
        "jaxviz": jaxviz.__version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "torch": None,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    try:
        import torch
    except ModuleNotFoundError:
        return record
    return record | {"torch": torch.__version__}


def commit() -> str:
    """Returns the commit of the checkout, marked where tracked files differ from it; "unknown" without git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=10", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load() -> float:
    """Returns how many cores were busy on average over the last minute; 0 where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def processor() -> str:
    """Returns the processor's name."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def save(folder: Path, name: str, record: dict[str, Any]) -> Path:
    """Writes one benchmark's record as `name`-`platform`.json, with `-quick` or the precision where unusual."""
    platform_name = record["environment"]["platform"]
    precision = record["environment"]["precision"]
    parts = [name, platform_name] + ["quick"] * record["quick"] + [precision] * (precision != "float32")
    path = folder / f"{'-'.join(parts)}.json"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path
