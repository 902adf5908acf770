"""Writes vgg19.npz: what PyTorch computes of VGG-19 up to relu3_1 from genuine weights, which are not shipped.

Made with Python 3.11, torch 2.13.0 on a CPU, in float64, from the Caffe weights in the folder JAXVIZ_DATA. From
the root of the repository:

    JAXVIZ_DATA=FOLDER python -m tests.golden.generate_vgg19
"""

import os
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

HERE = Path(__file__).parent
POOLED = ("conv1_2", "conv2_2")
MEAN_BGR = (103.939, 116.779, 123.68)
SAMPLES = 256


def main() -> None:
    picture = np.load(HERE / "golden.npz")["input/chelsea"]
    weights = np.load(Path(os.environ["JAXVIZ_DATA"]) / "weights" / "vgg19_caffe_partial.npz")
    x = torch.tensor(picture[..., ::-1].astype(np.float64) - MEAN_BGR).permute(2, 0, 1)[None]
    rng, found = np.random.default_rng(0), {}
    for name in ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"):
        kernel, bias = (torch.tensor(weights[f"{name}_{part}"]).double() for part in "Wb")
        x = F.relu(F.conv2d(x, kernel, bias, padding=1))
        tap, value = name.replace("conv", "relu"), x[0].permute(1, 2, 0).numpy()
        index = np.sort(rng.choice(value.size, SAMPLES, replace=False))
        found |= {f"{tap}/index": index.astype(np.int32), f"{tap}/value": value.ravel()[index]}
        found[f"{tap}/norm"] = np.linalg.norm(value)
        x = F.max_pool2d(x, 2) if name in POOLED else x
    np.savez_compressed(HERE / "vgg19.npz", **found)


if __name__ == "__main__":
    main()
