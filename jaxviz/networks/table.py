"""The table of known networks: name → architecture and paper."""

import dataclasses

import flax.linen as nn

from jaxviz._checks import known
from jaxviz.networks.alexnet import ALEXNET
from jaxviz.networks.densenet import DENSENET121
from jaxviz.networks.googlenet import GOOGLENET
from jaxviz.networks.layers import POOLINGS, PRECISIONS
from jaxviz.networks.resnet import RESNET18, RESNET34, RESNET50, RESNET101
from jaxviz.networks.squeezenet import SQUEEZENET1_0, SQUEEZENET1_1
from jaxviz.networks.vgg import VGG, VGG11, VGG13, VGG16, VGG19


@dataclasses.dataclass(frozen=True)
class Entry:
    """One known network.

    Attributes:
      architecture: Its Linen module.
      paper: The one that it comes from.
      convolutions: How many it has; tells whose weights a file may be without tracing all networks.
    """

    architecture: nn.Module
    paper: str
    convolutions: int


_VGG_PAPER = (
    "Simonyan, Zisserman. Very Deep Convolutional Networks for Large-Scale Image Recognition. ICLR 2015."
)
_SQUEEZENET_PAPER = "Iandola et al. SqueezeNet: AlexNet-level accuracy with 50x fewer parameters. arXiv 2016."
_RESNET_PAPER = "He, Zhang, Ren, Sun. Deep Residual Learning for Image Recognition. CVPR 2016."


def _vggs(name: str, architecture: VGG) -> dict[str, Entry]:
    """Returns a VGG with and without normalization, with and without the 120 million weights of its head."""
    entries = {}
    for suffix, batch_norm in (("", False), ("_bn", True)):
        variant = architecture.clone(batch_norm=batch_norm)
        convolutions = int(name.removeprefix("vgg")) - 3
        entries[f"{name}{suffix}"] = Entry(variant, _VGG_PAPER, convolutions)
        whole = variant.clone(classes=1000)
        entries[f"{name}{suffix}_classifier"] = Entry(whole, _VGG_PAPER, convolutions)
    return entries


NETWORKS = {
    "alexnet": Entry(
        ALEXNET,
        "Krizhevsky, Sutskever, Hinton. ImageNet Classification with Deep Convolutional Neural Networks. "
        "NeurIPS 2012; one tower as in Krizhevsky, arXiv 1404.5997.",
        5,
    ),
    **_vggs("vgg11", VGG11),
    **_vggs("vgg13", VGG13),
    **_vggs("vgg16", VGG16),
    **_vggs("vgg19", VGG19),
    "squeezenet1_0": Entry(SQUEEZENET1_0, _SQUEEZENET_PAPER, 26),
    "squeezenet1_1": Entry(SQUEEZENET1_1, _SQUEEZENET_PAPER, 26),
    "googlenet": Entry(GOOGLENET, "Szegedy et al. Going Deeper with Convolutions. CVPR 2015.", 57),
    "resnet18": Entry(RESNET18, _RESNET_PAPER, 20),
    "resnet34": Entry(RESNET34, _RESNET_PAPER, 36),
    "resnet50": Entry(RESNET50, _RESNET_PAPER, 53),
    "resnet50_caffe": Entry(RESNET50.clone(stride_first=True), _RESNET_PAPER, 53),
    "resnet101": Entry(RESNET101, _RESNET_PAPER, 104),
    "resnet101_caffe": Entry(RESNET101.clone(stride_first=True), _RESNET_PAPER, 104),
    "densenet121": Entry(
        DENSENET121,
        "Huang, Liu, van der Maaten, Weinberger. Densely Connected Convolutional Networks. CVPR 2017.",
        120,
    ),
}


def configured(name: str, pooling: str, precision: str) -> nn.Module:
    """Returns the architecture of a known network with a pooling and a precision; KeyError for unknown ones."""
    known(name, NETWORKS, "network")
    known(pooling, POOLINGS, "pooling")
    known(precision, PRECISIONS, "precision")
    return NETWORKS[name].architecture.clone(pooling=pooling, precision=precision)
