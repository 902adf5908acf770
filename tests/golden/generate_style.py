"""Writes style.npz: the losses of published style transfers, computed by PyTorch for jaxviz to be compared with.

The formulas are written below as the paper or the program has them, in its own units; nothing of jaxviz is
imported.
The network is VGG-16 as shipped. Pictures are those that golden.npz holds. Values and gradients are in float64.

Made with Python 3.11, torch 2.13.0 on a CPU, numpy 2.4.6. From the root of the repository:

    python -m tests.golden.generate_style
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.peers.torch_models import VGG16
from tests.golden.generate import STYLE_LAYERS, tensor, value_and_gradient, variation

CONTENT_LAYER = "relu4_2"
HERE = Path(__file__).parent


def flat(features):
    _, c, h, w = features.shape
    return features.reshape(c, h * w)


def features(model, picture):
    with torch.no_grad():
        return model(tensor(picture, torch.float64))


def vgg16(**options):
    return VGG16((*STYLE_LAYERS, CONTENT_LAYER), dtype=torch.float64, **options)


def gatys2016(content, styles):
    """Eq. 1, 4 and 5 of the paper, α = 1 and β = 1e3; pictures of equal size, average pooling."""
    model = vgg16(average=True)
    p, a = features(model, content), features(model, styles[0])

    def loss(image):
        taps = model(image)
        total = 0.5 * (taps[CONTENT_LAYER] - p[CONTENT_LAYER]).square().sum()
        for layer in STYLE_LAYERS:
            x, y = flat(taps[layer]), flat(a[layer])
            n, m = x.shape
            total = total + 1e3 / 5 * (x @ x.T - y @ y.T).square().sum() / (4 * n**2 * m**2)
        return total

    return loss


def gatys_notebook(content, styles):
    """Mean squared errors; Gram matrices over positions; weights 1 and 1e3 / channels²."""
    model = vgg16()
    p, a = features(model, content), features(model, styles[0])

    def loss(image):
        taps = model(image)
        total = F.mse_loss(taps[CONTENT_LAYER], p[CONTENT_LAYER])
        for layer in STYLE_LAYERS:
            x, y = flat(taps[layer]), flat(a[layer])
            grams = [f @ f.T / f.shape[1] for f in (x, y)]
            total = total + 1e3 / x.shape[0] ** 2 * F.mse_loss(*grams)
        return total

    return loss


def neural_style(content, styles):
    """Mean squared errors; Gram matrices over all elements; weights 5, 100, and 1e-3 of ½ Σ d² for bytes."""
    model = vgg16()
    p, a = features(model, content), features(model, styles[0])

    def loss(image):
        taps = model(image)
        total = 5 * F.mse_loss(taps[CONTENT_LAYER], p[CONTENT_LAYER])
        for layer in STYLE_LAYERS:
            x, y = flat(taps[layer]), flat(a[layer])
            total = total + 100 * F.mse_loss(x @ x.T / x.numel(), y @ y.T / y.numel())
        return total + 1e-3 * 0.5 * variation(255 * image, 2)

    return loss


def crowsonkb(content, styles, shares=(1.0,)):
    """Wasserstein distances of Gaussians, whose mean and raw second moment are mixed; nine-point smoothness."""
    model = vgg16(replicates=True)
    p = features(model, content)
    targets = {}
    for share, picture in zip(shares, styles, strict=True):
        for layer, tap in features(model, picture).items():
            f = flat(tap)
            found = share * f.mean(1), share * f @ f.T / f.shape[1]
            old = targets.get(layer, (0, 0))
            targets[layer] = old[0] + found[0], old[1] + found[1]

    def root(matrix):
        values, vectors = torch.linalg.eigh(matrix)
        return vectors * values.clamp(min=0).sqrt() @ vectors.T

    def covariance(mean, second):
        return second - torch.outer(mean, mean) + 1e-4 * torch.eye(len(mean), dtype=torch.float64)

    def differences(image):
        x = F.pad(image, (1, 1, 1, 1), "replicate")
        middle = x[..., 1:-1, 1:-1]
        across = (x[..., 1:-1, 2:] - middle).square().mean() / 3
        down = (x[..., 2:, 1:-1] - middle).square().mean() / 3
        falling = (x[..., 1:, 1:] - x[..., :-1, :-1]).square().mean() / 12
        rising = (x[..., :-1, 1:] - x[..., 1:, :-1]).square().mean() / 12
        return 2 * (across + down + falling + rising)

    def loss(image):
        taps = model(image)
        total = 0.015 * F.mse_loss(taps[CONTENT_LAYER], p[CONTENT_LAYER]) + 2 * differences(image)
        for layer, weight in zip(STYLE_LAYERS, (256, 64, 16, 4, 1), strict=True):
            f = flat(taps[layer])
            mean, target_mean = f.mean(1), targets[layer][0]
            found, wanted = covariance(mean, f @ f.T / f.shape[1]), covariance(*targets[layer])
            half = root(wanted)
            # The trace of a matrix's root is the sum of its eigenvalues' roots.
            both = torch.linalg.eigvalsh(half @ found @ half).clamp(min=1e-12).sqrt().sum()
            spread = (torch.trace(wanted) + torch.trace(found) - 2 * both) / len(mean)
            total = total + weight / 341 * (F.mse_loss(mean, target_mean) + spread)
        return total

    return loss


def main():
    stored = np.load(HERE / "golden.npz")
    small = {name: stored[f"input/{name}"][80:144, 80:144] / 255 for name in ("coffee", "chelsea", "seeded")}
    x = (small["coffee"] + small["seeded"]) / 2
    one = small["coffee"], [small["chelsea"]]
    # Another size, and more of one style than of the other.
    wide = stored["input/chelsea"][:80, :112] / 255
    losses = {
        "gatys2016": gatys2016(*one),
        "gatys_notebook": gatys_notebook(*one),
        "neural_style": neural_style(*one),
        "crowsonkb": crowsonkb(*one),
        "crowsonkb, mixed": crowsonkb(small["coffee"], [small["chelsea"], wide], (0.7, 0.3)),
    }
    golden = {}
    for name, loss in losses.items():
        value, gradient = value_and_gradient(loss, x)
        golden[f"{name}/value"], golden[f"{name}/gradient"] = value, gradient.astype(np.float32)
    path = HERE / "style.npz"
    np.savez_compressed(path, **golden)
    print(f"{path.name}: {len(golden)} arrays, {path.stat().st_size:,} bytes")  # noqa: T201
    for name in losses:
        print(name, float(golden[f"{name}/value"]))  # noqa: T201


if __name__ == "__main__":
    main()
