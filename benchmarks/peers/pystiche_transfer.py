"""The same style transfer by pystiche's own losses, encoder and loop. Imports no jaxviz."""

import sys
import time
import warnings
from typing import Any

import torch
from safetensors.torch import load_file

from benchmarks import workload
from benchmarks.peers import runtime
from benchmarks.peers.losses import CONTENT_LAYER, STYLE_LAYERS, STYLE_WEIGHT
from benchmarks.peers.torch_models import MEAN_BGR, WEIGHTS
from benchmarks.peers.torchvision_models import torchvision
from benchmarks.worker import Work

# Its last release, 1.0.1, wants addresses that torchvision has no more; weights are not fetched here.
for name, architecture in (("alexnet", "alexnet"), ("vgg", "vgg16")):
    sys.modules[f"{torchvision.__name__}.models.{name}"].model_urls = {architecture: ""}


class Prepared(torch.nn.Module):
    """Caffe's input: pystiche's own has the mean rounded to three digits."""

    def forward(self, images):
        mean = torch.tensor(MEAN_BGR, device=images.device).view(1, 3, 1, 1)
        return images.flip(1) * 255 - mean


def criterion(content: torch.Tensor, style: torch.Tensor) -> torch.nn.Module:
    """Returns pystiche's perceptual loss, with the weights by which it is the loss of the other sides."""
    from pystiche import enc, loss

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision, of how it is asked for an untrained network
        encoder = enc.vgg16_multi_layer_encoder(
            pretrained=False, internal_preprocessing=False, allow_inplace=True
        )
    for name, tensor in load_file(WEIGHTS / "vgg16.safetensors").items():
        layer, kind = name.split("/")
        module = getattr(encoder, layer)
        value = tensor.permute(3, 2, 0, 1) if kind == "kernel" else tensor
        getattr(module, "weight" if kind == "kernel" else "bias").data.copy_(value)
    encoder = encoder.to(runtime.device())
    for parameter in encoder.parameters():
        parameter.requires_grad_(False)
    contents = loss.FeatureReconstructionLoss(encoder.extract_encoder(CONTENT_LAYER), score_weight=1.0)
    styles = loss.MultiLayerEncodingLoss(
        encoder,
        STYLE_LAYERS,
        lambda part, weight: loss.GramLoss(part, score_weight=weight),
        layer_weights=[STYLE_WEIGHT / (4 * len(STYLE_LAYERS))] * len(STYLE_LAYERS),
    )
    whole = loss.PerceptualLoss(contents, styles)
    prepared = Prepared()
    whole.set_content_image(prepared(content))
    whole.set_style_image(prepared(style))

    class Whole(torch.nn.Module):
        def forward(self, images):
            return whole(prepared(images))

    return Whole().to(runtime.device())


def run(options: dict[str, Any]) -> Work:
    """Returns the work of `pystiche.optim.image_optimization` with its default optimizer, a step an evaluation."""
    from pystiche.optim import image_optimization

    content, style = workload.pair(options["size"])
    start, exemplar = (runtime.tensor(picture[None], torch.contiguous_format) for picture in (content, style))
    loss = criterion(start, exemplar)
    work = Work(lambda: None, facts={"loss_at_start": float(loss(start))})

    def call(steps=options["evaluations"]):
        image = image_optimization(start.clone(), loss, num_steps=steps, quiet=True)
        with torch.no_grad():
            reached, clipped = float(loss(image)), float(loss(image.clamp(0, 1)))
        work.facts |= {
            "evaluations": steps,
            "loss_reached": reached,
            "loss_reached_clipped_to_colors": clipped,
        }

    began = time.perf_counter()
    call(options["warmup"])
    work.first = (time.perf_counter() - began, options["warmup"] / options["evaluations"])
    work.call = call
    work.result = lambda: {"loss_at_start": work.facts["loss_at_start"]}
    return work
