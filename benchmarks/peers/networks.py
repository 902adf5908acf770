"""Every network of torchvision, forward to the logits and the gradient of one with respect to the picture."""

from pathlib import Path
from typing import Any

import torch

from benchmarks import workload
from benchmarks.peers import runtime, torchvision_models
from benchmarks.worker import Work

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns both kinds of work, each in both layouts and for a batch also in parts."""
    name, batch = options["network"], options["batch"]
    network = torchvision_models.model(name, Path(options["scratch"]) / "weights.safetensors")
    images = workload.crops(batch)
    mean, std = (torch.tensor(v, device=runtime.device()).view(1, 3, 1, 1) for v in (MEAN, DEVIATION))
    counts = sorted({batch, *(count for count in options["together"] if count < batch)}, reverse=True)

    def make(work: str, layout: torch.memory_format, count: int) -> Work:
        model = network.to(runtime.device(), memory_format=layout)
        parts = [runtime.tensor(images[i : i + count], layout) for i in range(0, batch, count)]

        def scores(x):
            return model(((x - mean) / std).contiguous(memory_format=layout))

        def one(part):
            if work == "forward":
                with torch.no_grad():
                    return scores(part)
            x = part.detach().requires_grad_()
            return torch.autograd.grad(scores(x)[:, workload.LABEL].sum(), x)[0].permute(0, 2, 3, 1)

        def call():
            return runtime.ready(
                torch.cat([one(part) for part in parts]) if len(parts) > 1 else one(parts[0])
            )

        return Work(call, result=lambda: {"result": call().cpu().numpy()})

    return {
        work: {
            f"torchvision, {name}" + (f", {count} at a time" if count < batch else ""): (
                lambda work=work, layout=layout, count=count: make(work, layout, count)
            )
            for count in counts
            for name, layout in runtime.LAYOUTS.items()
        }
        for work in ("forward", "gradient")
    }
