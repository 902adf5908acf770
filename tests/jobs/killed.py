"""Runs a job again and again, killing it at random moments; run by test_kills.py as a process of its own.

Each attempt is a fork of this process, which has imported everything and started nothing.
"""

import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

import grain  # noqa: F401  what a run imports when it begins would take most of the time before a kill
import pyarrow.parquet  # noqa: F401
from little import Drawn, Mean

from jaxviz import jobs


def attempt(folder):
    """Starts a run in a child, and returns its process number."""
    with warnings.catch_warnings(action="ignore"):  # JAX warns of forks; the child is all that uses it
        child = os.fork()
    if child == 0:
        source = Drawn(120, bad=(7, 50), seconds=0.001)
        jobs.run(Mean(seconds=0.01), source, out=folder, shard=5, workers=2)
        os._exit(0)
    return child


def main():
    folder, kills = Path(sys.argv[1]), int(sys.argv[2])
    randomness, told = random.Random(0), []
    began = time.perf_counter()
    _, status = os.waitpid(attempt(folder / "whole"), 0)
    # How long a run takes is the machine's: kills fall within the first sixth of one.
    longest = (time.perf_counter() - began) / 6
    whole = {"exit": os.waitstatus_to_exitcode(status)}
    for _ in range(kills):
        child = attempt(folder / "killed")
        time.sleep(randomness.uniform(0.0, longest))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        torn = [p.name for p in (folder / "killed").rglob(".jaxviz-*")] if folder.exists() else []
        ready = len(list((folder / "killed").glob("results-*.parquet")))
        told.append({"killed": os.WIFSIGNALED(status), "torn": len(torn), "ready": ready})
    _, status = os.waitpid(attempt(folder / "killed"), 0)
    told += [{"exit": os.waitstatus_to_exitcode(status)}, whole]
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main()
