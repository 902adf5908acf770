"""Runs the benchmarks on the device that JAX finds: `python -m benchmarks --out DIR [--quick] [--only NAME]`."""

import argparse
import os
import time
from pathlib import Path

# Both sides share one accelerator: JAX must not take most of its memory at the start.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax

from benchmarks import gatys, networks, protocol, saliency, step, table, transfer

BENCHMARKS = {"gatys": gatys, "saliency": saliency, "transfer": transfer, "step": step}
USUAL = tuple(BENCHMARKS)
BENCHMARKS |= {"networks": networks.SINGLE, "networks16": networks.SIXTEEN}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Times jaxviz against its rivals."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for one JSON file per benchmark")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, two rounds: a check, not a measurement"
    )
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="run this one; may be repeated")
    parser.add_argument("--precision", choices=("float32", "tf32"), default="float32", help="of both sides")
    parser.add_argument("--commit", default="", help="recorded where the checkout has no git")
    arguments = parser.parse_args()
    settings = protocol.Settings(arguments.quick, arguments.precision, arguments.commit)
    load = protocol.load()
    if load > 0.3:
        print(
            f"Other work kept {load:.1f} cores busy in the last minute: these times will not be believable."
        )
    records = []
    for name in arguments.only or USUAL:
        module = BENCHMARKS[name]
        jax.clear_caches()  # what an earlier benchmark compiled would count as compiled in no time
        began = time.perf_counter()
        print(f"{name}: {module.TITLE}", flush=True)
        record = {
            "benchmark": name,
            "title": module.TITLE,
            "unit": module.UNIT,
            "quick": settings.quick,
            "rows": module.run(settings),
            "environment": protocol.environment(settings) | {"cores_busy_before": load},
        }
        path = protocol.save(arguments.out, name, record)
        print(f"  {path.name} after {time.perf_counter() - began:.0f} s", flush=True)
        records.append(record)
    print()
    print(table.sides(records))
    print()
    print(table.table(records))


if __name__ == "__main__":
    main()
