"""How times are taken: each side in processes of its own, in turns; the ratio of their medians and its spread."""

import dataclasses
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import system
from benchmarks.cases import Case, Process

TOLERANCES = {"float32": 1e-4, "tf32": 1e-2, "bfloat16": 1e-1}
"""How far results may differ in the median, over the largest; single values tenfold, over themselves."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the command line chose."""

    quick: bool = False
    precision: str = "float32"
    huge_pages: bool = True
    rounds: int | None = None


class Measured:
    """What the processes of one case have found."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.by: dict[tuple[str, str], int] = {}
        self.environment: dict[str, Any] = {}
        self.left_out: dict[str, str] = {}
        self.results: dict[str, np.ndarray] = {}

    def add(self, process: int, folder: Path) -> None:
        """Takes in what a process wrote."""
        record = json.loads((folder / "record.json").read_text())
        self.environment |= record["environment"]
        self.left_out |= record["left_out"]
        for row, variants in record["rows"].items():
            for name, times in variants.items():
                self.found.setdefault((row, name), []).append(times)
                self.by[row, name] = process
        with np.load(folder / "results.npz") as results:
            self.results |= dict(results)

    def rival_elsewhere(self) -> bool:
        """Returns whether PyTorch runs on another kind of device, and so is no rival."""
        both = [self.environment.get(name) for name in ("platform", "torch_platform")]
        return None not in both and both[0] != both[1]

    def of(self, row: str, process: int) -> list[str]:
        """Returns the variants of one process."""
        return [name for (other, name), by in self.by.items() if other == row and by == process]

    def medians(self, row: str, name: str) -> list[float]:
        """Returns the median of each process."""
        return [statistics.median(record["times_s"]) for record in self.found[row, name]]

    def fastest(self, row: str, names: Iterable[str]) -> str | None:
        """Returns the variant of least median among those that were measured in every round."""
        rounds = {name: len(self.found[row, name]) for name in names}
        kept = [name for name, count in rounds.items() if count == max(rounds.values())]
        return min(kept, key=lambda name: statistics.median(self.medians(row, name)), default=None)


def run(benchmark: str, case: Case, rounds: int, settings: Settings) -> tuple[list[dict], dict[str, Any]]:
    """Returns the rows of one case, and what its processes say of the environment."""
    measured = Measured()
    processes = [p for p in case.processes if p.side != "torch" or importlib.util.find_spec("torch")]
    with tempfile.TemporaryDirectory(prefix="jaxviz-benchmark-") as scratch:
        for number in range(rounds):
            for i, process in enumerate(processes):
                if process.side == "torch" and measured.rival_elsewhere():
                    continue
                only = _variants(case, process, measured, number, i)
                folder = Path(scratch) / f"process-{i}"
                _start(benchmark, case, process, only, number == 0, settings, Path(scratch), folder)
                measured.add(i, folder)
    if measured.rival_elsewhere():
        print("  PyTorch finds no GPU and JAX does: jaxviz alone")
    ours = next(i for i, process in enumerate(processes) if process.side == "jaxviz")
    for what, why in measured.left_out.items():
        print(f"  left out: {case.work} {what}: {why}")
    rows = list(dict.fromkeys(row for row, _ in measured.found))
    return [_row(case, row, ours, measured, settings) for row in rows], measured.environment


def _variants(case: Case, process: Process, measured: Measured, number: int, i: int) -> dict[str, list[str]]:
    if number and case.keep_fastest and process.side == "torch":
        rows = dict.fromkeys(row for row, _ in measured.found)
        fastest = {row: measured.fastest(row, measured.of(row, i)) for row in rows}
        return {row: [name] for row, name in fastest.items() if name}
    return {"": list(process.only)}


def _start(benchmark, case, process, only, wants_results, settings, scratch: Path, folder: Path) -> None:
    options = {
        **case.options,
        "variants": only,
        "results": wants_results,
        "precision": settings.precision,
        "quick": settings.quick,
        "cores": system.cores(),
        "scratch": str(scratch),
        "seconds": 0.1 if settings.quick else case.seconds,
        "least": 2 if settings.quick else case.least,
        "calls": case.calls,
    }
    environment = system.environment(settings.huge_pages) | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(system.ROOT), os.environ.get("PYTHONPATH")])),
        # What the first round compiled, the others find: its seconds are those that count as compiling.
        "JAX_COMPILATION_CACHE_DIR": str(scratch / "jax") if case.cached else "",
        "TORCHINDUCTOR_CACHE_DIR": str(scratch / "torch"),
    }
    command = [sys.executable, "-m", "benchmarks.worker", benchmark, process.side, "--out", str(folder)]
    subprocess.run([*command, "--options", json.dumps(options)], env=environment, check=True)


def _row(case: Case, row: str, ours: int, measured: Measured, settings: Settings) -> dict[str, Any]:
    """Returns one line of the table: our first variant against the fastest of the rival's."""
    names = [name for other, name in measured.found if other == row]
    mine = measured.of(row, ours)[0]
    like = case.against.get(row, row)
    others = [name for (other, name), by in measured.by.items() if other == like and by != ours]
    rivals = [] if measured.rival_elsewhere() else others
    rival = measured.fastest(like, rivals)
    sides = {name: _side(measured, row, name) for name in names}
    return {
        "work": ", ".join(filter(None, [case.work, row])),
        "ours": mine,
        "rival": rival,
        "ratio": rival and ratio(measured.medians(row, mine), measured.medians(like, rival)),
        "sides": sides | ({rival: _side(measured, like, rival)} if rival else {}),
        "agreement": rival and agreement(measured.results, row, mine, [rival, *rivals], settings.precision),
        "left_out": measured.left_out,
        **case.options,
        **case.facts,
        **({"target": case.targets[row]} if row in case.targets else {}),
    }


