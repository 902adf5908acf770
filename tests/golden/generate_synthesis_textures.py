"""Writes synthesis_textures.npz: the loss of texture synthesis as PyTorch computes it from the shipped VGG-16.

Nothing of jaxviz is imported: the convolutions are written out below, the Gram matrices are those of generate.py.
The exemplar is a crop of scikit-image's brick, the picture one of its coffee mixed with seeded noise; both are in
the file as bytes.

Made with Python 3.11, torch 2.13.0 on a CPU, in float64; NumPy seed 0. From the root of the repository:

    python -m tests.golden.generate_synthesis_textures
"""

from pathlib import Path

import numpy as np
import skimage.data
import torch
from torch.nn import functional as F

from benchmarks.peers.torch_models import DEPTHS, VGG16
from tests.golden.generate import centre, gram, image, tensor

LAYERS = ("relu1_1", "pool1", "pool2", "pool3", "pool4")
POOLINGS = {"default": F.max_pool2d, "paper": F.avg_pool2d}
SIZE = 64


def taps(model: VGG16, x: torch.Tensor, pool) -> dict[str, torch.Tensor]:
    found, x = {}, model.prepare(x)
    for stage, depth in enumerate(DEPTHS[:4], 1):
        for i in range(1, depth + 1):
            x = found[f"relu{stage}_{i}"] = F.relu(model.convolve(x, f"conv{stage}_{i}", padding=1))
        x = found[f"pool{stage}"] = pool(x, 2)
    return {layer: found[layer] for layer in LAYERS}


def main() -> None:
    rng = np.random.default_rng(0)
    brick = np.repeat(centre(skimage.data.brick(), SIZE)[..., None], 3, axis=2)
    # Grey alone would leave the three colors alike.
    exemplar = (brick * np.array([1.0, 0.7, 0.5])).astype(np.uint8)
    mixed = (centre(skimage.data.coffee(), SIZE) * 0.5 + rng.integers(0, 128, (SIZE, SIZE, 3))).astype(
        np.uint8
    )
    golden = {"exemplar": exemplar, "picture": mixed}
    model = VGG16(LAYERS, dtype=torch.float64)
    for preset, pool in POOLINGS.items():
        with torch.no_grad():
            wanted = {
                layer: gram(tap)
                for layer, tap in taps(model, tensor(exemplar / 255, torch.float64), pool).items()
            }
        point = tensor(mixed / 255, torch.float64).requires_grad_()
        terms = {}
        for layer, tap in taps(model, point, pool).items():
            terms[layer] = (gram(tap) - wanted[layer]).square().sum() / (4 * tap.shape[1] ** 2) / len(LAYERS)
            golden[f"{preset}/{layer}"] = terms[layer].item()
        total = torch.stack(list(terms.values())).sum()
        total.backward()
        golden[f"{preset}/value"] = total.item()
        golden[f"{preset}/gradient"] = image(point.grad).astype(np.float32)
    path = Path(__file__).with_name("synthesis_textures.npz")
    np.savez_compressed(path, **golden)
    print(f"{path.name}: {len(golden)} arrays, {path.stat().st_size:,} bytes")  # noqa: T201


if __name__ == "__main__":
    main()
