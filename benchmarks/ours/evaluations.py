"""Many evaluations of style transfer by L-BFGS, one picture or a batch, in one compiled loop."""

import time
from typing import Any

import jax

from benchmarks import workload
from benchmarks.ours import problems
from benchmarks.worker import Work
from jaxviz import optimization, optimizers


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns one row."""
    return {"": {"jaxviz": lambda: loop(options)}}


def loop(options) -> Work:
    """Returns the work of the loop; its unit is one evaluation of one picture."""
    count, evaluations = options["batch"], options["evaluations"]
    size, precision = options["size"], options["precision"]
    if count == 1:
        (problem, starts), axes = problems.style(size, precision), None
    else:
        problem, starts, axes = problems.batch("style", count, size, precision)
    work = Work(lambda: None, units=count * evaluations)

    def call(steps=evaluations):
        found = optimization.minimize(
            problem, starts, steps=steps, optimizer=optimizers.lbfgs(20), batch_axes=axes
        )
        seconds = found.run_seconds / (count * steps)
        work.facts |= workload.reached(seconds, options, jax.devices()[0].device_kind)

    began = time.perf_counter()
    call(options["warmup"])
    work.first = (time.perf_counter() - began, options["warmup"] * count)
    work.call = call
    return work
