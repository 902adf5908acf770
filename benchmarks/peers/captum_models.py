"""The shipped networks as modules, as captum needs them: each ReLU one of its own. Imports no jaxviz."""

import torch
from safetensors.torch import load_file

from benchmarks import workload
from benchmarks.peers.torch_models import DEPTHS, MEAN_BGR, WEIGHTS
from benchmarks.peers.torchvision_models import torchvision


class Prepared(torch.nn.Module):
    """A network of pictures [n, 3, h, w] in [0, 1]; `last` is the layer that Grad-CAM explains."""

    def __init__(self, network: torch.nn.Module, names: dict[str, str], file: str, dtype: torch.dtype):
        super().__init__()
        ours, weights = load_file(WEIGHTS / file), {}
        for theirs, name in names.items():
            weights[f"{theirs}.weight"] = ours[f"{name}/kernel"].float().permute(3, 2, 0, 1)
            weights[f"{theirs}.bias"] = ours[f"{name}/bias"].float()
        network.load_state_dict(weights, strict=False)
        for module in network.modules():
            if isinstance(module, torch.nn.ReLU):
                module.inplace = False
        self.network = network
        self.register_buffer("mean", torch.tensor(MEAN_BGR, dtype=dtype).view(1, 3, 1, 1))
        self.to(dtype).eval().requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x.flip(1) * 255 - self.mean)


class SqueezeNet(Prepared):
    """torchvision's SqueezeNet 1.1 with the shipped weights: scores [n, 1000]."""

    def __init__(self, dtype: torch.dtype = torch.float32):
        network = torchvision.models.squeezenet1_1()
        fires = [k for k, layer in enumerate(network.features) if hasattr(layer, "expand3x3")]
        names = {"features.0": "conv1", "classifier.1": "conv10"}
        for number, k in enumerate(fires, 2):
            for part in ("squeeze", "expand1x1", "expand3x3"):
                names[f"features.{k}.{part}"] = f"fire{number}/{part}{'1x1' if part == 'squeeze' else ''}"
        super().__init__(network, names, "squeezenet1_1.safetensors", dtype)
        self.last = network.features[-1]


class VGG16(Prepared):
    """torchvision's convolutions of VGG-16 with the shipped weights, under a seeded linear head: scores [n, 1]."""

    def __init__(self, dtype: torch.dtype = torch.float32):
        features = torchvision.models.vgg16().features
        convolutions = [k for k, layer in enumerate(features) if isinstance(layer, torch.nn.Conv2d)]
        taps = [f"conv{stage}_{i}" for stage, depth in enumerate(DEPTHS, 1) for i in range(1, depth + 1)]
        head = torch.nn.Linear(512, 1, bias=False)
        head.weight.data = torch.from_numpy(workload.head())[None]
        pooled = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), head)
        names = {f"0.{k}": tap for k, tap in zip(convolutions, taps, strict=True)}
        super().__init__(torch.nn.Sequential(features, pooled), names, "vgg16.safetensors", dtype)
        self.last = features[-2]


MODELS = {"squeezenet1_1": SqueezeNet, "vgg16": VGG16}
