"""Style transfer by torch.optim.LBFGS, in the layout that is the faster; its losses are the other side's target."""

import json
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import workload
from benchmarks.peers import losses, runtime
from benchmarks.worker import Work


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns one row: which layout is the faster is tried before."""
    return {"": {"torch.optim.LBFGS eager, best layout": lambda: descent(options)}}


def descent(options) -> Work:
    """Returns the work of a run of all evaluations."""
    content, style = workload.pair(options["size"])
    paces = {}
    for name, layout in runtime.LAYOUTS.items():
        loss = losses.GatysLoss(content[None], style, layout)
        start = runtime.tensor(content[None], layout)
        losses.lbfgs(loss, start, options["warmup"])
        began = time.perf_counter()
        runtime.ready(losses.lbfgs(loss, start, options["warmup"]))
        paces[name] = time.perf_counter() - began, loss, start
    best = min(paces, key=lambda name: paces[name][0])
    _, loss, start = paces[best]
    work = Work(lambda: None, facts={"layout": best})

    def call(steps=options["evaluations"]):
        image, trace = losses.lbfgs(loss, start, steps)
        with torch.no_grad():
            clipped = loss(image.clamp(0, 1)).item()
        work.facts |= {
            "evaluations": len(trace),
            "reached": True,
            "loss_reached": min(trace),
            "loss_reached_clipped_to_colors": clipped,
            "loss_at_start": trace[0],
        }
        target = {"lowest": min(trace), "clipped": clipped}
        (Path(options["scratch"]) / f"descent-{options['size']}.json").write_text(json.dumps(target))

    work.first = (paces[best][0], 0)
    work.call = call
    work.result = lambda: {"loss_at_start": work.facts["loss_at_start"]}
    return work
