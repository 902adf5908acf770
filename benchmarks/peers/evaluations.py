"""The same evaluations by torch.optim.LBFGS; of a batch, of the sum of its pictures' losses."""

import time
from typing import Any

import torch

from benchmarks import workload
from benchmarks.peers import losses, runtime
from benchmarks.worker import Work


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns both layouts; on a GPU the one that is the faster in `gatys` compiled as well."""
    count, evaluations = options["batch"], options["evaluations"]
    _, style = workload.pair(options["size"])
    contents = workload.crops(count, options["size"])

    def make(layout, wrapped) -> Work:
        loss = wrapped(losses.GatysLoss(contents, style, layout))
        start = runtime.tensor(contents, layout)
        work = Work(lambda: None, units=count * evaluations)

        def value(x):
            with torch.autocast(runtime.device(), torch.bfloat16, options["precision"] == "bfloat16"):
                return loss(x)

        def call(steps=evaluations):
            began = time.perf_counter()
            runtime.ready(losses.lbfgs(value, start, steps))
            seconds = (time.perf_counter() - began) / (count * steps)
            name = torch.cuda.get_device_name() if runtime.device() == "cuda" else ""
            work.facts |= workload.reached(seconds, options, name)

        began = time.perf_counter()
        call(options["warmup"])
        work.first = (time.perf_counter() - began, options["warmup"] * count)
        work.call = call
        return work

    return {"": runtime.variants(make, "torch.optim.LBFGS ", ["channels-last"])}
