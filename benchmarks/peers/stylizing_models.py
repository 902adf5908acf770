"""Stylizing networks in plain PyTorch, with the weights of benchmarks/workload.py. Imports no jaxviz."""

import torch
from torch.nn import functional as F

from benchmarks import workload
from benchmarks.peers import runtime
from benchmarks.peers.torch_models import VGG16

EPSILON = 1e-5


def mirrored(x: torch.Tensor, edge: int) -> torch.Tensor:
    return F.pad(x, [edge] * 4, mode="reflect")


class Transformer(torch.nn.Module):
    """An image transformation network with instance normalization: RGB [n, 3, h, w] in [0, 1] to the same."""

    def __init__(self, width: int, layout: torch.memory_format):
        super().__init__()
        kernels, scales, shifts = workload.transformer(width)
        self.layout = layout
        for name, kernel in kernels.items():
            moved = torch.from_numpy(kernel).permute(3, 2, 0, 1).contiguous(memory_format=layout)
            self.register_parameter(f"{name}_kernel", torch.nn.Parameter(moved))
            self.register_parameter(f"{name}_scale", torch.nn.Parameter(torch.from_numpy(scales[name])))
            self.register_parameter(f"{name}_shift", torch.nn.Parameter(torch.from_numpy(shifts[name])))

    def layer(self, x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        kernel = getattr(self, f"{name}_kernel")
        x = F.conv2d(mirrored(x, kernel.shape[-1] // 2), kernel, stride=stride)
        scale, shift = getattr(self, f"{name}_scale"), getattr(self, f"{name}_shift")
        # With a group for each channel it is instance normalization, whose own function copies channels-last.
        return F.group_norm(x, x.shape[1], scale, shift, EPSILON)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu_(self.layer(x - 0.5, "conv1"))
        x = F.relu_(self.layer(x, "conv2", 2))
        x = F.relu_(self.layer(x, "conv3", 2))
        for k in range(1, 6):
            x = x + self.layer(F.relu_(self.layer(x, f"block{k}_1")), f"block{k}_2")
        x = F.relu_(self.layer(F.interpolate(x, scale_factor=2), "up1"))
        x = F.relu_(self.layer(F.interpolate(x, scale_factor=2), "up2"))
        x = F.conv2d(mirrored(x, 4), self.out_kernel) * self.out_scale[:, None, None]
        return (x + self.out_shift[:, None, None]).sigmoid()


class MirroredVGG16(VGG16):
    """VGG-16 whose convolutions have mirrored borders."""

    def convolve(self, x: torch.Tensor, name: str, stride: int = 1, padding: int = 0) -> torch.Tensor:
        return super().convolve(mirrored(x, padding) if padding else x, name, stride)


class Adaptive(torch.nn.Module):
    """Encoder, adaptive instance normalization and decoder, for one painting."""

    def __init__(self, painting: torch.Tensor, layout: torch.memory_format):
        super().__init__()
        self.encoder = MirroredVGG16(("relu4_1",), device=runtime.device(), memory_format=layout)
        for name, kernel in workload.decoder().items():
            moved = torch.from_numpy(kernel).permute(3, 2, 0, 1).to(runtime.device())
            self.register_buffer(name, moved.contiguous(memory_format=layout))
        self.mean, self.deviation = (part.clone() for part in self.moments(self.encode(painting)))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.encoder(x)["relu4_1"]

    def moments(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
        return mean, (variance + EPSILON).sqrt()

    def layer(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.conv2d(mirrored(x, 1), getattr(self, name))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.encode(x)
        mean, deviation = self.moments(x)
        factor = self.deviation / deviation
        x = (x * factor + (self.mean - mean * factor)) / workload.DECODED_SCALE
        x = F.relu_(self.layer(x, "conv4_1"))
        for names in (("conv3_3", "conv3_2", "conv3_1"), ("conv2_2", "conv2_1"), ("conv1_2",)):
            x = F.interpolate(x, scale_factor=2)
            for name in names:
                x = F.relu_(self.layer(x, name))
        return (self.layer(x, "conv1_1") + 0.5).clamp(0, 1)
