"""The networks that are attacked: scores [n, classes] of pictures in [0, 1]. Imports no jaxviz."""

from pathlib import Path

import torch

from benchmarks.peers import runtime, torchvision_models
from benchmarks.peers.networks import DEVIATION, MEAN
from benchmarks.peers.torch_models import SqueezeNet


class Shipped(torch.nn.Module):
    """SqueezeNet 1.1 with the shipped weights."""

    def __init__(self, layout: torch.memory_format):
        super().__init__()
        self.network = SqueezeNet(device=runtime.device(), memory_format=layout)
        # torchattacks finds the device by a parameter, and this network's weights are none.
        self.place = torch.nn.Parameter(torch.zeros(0, device=runtime.device()), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x)["logits"]


class Drawn(torch.nn.Module):
    """One of torchvision's with the seeded weights of a file, which is made where it is not."""

    def __init__(self, name: str, weights: Path, layout: torch.memory_format):
        super().__init__()
        self.layout = layout
        network = torchvision_models.model(name, weights)
        self.network = network.to(runtime.device(), memory_format=layout)
        for what, values in (("shift", MEAN), ("scale", DEVIATION)):
            self.register_buffer(what, torch.tensor(values, device=runtime.device()).view(1, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(((x - self.shift) / self.scale).contiguous(memory_format=self.layout))


def model(name: str, weights: Path, layout: torch.memory_format) -> torch.nn.Module:
    """Returns a network in one memory layout."""
    shipped = name == "squeezenet1_1"
    return (Shipped(layout) if shipped else Drawn(name, weights, layout)).eval()
