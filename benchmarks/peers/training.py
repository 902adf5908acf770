"""One step of training a transformer by perceptual losses in PyTorch."""

from typing import Any

import torch

from benchmarks import workload
from benchmarks.peers import losses, runtime
from benchmarks.peers.stylizing_models import Transformer
from benchmarks.peers.torch_models import VGG16
from benchmarks.worker import Work


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns both layouts; on a GPU compiled as well."""
    return {"": runtime.variants(lambda layout, wrapped: made(options, layout, wrapped))}


class PerceptualLoss(torch.nn.Module):
    """The mean over pictures of the distances of features and of Gram matrices, of what a network draws of them."""

    def __init__(self, model: Transformer, painting: torch.Tensor, layout: torch.memory_format):
        super().__init__()
        layers = (*workload.STYLE_LAYERS, workload.CONTENT_LAYER)
        where = {"device": runtime.device(), "memory_format": layout}
        self.model, self.network = model, VGG16(layers, **where)
        self.contents = VGG16((workload.CONTENT_LAYER,), **where)
        with torch.no_grad():
            taps = self.network(painting)
            self.grams = {layer: losses.gram(taps[layer]) for layer in workload.STYLE_LAYERS}

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            wanted = self.contents(pictures)[workload.CONTENT_LAYER]
        taps = self.network(self.model(pictures))
        content = (taps[workload.CONTENT_LAYER] - wanted).square().mean((1, 2, 3)).sum()
        style = losses.gram_distance(taps, self.grams)
        return (content + workload.STYLE_WEIGHT * style) / len(pictures)


def made(options: dict[str, Any], layout: torch.memory_format, wrapped) -> Work:
    def posed():
        model = Transformer(options["width"], layout).to(runtime.device())
        painting = workload.picture("immunohistochemistry", options["size"])
        return model, wrapped(PerceptualLoss(model, runtime.tensor(painting[None], layout), layout))

    model, loss = posed()
    pictures = runtime.tensor(workload.crops(options["batch"], options["size"]), layout)
    optimizer = torch.optim.Adam(model.parameters(), lr=workload.TRAINING_RATE)

    def call():
        optimizer.zero_grad(set_to_none=True)
        loss(pictures).backward()
        optimizer.step()
        return runtime.ready(None)

    def result():
        model, loss = posed()
        value = loss(pictures)
        slope = torch.autograd.grad(value, model.up1_kernel)[0]
        return {"loss": value.item(), "slope of up1": slope.permute(2, 3, 1, 0).cpu().numpy()}

    return Work(call, result=result)
