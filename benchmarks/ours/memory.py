"""Style transfer of large pictures within a memory, counted for the whole process."""

import time
from typing import Any

import jaxviz
from benchmarks import workload
from benchmarks.worker import Work
from jaxviz import memory
from jaxviz.techniques import FAMILIES, solving


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the run through windows that fit, if the whole does not."""
    return {"": {"jaxviz": lambda: transfer(options)}}


def transfer(options) -> Work:
    """Returns the work of a number of evaluations."""
    content, painting = workload.pair(options["size"])
    network = jaxviz.load("vgg16", precision=options["precision"])
    method = FAMILIES["style"].methods["style"]
    plan = solving.planned(
        method.problem,
        method.schedule,
        network,
        content,
        [painting],
        shape=content.shape[:2],
        memory=options["memory"],
    )
    work = Work(lambda: None, units=options["evaluations"])
    work.facts = {
        "window": plan.form.window,
        "rematerialized": plan.form.rematerialized,
        "predicted_bytes": plan.predicted,
        "budget_bytes": plan.budget,
    }

    def call(steps=options["evaluations"]):
        jaxviz.style.transfer(network, content, [painting], steps=steps, memory=plan)
        work.facts["peak_bytes"] = memory.peak()

    began = time.perf_counter()
    call(1)
    work.first = (time.perf_counter() - began, 1)
    work.call = call
    return work
