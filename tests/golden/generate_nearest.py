"""Writes nearest.npz: nearest-neighbor feature matching of small features, with its slope, by PyTorch.

The formula is written as the paper on artistic radiance fields has it; nothing of jaxviz is imported. All is in
float64. Features are rectified ones, of two layers that are joined along channels.

Made with Python 3.11, torch 2.13.0 on a CPU, numpy 2.4.6. From the root of the repository:

    python -m tests.golden.generate_nearest
"""

from pathlib import Path

import numpy as np
import torch


def drawn(random, size):
    # Above zero somewhere at every position: a cosine with nothing is none.
    return np.maximum(random.normal(0.3, 1, (*size, 5)), 0) + 0.01


def main():
    random = np.random.default_rng(0)
    image = [drawn(random, (6, 7)) for _ in range(2)]
    style = [drawn(random, (5, 4)) for _ in range(2)]
    given = [torch.tensor(layer, dtype=torch.float64, requires_grad=True) for layer in image]
    ours = torch.cat(given, -1).reshape(-1, 10)
    theirs = torch.tensor(np.concatenate(style, -1).reshape(-1, 10))
    cosines = torch.nn.functional.cosine_similarity(ours[:, None], theirs[None], dim=-1)
    loss = (1 - cosines).min(1).values.mean()
    loss.backward()
    golden = {"value": loss.item()}
    for k in range(2):
        golden |= {f"image/{k}": image[k], f"style/{k}": style[k], f"slope/{k}": given[k].grad.numpy()}
    path = Path(__file__).parent / "nearest.npz"
    np.savez_compressed(path, **{name: np.float32(value) for name, value in golden.items()})
    print(f"{path.name}: {len(golden)} arrays, {path.stat().st_size:,} bytes, {golden['value']:.6f}")  # noqa: T201


if __name__ == "__main__":
    main()
