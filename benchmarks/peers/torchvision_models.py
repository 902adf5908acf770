"""torchvision's networks with seeded weights, frozen, for inference. Imports no jaxviz."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

try:
    import torchvision
except RuntimeError:  # a torchvision without its compiled operators imports once two of them are declared
    _DECLARED = torch.library.Library("torchvision", "DEF")
    _DECLARED.define("nms(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    _DECLARED.define("qnms(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    import torchvision


def model(name: str, weights: Path) -> torch.nn.Module:
    """Returns the network `torchvision.models.NAME` with the weights of a file, which is made where it is not."""
    if not weights.is_file():
        torch.manual_seed(0)
        save_file(_architecture(name, init_weights=True).state_dict(), weights)
    with torch.device("meta"):
        network = _architecture(name, init_weights=False)
    network.load_state_dict(load_file(weights), assign=True)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network.eval()


def _architecture(name: str, **options) -> torch.nn.Module:
    make = getattr(torchvision.models, name)
    if name == "googlenet":
        return make(aux_logits=False, **options)
    return make(**options) if name.startswith("vgg") else make()
