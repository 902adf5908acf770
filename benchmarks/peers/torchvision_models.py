"""torchvision's networks with seeded weights, frozen, for inference. Imports no jaxviz."""

import torch

try:
    import torchvision
except RuntimeError:  # a torchvision without its compiled operators imports once two of them are declared
    _DECLARED = torch.library.Library("torchvision", "DEF")
    _DECLARED.define("nms(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    _DECLARED.define("qnms(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    import torchvision


def model(name: str) -> torch.nn.Module:
    """Returns the network `torchvision.models.NAME`."""
    torch.manual_seed(0)
    options = {"init_weights": True, "aux_logits": False} if name == "googlenet" else {}
    network = getattr(torchvision.models, name)(**options).eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network
