"""Losses of batches of images in PyTorch, summed over the images, and their minimization. Imports no jaxviz."""

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.peers import runtime
from benchmarks.peers.torch_models import VGG16

CONTENT_LAYER = "relu4_2"
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
STYLE_WEIGHT = 2e-3
TEXTURE_LAYERS = ("relu1_1", "pool1", "pool2", "pool3", "pool4")
INVERTED_LAYER = "relu3_3"
SMOOTHNESS = 2.0


def gram(features: torch.Tensor) -> torch.Tensor:
    """Returns the Gram matrices per position of images' features [n, c, h, w]."""
    n, c, h, w = features.shape
    if features.is_contiguous():
        flat = features.reshape(n, c, h * w)
        return flat @ flat.mT / (h * w)
    flat = features.permute(0, 2, 3, 1).reshape(n, h * w, c)  # no copy where channels come last
    return flat.mT @ flat / (h * w)


def gram_distance(taps: dict, grams: dict) -> torch.Tensor:
    """Returns the mean over layers of ‖ΔG‖² / (4 c²), summed over images."""
    total = 0.0
    for layer, wanted in grams.items():
        squared = (gram(taps[layer]) - wanted).square().sum()
        total = total + squared / (len(grams) * 4 * wanted.shape[-1] ** 2)
    return total


class Loss(torch.nn.Module):
    """A loss of the taps that `layers` names, with the targets that `taps(images)` gives."""

    layers: tuple[str, ...] = ()

    def __init__(self, layout: torch.memory_format):
        super().__init__()
        self.layout = layout
        self.network = VGG16(self.layers, device=runtime.device(), memory_format=layout)

    def taps(self, images: np.ndarray) -> dict[str, torch.Tensor]:
        with torch.no_grad():
            return self.network(runtime.tensor(images, self.layout))


class GatysLoss(Loss):
    """Mean squared distance on relu4_2, plus 2e-3 times the distance of the Gram matrices of five layers."""

    layers = (*STYLE_LAYERS, CONTENT_LAYER)

    def __init__(self, contents: np.ndarray, style: np.ndarray, layout: torch.memory_format):
        super().__init__(layout)
        taps = self.taps(style[None])
        self.grams = {layer: gram(taps[layer]) for layer in STYLE_LAYERS}
        self.wanted = self.taps(contents)[CONTENT_LAYER]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        taps = self.network(images)
        content = (taps[CONTENT_LAYER] - self.wanted).square().mean((1, 2, 3)).sum()
        return content + STYLE_WEIGHT * gram_distance(taps, self.grams)


class TextureLoss(Loss):
    """The distance of the Gram matrices of relu1_1 and four pools from those of exemplars."""

    layers = TEXTURE_LAYERS

    def __init__(self, exemplars: np.ndarray, layout: torch.memory_format):
        super().__init__(layout)
        self.grams = {layer: gram(tap) for layer, tap in self.taps(exemplars).items()}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return gram_distance(self.network(images), self.grams)


class InversionLoss(Loss):
    """The relative squared distance on relu3_3, plus 2 / n times the total variation of n values."""

    layers = (INVERTED_LAYER,)

    def __init__(self, pictures: np.ndarray, layout: torch.memory_format):
        super().__init__(layout)
        self.wanted = self.taps(pictures)[INVERTED_LAYER]
        self.size = self.wanted.square().sum((1, 2, 3))
        self.smoothness = SMOOTHNESS / pictures[0].size

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        difference = self.network(images)[INVERTED_LAYER] - self.wanted
        distance = (difference.square().sum((1, 2, 3)) / self.size).sum()
        variation = images.diff(dim=2).square().sum() + images.diff(dim=3).square().sum()
        return distance + self.smoothness * variation


def value_and_gradient(loss: Callable, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the loss and its derivative."""
    x = x.detach().requires_grad_()
    value = loss(x)
    return value.detach(), torch.autograd.grad(value, x)[0]


def adam(loss: Callable, x: torch.Tensor, evaluations: int, rate: float) -> torch.Tensor:
    """Returns the loss at the last of a number of evaluations, each with a step that is kept in [0, 1]."""
    x = x.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([x], lr=rate)
    for _ in range(evaluations):
        optimizer.zero_grad()
        value = loss(x)
        value.backward()
        optimizer.step()
        with torch.no_grad():
            x.clamp_(0, 1)
    return value.detach()


def lbfgs(loss: Callable, x: torch.Tensor, evaluations: int) -> tuple[torch.Tensor, list[float]]:
    """Returns the point of lowest loss of `evaluations` calls of torch.optim.LBFGS's closure, and all losses."""
    # LBFGS flattens gradients by views: the image itself stays in the default layout.
    x = x.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [x],
        lr=1,
        max_iter=evaluations,
        max_eval=evaluations,
        history_size=20,
        tolerance_grad=0,
        tolerance_change=0,
    )
    losses: list[float] = []
    lowest = x.detach().clone()

    def closure():
        optimizer.zero_grad()
        value = loss(x)
        value.backward()
        if not losses or value.item() < min(losses):
            lowest.copy_(x.detach())
        losses.append(value.item())
        return value

    optimizer.step(closure)
    return lowest, losses
