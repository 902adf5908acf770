"""The weights of LPIPS, which are not a network's but beside it."""

import re
from pathlib import Path

import numpy as np

from jaxviz._checks import known
from jaxviz.checkpoints.formats import WeightsError, open_file

LAYERS = {
    "vgg16": ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"),
    "alexnet": ("relu1", "relu2", "relu3", "relu4", "relu5"),
    "squeezenet1_1": ("relu1", "fire3", "fire5", "fire6", "fire7", "fire8", "fire9"),
}
"""Network → the taps that its file has weights for, in order."""
NAME = re.compile(r"lin(\d+)\.model\.1\.weight")


def perceptual_weights(path: str | Path, network: str) -> dict[str, np.ndarray]:
    """Returns the weights of LPIPS's layers, [c] each, for `jaxviz.objectives.match_perceptual`.

    Args:
      path: The authors' vgg.pth, alex.pth or squeeze.pth of version 0.1 (their package `lpips` brings them), or the
        same tensors in any other format that `load` reads: lin0.model.1.weight, … of shape [1, c, 1, 1].
      network: "vgg16", "alexnet" or "squeezenet1_1".

    Note:
      They were learned for torchvision's weights. With others, such as the VGG-16 that is shipped, distances
      compare with each other, not with published ones.

    Raises:
      KeyError: If there are no such weights for the network.
      WeightsError: If the file cannot be read, or has other tensors.
    """
    layers = LAYERS[known(network, LAYERS, "network with LPIPS weights")]
    tensors = open_file(Path(path)).tensors
    found = {match[1]: name for name in tensors if (match := NAME.fullmatch(name))}
    wanted = [str(k) for k in range(len(layers))]
    if sorted(found, key=int) != wanted or len(found) != len(tensors):
        raise WeightsError(
            f"{path}: expected lin0.model.1.weight to lin{wanted[-1]}.model.1.weight of LPIPS for {network}, "
            f"found: {', '.join(list(tensors)[:4])}"
        )
    values = {}
    for layer, k in zip(layers, wanted, strict=True):
        tensor = tensors[found[k]]
        if len(tensor.shape) != 4 or (tensor.shape[0], *tensor.shape[2:]) != (1, 1, 1):
            raise WeightsError(f"{path}: expected {found[k]} of shape [1, c, 1, 1], found: {tensor.shape}")
        values[layer] = tensor.read().astype(np.float32).reshape(-1)
    return values
