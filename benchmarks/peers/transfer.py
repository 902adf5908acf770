"""Style transfer by torch.optim.LBFGS, and by pystiche where it is installed."""

import importlib.util
import time
from typing import Any

import torch

from benchmarks import workload
from benchmarks.peers import losses, runtime
from benchmarks.worker import Work


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns both layouts; on a GPU compiled as well; and pystiche."""
    content, style = workload.pair(options["size"])

    def make(layout, wrapped) -> Work:
        loss = wrapped(losses.GatysLoss(content[None], style, layout))
        start = runtime.tensor(content[None], layout)
        work = Work(lambda: None)

        def call(steps=options["evaluations"]):
            image, trace = losses.lbfgs(loss, start, steps)
            with torch.no_grad():
                work.facts |= {
                    "evaluations": len(trace),
                    "loss_reached": loss(image).item(),
                    "loss_reached_clipped_to_colors": loss(image.clamp(0, 1)).item(),
                    "loss_at_start": trace[0],
                }

        began = time.perf_counter()
        call(options["warmup"])
        work.first = (time.perf_counter() - began, options["warmup"] / options["evaluations"])
        work.call = call
        work.result = lambda: {"loss_at_start": work.facts["loss_at_start"]}
        return work

    variants = runtime.variants(make, "torch.optim.LBFGS ")
    if importlib.util.find_spec("pystiche"):
        from benchmarks.peers import pystiche_transfer

        variants["pystiche"] = lambda: pystiche_transfer.run(options)
    return {"": variants}
