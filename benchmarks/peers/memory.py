"""The same evaluations in PyTorch, which sees the picture whole."""

import resource
import time
from typing import Any

import torch

from benchmarks import workload
from benchmarks.peers import losses, runtime
from benchmarks.worker import Work


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the layout that is the faster in `gatys`: two in one process would have one peak."""
    return {"": {"torch.optim.LBFGS eager, channels-last": lambda: transfer(options)}}


def transfer(options) -> Work:
    """Returns the work of a number of evaluations."""
    layout = torch.channels_last
    content, style = workload.pair(options["size"])
    loss = losses.GatysLoss(content[None], style, layout)
    start = runtime.tensor(content[None], layout)
    work = Work(lambda: None, units=options["evaluations"])

    def call(steps=options["evaluations"]):
        runtime.ready(losses.lbfgs(loss, start, steps))
        work.facts["peak_bytes"] = peak()

    began = time.perf_counter()
    call(1)
    work.first = (time.perf_counter() - began, 1)
    work.call = call
    return work


def peak() -> int:
    """Returns the most bytes that this process, or the accelerator that it uses, has held at once."""
    if runtime.device() == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
