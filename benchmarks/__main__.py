"""Runs the benchmarks on the device that JAX finds: `python -m benchmarks --out DIR [--quick] [--only NAME]`."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import protocol, system, table
from benchmarks.cases import BENCHMARKS

USUAL = ("gatys", "saliency", "transfer", "step")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Times jaxviz against its rivals."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for one JSON file per benchmark")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, one round: a check, not a measurement"
    )
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="run this one; may be repeated")
    parser.add_argument("--case", action="append", help="of those, only this case, such as resnet18 or 512²")
    parser.add_argument("--rounds", type=int, help="processes of each side")
    parser.add_argument("--precision", choices=protocol.TOLERANCES, default="float32", help="of both sides")
    parser.add_argument("--no-huge-pages", action="store_true", help="4 KiB pages for both sides")
    parser.add_argument("--commit", default="", help="recorded where the checkout has no git")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick and arguments.rounds is None else arguments.rounds
    settings = protocol.Settings(arguments.quick, arguments.precision, not arguments.no_huge_pages, rounds)
    load = system.load()
    if load > 0.3:
        print(
            f"Other work kept {load:.1f} cores busy in the last minute: these times will not be believable."
        )
    facts = system.facts(system.environment(settings.huge_pages), arguments.commit)
    facts |= {"precision": settings.precision, "cores_busy_before": load}
    records = [
        measured(name, settings, arguments.case or (), facts, arguments.out)
        for name in arguments.only or USUAL
    ]
    print(f"\n{table.whole(records)}")
    differing = [
        f"{record['benchmark']} {row['work']}"
        for record in records
        for row in record["rows"]
        if row["agreement"] and row["agreement"]["agrees"] is False
    ]
    if differing:
        print(f"\nThe sides differ by more than rounding: {', '.join(differing)}", file=sys.stderr)
    return bool(differing)


def measured(
    name: str, settings: protocol.Settings, only: tuple[str, ...], facts: dict[str, Any], out: Path
) -> dict[str, Any]:
    """Returns the record of one benchmark, which it has written."""
    benchmark, began = BENCHMARKS[name], time.perf_counter()
    print(f"{name}: {benchmark.title}", flush=True)
    rows, environment = [], dict(facts)
    rounds = settings.rounds or benchmark.rounds
    record: dict[str, Any] = {}
    for case in benchmark.cases(settings.quick):
        if only and case.work.split(",")[0] not in only:
            continue
        found, told = protocol.run(benchmark.module or name, case, rounds, settings)
        rows += found
        environment |= told
        for row in found:
            against = f": {row['ratio']['median']:.2f} of {row['rival']}" if row["ratio"] else ""
            print(f"  {row['work']}{against}", flush=True)
        kind = "processor" if environment["platform"] == "cpu" else "device_kind"
        record = {
            "benchmark": name,
            "title": benchmark.title,
            "unit": benchmark.unit,
            "quick": settings.quick,
            "rounds": rounds,
            "rows": rows,
            "environment": {"torch": None} | environment | {"device": environment[kind]},
            "seconds": round(time.perf_counter() - began),
        }
        # After each case: a long benchmark that is cut off keeps what it has.
        path = save(out, record)
    if not rows:
        raise SystemExit(f"{name} has no case {', '.join(only)}")
    print(f"  {path.name} after {record['seconds']} s", flush=True)
    return record


def save(folder: Path, record: dict[str, Any]) -> Path:
    """Writes a record as `benchmark`-`platform`.json, with what is unusual about it."""
    environment = record["environment"]
    parts = [record["benchmark"], environment["platform"]] + ["quick"] * record["quick"]
    parts += [environment["precision"]] * (environment["precision"] != "float32")
    parts += ["small-pages"] * (environment["platform"] == "cpu" and not environment["huge_pages"])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{'-'.join(parts)}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path


if __name__ == "__main__":
    sys.exit(main())
