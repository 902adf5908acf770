"""Gradient saliency in PyTorch."""

from typing import Any

import torch

from benchmarks import workload
from benchmarks.peers import runtime
from benchmarks.peers.torch_models import SqueezeNet
from benchmarks.worker import Work


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns both layouts, for a batch also in parts; on a GPU compiled as well."""
    batch, found = options["batch"], {}
    parts = [n for n in options["together"] if n < batch and runtime.device() == "cpu"]
    for count in sorted({batch, *parts}, reverse=True):
        each = runtime.variants(lambda layout, wrapped, count=count: saliency(batch, count, layout, wrapped))
        found |= {
            name + (f", {count} at a time" if count < batch else ""): make for name, make in each.items()
        }
    return {"": found}


def saliency(batch: int, count: int, layout: torch.memory_format, wrapped=lambda module: module) -> Work:
    """Returns the work of maps of `batch` crops, `count` at a time."""
    images = workload.crops(batch)
    network = wrapped(SqueezeNet(device=runtime.device(), memory_format=layout))
    parts = [runtime.tensor(images[i : i + count], layout) for i in range(0, batch, count)]

    def one(part):
        x = part.detach().requires_grad_()
        score = network(x)["logits"][:, workload.LABEL].sum()
        return torch.autograd.grad(score, x)[0].abs().amax(1)

    def call():
        return runtime.ready(torch.cat([one(part) for part in parts]) if len(parts) > 1 else one(parts[0]))

    return Work(call, result=lambda: {f"maps of {batch}": call().cpu().numpy()})
