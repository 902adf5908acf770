"""VGG-16 and SqueezeNet 1.1 in plain PyTorch, from the weight files that jaxviz ships. Imports no jaxviz."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.nn import functional as F

WEIGHTS = Path(__file__).resolve().parents[2] / "weights"
MEAN_BGR = (103.939, 116.779, 123.68)
DEPTHS = (2, 2, 3, 3, 3)
POOLED_FIRES = (3, 5)


class Network(torch.nn.Module):
    """A frozen network: RGB images [n, 3, h, w] in [0, 1] to a dict of named activations.

    Attributes:
      layers: The taps to return; nothing after the last of them is computed.
    """

    def __init__(
        self,
        file: str,
        layers: Sequence[str],
        *,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        memory_format: torch.memory_format = torch.contiguous_format,
    ):
        super().__init__()
        self.layers = tuple(layers)
        self.memory_format = memory_format
        for name, tensor in load_file(WEIGHTS / file).items():
            if name.endswith("kernel"):  # HWIO to OIHW
                tensor = tensor.permute(3, 2, 0, 1).to(memory_format=memory_format)
            tensor = tensor.to(device, dtype)
            self.register_buffer(name.replace("/", "_"), tensor)
        self.register_buffer("mean", torch.tensor(MEAN_BGR, dtype=dtype, device=device).view(1, 3, 1, 1))

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        """Returns Caffe's input: blue first, bytes, minus the ImageNet mean."""
        return (images.flip(1) * 255 - self.mean).contiguous(memory_format=self.memory_format)

    def convolve(self, x: torch.Tensor, name: str, stride: int = 1, padding: int = 0) -> torch.Tensor:
        kernel = getattr(self, f"{name}_kernel".replace("/", "_"))
        bias = getattr(self, f"{name}_bias".replace("/", "_"))
        return F.conv2d(x, kernel, bias, stride, padding)

    def rectify(self, x: torch.Tensor, tap: str) -> torch.Tensor:
        """Returns the ReLU, in place where the tap before it is not asked for."""
        return F.relu(x) if tap in self.layers else F.relu_(x)


class VGG16(Network):
    """The convolutions of VGG-16; taps `conv1_1`, `relu1_1`, …, `pool5`.

    Attributes:
      pool: Max pooling, as trained, or average pooling.
      replicates: Whether the first convolution finds the border pixels outside, instead of zeros.
    """

    def __init__(self, layers: Sequence[str], *, average: bool = False, replicates: bool = False, **options):
        super().__init__("vgg16.safetensors", layers, **options)
        self.pool = F.avg_pool2d if average else F.max_pool2d
        self.replicates = replicates

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        taps: dict[str, torch.Tensor] = {}
        x = self.prepare(images)
        for stage, depth in enumerate(DEPTHS, 1):
            for i in range(1, depth + 1):
                conv, relu = f"conv{stage}_{i}", f"relu{stage}_{i}"
                first = self.replicates and not taps
                x = F.pad(x, (1, 1, 1, 1), "replicate") if first else x
                x = taps[conv] = self.convolve(x, conv, padding=0 if first else 1)
                x = taps[relu] = self.rectify(x, conv)
                if set(self.layers) <= set(taps):
                    return {layer: taps[layer] for layer in self.layers}
            x = taps[f"pool{stage}"] = self.pool(x, 2)
            if set(self.layers) <= set(taps):
                break
        return {layer: taps[layer] for layer in self.layers}


class SqueezeNet(Network):
    """SqueezeNet 1.1; taps `conv1`, `pool1`, `fire2`, …, `pool3`, `pool5`, `logits`."""

    def __init__(self, layers: Sequence[str] = ("logits",), **options):
        super().__init__("squeezenet1_1.safetensors", layers, **options)

    def fire(self, x: torch.Tensor, name: str) -> torch.Tensor:
        x = F.relu_(self.convolve(x, f"{name}/squeeze1x1"))
        sides = (
            F.relu_(self.convolve(x, f"{name}/expand1x1")),
            F.relu_(self.convolve(x, f"{name}/expand3x3", padding=1)),
        )
        return torch.cat(sides, 1)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        taps: dict[str, torch.Tensor] = {}
        x = taps["conv1"] = self.convolve(self.prepare(images), "conv1", stride=2)
        x = taps["relu1"] = self.rectify(x, "conv1")
        x = taps["pool1"] = F.max_pool2d(x, 3, 2, ceil_mode=True)
        for number in range(2, 10):
            x = taps[f"fire{number}"] = self.fire(x, f"fire{number}")
            if number in POOLED_FIRES:
                x = taps[f"pool{number}"] = F.max_pool2d(x, 3, 2, ceil_mode=True)
        taps["logits"] = F.relu_(self.convolve(x, "conv10")).mean((2, 3))
        return {layer: taps[layer] for layer in self.layers}
