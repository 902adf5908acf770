"""Runs jobs in groups of processes over loopback; run by test_processes.py as a process of its own.

Each process is a fork of this one, which has imported everything and started nothing. The steps come as JSON, each
with `folder`, `count`, what holds for `all` processes, what for one, by its number, and `kill`: which to kill and
after how many seconds. The outcomes go to stdout.
"""

import errno
import json
import os
import signal
import socket
import sys
import time
import traceback
import warnings
from pathlib import Path

import grain  # noqa: F401  see killed.py
import jax
import pyarrow.parquet  # noqa: F401
from little import Drawn, Mean

from jaxviz import distributed, images, jobs
from jaxviz.cli import _explained
from jaxviz.jobs import manifest, sharing


class Doomed(Mean):
    """A task that does to its process what it is told, in the call of that number."""

    def __init__(self, at, what, **more):
        super().__init__(**more)
        self.at, self.what = at, what

    def __call__(self, *arguments):
        if len(self.calls) == self.at:
            ENDS[self.what]()
        return super().__call__(*arguments)


def fill():
    def write(path, picture):
        with images.writing(path):
            raise OSError(errno.ENOSPC, "No space left on device")

    images.write = write


ENDS = {
    "busy": lambda: time.sleep(1000),
    "full": fill,
    "interrupted": lambda: os.kill(os.getpid(), signal.SIGINT),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
}


def work(port, count, index, out, told):
    """What one process does; prints its report."""
    usual = {"pictures": 30, "bad": (7,), "shard": 3, "seconds": 0.0, "at": -1, "what": "", "settings": {}}
    usual |= {"wait": 20, "heartbeat": 30, "environment": None, "code": None, "seen": 90, "out": out.name}
    usual["plain"] = False
    given = usual | told
    sharing.SEEN = given["seen"]
    if given["code"] is not None:
        manifest.code_hash = lambda: given["code"]
    source = Drawn(given["pictures"], bad=given["bad"], shapes=((8, 8), (8, 16)))
    task = Doomed(given["at"], given["what"], seconds=given["seconds"], settings=given["settings"])
    seen = []

    def run():
        report = jobs.run(
            task,
            source,
            out=out.parent / given["out"],
            shard=given["shard"],
            on_progress=lambda at: seen.append(at.done),
        )
        found = {name: getattr(report, name) for name in ("total", "made", "already", "processes", "idle")}
        print(json.dumps(found | {"own": sum(shape[0] for shape in task.calls), "seen": seen}))  # noqa: T201

    if count == 1:
        run()
        return
    by_hand = (f"127.0.0.1:{port}", count, index)
    if given["plain"]:
        jax.distributed.initialize(*by_hand, cluster_detection_method="deactivate")
        jobs.run(task, source, out=out, shard=given["shard"])
        run()
        jax.distributed.shutdown()
        return
    if given["environment"] is not None:
        by_hand = ()
        os.environ.update({name: text.format(index=index) for name, text in given["environment"].items()})
        os.environ["JAX_COORDINATOR_PORT"] = str(port)
    with distributed.joined(*by_hand, wait=given["wait"], heartbeat=given["heartbeat"]):
        run()


def child(folder, port, count, index, out, told):
    """Starts one process, whose output goes to files; returns its number."""
    with warnings.catch_warnings(action="ignore"):  # JAX warns of forks
        number = os.fork()
    if number:
        return number
    for stream, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / f"{name}-{index}", os.O_CREAT | os.O_WRONLY | os.O_TRUNC), stream)
    code = 0
    try:
        work(port, count, index, out, told)
    except BaseException as error:
        code, message = _explained(error)
        print(f"jaxviz: {message}", file=sys.stderr)  # noqa: T201
        if "bug" in message:
            traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def step(folder, told):
    """Runs one group to its end; returns what came of each process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began, count = time.perf_counter(), told["count"]
    indices = told.get("only", range(count))
    numbers = {
        child(folder, port, count, k, folder / told["folder"], told.get("all", {}) | told.get(str(k), {})): k
        for k in indices
    }
    if "kill" in told:
        index, seconds = told["kill"]
        time.sleep(seconds)
        os.kill(next(number for number, k in numbers.items() if k == index), signal.SIGKILL)
    outcomes = {}
    for _ in numbers:
        number, status = os.wait()
        k = numbers[number]
        out, err = ((folder / f"{name}-{k}").read_text() for name in ("stdout", "stderr"))
        outcomes[k] = {
            "code": os.waitstatus_to_exitcode(status),
            "seconds": time.perf_counter() - began,
            "report": json.loads(out) if out else None,
            "said": [line for line in err.splitlines() if line.startswith("jaxviz: ")],
            "stderr": err,
        }
    return [outcomes[k] for k in indices]


if __name__ == "__main__":
    steps = json.loads(sys.argv[2])
    print(json.dumps([step(Path(sys.argv[1]), told) for told in steps]))  # noqa: T201
