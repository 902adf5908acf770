"""The techniques in PyTorch: eager, and under torch.compile."""

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks import workload
from benchmarks.peers import losses, runtime
from benchmarks.peers.torch_models import SqueezeNet
from benchmarks.worker import Work

EPSILON = 8 / 255


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns both layouts, eager for one image and for most, compiled for most."""
    fewest, most = min(options["counts"]), max(options["counts"])
    make = one_derivative if options["technique"] in ("saliency", "fgsm") else optimization
    found = {}
    for name, layout in runtime.LAYOUTS.items():
        for count in (most, fewest):
            found[f"torch eager, {name}, {count}"] = lambda layout=layout, count=count: work(
                make, options, count, layout, lambda module: module
            )
    # Its compiler chooses the layouts of convolutions itself, and takes long: one start will do.
    found[f"torch compiled, {most}"] = lambda: work(
        make, options, most, torch.channels_last, runtime.compiled
    )
    return {"": found}


def work(make, options: dict[str, Any], count: int, layout: torch.memory_format, wrapped) -> Work:
    function, evaluations = make(options, count, layout, wrapped)

    def call():
        return runtime.ready(function())

    def result():
        return {f"result of {count}": call().cpu().numpy()} if count == max(options["counts"]) else {}

    return Work(call, units=count * evaluations, result=result)


def one_derivative(options: dict[str, Any], count: int, layout: torch.memory_format, wrapped):
    """Returns the function of gradient saliency or of FGSM, and its evaluations: 1."""
    network = wrapped(SqueezeNet(device=runtime.device(), memory_format=layout))
    images = runtime.tensor(workload.crops(count, options["size"]), layout)
    labels = torch.full((count,), workload.LABEL, device=runtime.device())

    def derivative():
        x = images.detach().requires_grad_()
        logits = network(x)["logits"]
        if options["technique"] == "saliency":
            score = logits[:, workload.LABEL].sum()
        else:
            score = F.cross_entropy(logits, labels, reduction="sum")
        return torch.autograd.grad(score, x)[0]

    def saliency():
        return derivative().abs().amax(1)

    def fgsm():
        return (images + EPSILON * derivative().sign()).clamp(0, 1).permute(0, 2, 3, 1)

    return saliency if options["technique"] == "saliency" else fgsm, 1


def optimization(options: dict[str, Any], count: int, layout: torch.memory_format, wrapped):
    """Returns the function of a number of evaluations and steps of Adam, and the number."""
    technique, size = options["technique"], options["size"]
    images = workload.crops(count, size)
    start = images if technique == "style" else workload.noise(count, size, 0.1)
    if technique == "inversion":
        loss = losses.InversionLoss(images, layout)
    elif technique == "texture":
        loss = losses.TextureLoss(images, layout)
    else:
        loss = losses.GatysLoss(images, workload.picture("immunohistochemistry", size), layout)
    function, x = wrapped(loss), runtime.tensor(np.ascontiguousarray(start), layout)
    evaluations = options["evaluations"]
    return lambda: losses.adam(function, x, evaluations, workload.ADAM_RATE), evaluations