def _side(measured: Measured, row: str, name: str) -> dict[str, Any]:
    records, medians = measured.found[row, name], measured.medians(row, name)
    return {
        "median_s": statistics.median(medians),
        "min_s": min(medians),
        "max_s": max(medians),
        "compile_s": records[0]["compile_s"],
        "first_call_s": records[0]["first_call_s"],
        "units_per_call": records[0]["units_per_call"],
        "processes_s": [record["times_s"] for record in records],
        **records[0]["facts"],
    }


def ratio(ours: list[float], theirs: list[float]) -> dict[str, Any]:
    """Returns our time ÷ theirs, of the medians of each round's processes: below 1, ours is the faster."""
    rounds = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {"median": statistics.median(rounds), "min": min(rounds), "max": max(rounds), "rounds": rounds}


def agreement(
    results: dict[str, np.ndarray], row: str, ours: str, rivals: list[str], precision: str
) -> dict[str, Any]:
    """Returns how far our results differ from the first rival's that has such, and whether by rounding alone.

    The median is rounding. The maximum is that of pixels whose max pooling ties, in flat regions, where rounding
    picks the winner: PyTorch's two layouts differ from each other by as much.
    """
    found: dict[str, Any] = {"agrees": True}
    tolerance = TOLERANCES[precision]
    for key, mine in results.items():
        if not key.startswith(f"{row}|{ours}|"):
            continue
        what = key.split("|")[2]
        theirs = (results.get(f"{row}|{rival}|{what}") for rival in rivals)
        other = next((array for array in theirs if array is not None), None)
        if other is None or other.shape != mine.shape:
            continue
        largest = float(np.abs(other).max()) or 1.0
        if mine.ndim == 0:
            difference = abs(float(mine) - float(other)) / largest
            found[what] = {"relative_difference": difference, "values": [float(mine), float(other)]}
            found["agrees"] &= difference < 10 * tolerance
            continue
        differences = np.abs(mine - other) / largest
        varies = bool(np.ptp(mine) and np.ptp(other))
        found[what] = {
            "median_difference_over_largest": float(np.median(differences)),
            "largest_difference_over_largest": float(differences.max()),
            "correlation": float(np.corrcoef(mine.ravel(), other.ravel())[0, 1]) if varies else None,
        }
        found["agrees"] &= float(np.median(differences)) < tolerance
    return found if len(found) > 1 else {"agrees": None}
