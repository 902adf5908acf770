"""Writes stylization.npz: what PyTorch computes by published stylizing networks, of seeded weights and pictures.

Nothing of jaxviz is imported. Normalizations are torch's own, upsampling is its nearest neighbor, the encoder is
the shipped VGG-16 with mirrored borders. Computed in float64. PyTorch's running variance is that of n - 1.

Made with Python 3.11, torch 2.13.0 on a CPU, numpy 2.4.6. From the root:

    python -m tests.golden.generate_stylization
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from tests.golden import stylizing

HERE = Path(__file__).parent
ENCODER = HERE.parents[1] / "weights" / "vgg16.safetensors"
MEAN_BGR = (103.939, 116.779, 123.68)
ENCODED = ((1, 2), (2, 2), (3, 3), (4, 1))
"""Stages of VGG-16, and how many convolutions of each lie before relu4_1."""


def double(array):
    return torch.from_numpy(np.asarray(array, np.float64))


def planes(pictures):
    return double(pictures).movedim(-1, -3)


def array(tensor):
    return tensor.detach().movedim(-3, -1).numpy().astype(np.float32)


def convolved(x, kernel, stride=1, bias=None):
    edge = kernel.shape[0] // 2
    return F.conv2d(F.pad(x, [edge] * 4, mode="reflect"), kernel.permute(3, 2, 0, 1), bias, stride)


class Transformer:
    """The network of Johnson et al. with any of three normalizations; keeps running statistics."""

    def __init__(self, norm, shares, training=False, last_normalized=True):
        styles, self.last_normalized = shares.shape[1], last_normalized
        kernels, scales, shifts = stylizing.transformer(styles)
        self.norm, self.shares, self.training = norm, double(shares), training
        self.kernels = {name: double(k).requires_grad_() for name, k in kernels.items()}
        self.scales, self.shifts = (
            {name: double(v) for name, v in found.items()} for found in (scales, shifts)
        )
        self.means = {name: torch.zeros(v.shape[1]).double() for name, v in scales.items()}
        self.variances = {name: torch.ones(v.shape[1]).double() for name, v in scales.items()}

    def of_styles(self, values, size):
        """Returns the mixture of scales or shifts, [n, c, h, w]."""
        if self.shares.ndim == 2:
            return (self.shares @ values)[:, :, None, None]
        return torch.einsum("nkhw,kc->nchw", F.adaptive_avg_pool2d(self.shares, size), values)

    def layer(self, x, name, stride=1):
        x = convolved(x, self.kernels[name], stride)
        if self.norm == "batch":
            scale, shift = self.scales[name][0], self.shifts[name][0]
            return F.batch_norm(x, self.means[name], self.variances[name], scale, shift, self.training)
        size = x.shape[2:]
        x = F.instance_norm(x) if name != "out" or self.last_normalized else x
        return x * self.of_styles(self.scales[name], size) + self.of_styles(self.shifts[name], size)

    def __call__(self, x):
        for name, stride in (("conv1", 1), ("conv2", 2), ("conv3", 2)):
            x = F.relu(self.layer(x if name != "conv1" else x - 0.5, name, stride))
        for k in range(1, stylizing.BLOCKS + 1):
            x = x + self.layer(F.relu(self.layer(x, f"block{k}_1")), f"block{k}_2")
        for name in ("up1", "up2"):
            x = F.relu(self.layer(F.interpolate(x, scale_factor=2), name))
        return self.layer(x, "out").sigmoid()


def transformers(found):
    pictures = planes(stylizing.pictures(5, stylizing.BATCH, *stylizing.SIZE))
    one = np.ones((stylizing.BATCH, 1), np.float32)
    found["instance"] = array(Transformer("instance", one)(pictures))
    found["plain colors"] = array(Transformer("instance", one, last_normalized=False)(pictures))
    found["batch"] = array(Transformer("batch", one)(pictures))
    trained = Transformer("batch", one, training=True)
    found["batch, training"] = array(trained(pictures))
    for name in stylizing.WATCHED:
        found[f"mean/{name}"] = trained.means[name].numpy()
        found[f"variance/{name}"] = trained.variances[name].numpy()
    found["masks"] = array(Transformer("conditional-instance", stylizing.masks())(pictures))
    for norm, shares in (("conditional-instance", stylizing.SHARES), ("batch", one)):
        model = Transformer(norm, shares, training=True)
        drawn = model(pictures)
        found.setdefault(norm, array(drawn))
        wanted = planes(stylizing.pictures(7, stylizing.BATCH, *stylizing.SIZE))
        kernels = [model.kernels[name] for name in stylizing.WATCHED]
        slopes = torch.autograd.grad((drawn - wanted).square().sum(), kernels)
        for name, slope in zip(stylizing.WATCHED, slopes, strict=True):
            found[f"{norm} slope/{name}"] = slope.numpy().astype(np.float32)


def encoded(pictures, weights):
    x = planes(pictures).flip(1) * 255 - double(MEAN_BGR).view(3, 1, 1)
    for stage, depth in ENCODED:
        for k in range(1, depth + 1):
            kernel, bias = (weights[f"conv{stage}_{k}/{leaf}"].double() for leaf in ("kernel", "bias"))
            x = F.relu(convolved(x, kernel, bias=bias))
        x = F.max_pool2d(x, 2) if stage < 4 else x
    return x


def deviation(x):
    """Returns √(σ² + 1e-5), as the authors' program has it."""
    return (x.var((2, 3), correction=0, keepdim=True) + 1e-5).sqrt()


def adaptive(found):
    weights = load_file(ENCODER)
    content, style = (encoded(stylizing.pictures(seed, 1, *stylizing.DECODED), weights) for seed in (8, 9))
    normal = (content - content.mean((2, 3), keepdim=True)) / deviation(content)
    target = normal * deviation(style) + style.mean((2, 3), keepdim=True)
    found["adapted"] = array(target[0, :32])
    x = (stylizing.ALPHA * target + (1 - stylizing.ALPHA) * content) / stylizing.SCALE
    kernels, biases = stylizing.decoder()
    names = list(kernels)
    for name in names:
        x = convolved(x, double(kernels[name]), bias=double(biases[name]))
        x = F.relu(x) if name != names[-1] else x
        # Where the encoder pools, after the first convolution of a stage in reverse, pixels are repeated.
        x = F.interpolate(x, scale_factor=2) if name in ("conv4_1", "conv3_1", "conv2_1") else x
    found["decoded"] = array((x + 0.5)[0])


def main() -> None:
    found: dict[str, np.ndarray] = {}
    transformers(found)
    with torch.no_grad():
        adaptive(found)
    np.savez_compressed(HERE / "stylization.npz", **found)


if __name__ == "__main__":
    main()
