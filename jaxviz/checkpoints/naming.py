"""What the modules of our networks are called in other libraries' weight files.

Ours follow the papers; `jaxviz networks NAME` lists them. `torchvision(architecture)` is the table in full.

=========================  ==================================  ===========================  =====================
Here                       torchvision                         timm                         Keras
=========================  ==================================  ===========================  =====================
VGG `conv1_2`, `bn1_2`     `features.2` or `.3`, `.4`          as torchvision               `block1_conv2`
VGG `fc6`, `fc7`, `fc8`    `classifier.0`, `.3`, `.6`          `pre_logits.fc1`, `head.fc`  `fc1`, `predictions`
ResNet `conv2_1/conv1`     `layer1.0.conv1`                    as torchvision               `conv2_block1_1_conv`
ResNet `…/shortcut_conv`   `layer1.0.downsample.0`             as torchvision               `conv2_block1_0_conv`
DenseNet `dense1_1/bn1`    `…1.denselayer1.norm1`              as torchvision               `conv2_block1_0_bn`
GoogLeNet `…_3a_5x5/conv`  `inception3a.branch3.1.conv`
SqueezeNet `fire2/…`       `features.3.squeeze`, `.expand1x1`
AlexNet `conv2`            `features.3`
=========================  ==================================  ===========================  =====================
"""

import itertools
import re
from collections.abc import Iterable, Mapping

import flax.linen as nn
from flax.traverse_util import flatten_dict

from jaxviz.networks.alexnet import CONVOLUTIONS, AlexNet
from jaxviz.networks.alexnet import POOLED as ALEXNET_POOLED
from jaxviz.networks.densenet import DenseNet
from jaxviz.networks.googlenet import GoogLeNet
from jaxviz.networks.network import parameter_shapes
from jaxviz.networks.resnet import ResNet
from jaxviz.networks.squeezenet import FIRES, SqueezeNet
from jaxviz.networks.vgg import VGG

_BRANCHES = {
    "1x1": "branch1",
    "3x3_reduce": "branch2.0",
    "3x3": "branch2.1",
    "5x5_reduce": "branch3.0",
    "5x5": "branch3.1",
    "pool_proj": "branch4.1",
}
_STEM = {"conv1_7x7": "conv1", "conv2_3x3_reduce": "conv2", "conv2_3x3": "conv3"}


def modules(architecture: nn.Module) -> tuple[str, ...]:
    """Returns the paths of all modules that have weights, such as `conv2_1/conv1`."""
    flat = flatten_dict(parameter_shapes(architecture), sep="/")
    return tuple(dict.fromkeys(name.rpartition("/")[0] for name in flat))


def torchvision(architecture: nn.Module) -> dict[str, str]:
    """Returns the module path of every module of ours in torchvision's network.

    Example:
      >>> from jaxviz.networks import NETWORKS
      >>> torchvision(NETWORKS["resnet18"].architecture)["conv3_1/shortcut_conv"]
      'layer2.0.downsample.0'
    """
    ours = modules(architecture)
    if isinstance(architecture, AlexNet | VGG | SqueezeNet):
        counted = _counted(architecture)
        return {name: counted[name] for name in ours}
    return {name: _renamed(architecture, name) for name in ours}


def timm(architecture: nn.Module) -> dict[str, str]:
    """Returns the module path of every module of ours in timm's network: torchvision's, but for VGG's head."""
    heads = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2", "classifier.6": "head.fc"}
    names = torchvision(architecture)
    return {ours: heads.get(theirs, theirs) for ours, theirs in names.items()}


def keras(architecture: nn.Module) -> dict[str, str]:
    """Returns the layer name of every module of ours in Keras Applications; empty where it has no such network."""
    if not isinstance(architecture, VGG | ResNet | DenseNet) or getattr(architecture, "batch_norm", False):
        return {}
    heads = {"fc6": "fc1", "fc7": "fc2", "fc8": "predictions", "fc": "predictions"}
    stem = {"conv1": "conv1_conv", "bn1": "conv1_bn", "bn5": "bn"}

    def named(ours: str) -> str:
        if ours in heads:
            return heads[ours]
        if isinstance(architecture, VGG):
            return re.sub(r"^conv(\d)_(\d)$", r"block\1_conv\2", ours)
        if ours in stem:
            return stem[ours]
        if isinstance(architecture, ResNet):
            ours = re.sub(r"/shortcut_(\w+)$", r"_0_\1", re.sub(r"/(conv|bn)(\d)$", r"_\2_\1", ours))
            return re.sub(r"^conv(\d)_(\d+)", r"conv\1_block\2", ours)
        block, _, layer = ours.partition("/")
        kind, stage, *number = re.fullmatch(r"(dense|transition)(\d)(?:_(\d+))?", block).groups()  # type: ignore[union-attr]
        if kind == "transition":
            return f"pool{int(stage) + 1}_{layer}"
        # Keras counts a layer's normalizations from 0 and its convolutions from 1.
        place = int(layer[-1]) - (layer[:-1] == "bn")
        return f"conv{int(stage) + 1}_block{number[0]}_{place}_{layer[:-1]}"

    return {ours: named(ours) for ours in modules(architecture)}


def _counted(architecture: AlexNet | VGG | SqueezeNet) -> dict[str, str]:
    """Returns names of networks whose layers torchvision numbers: ReLUs, poolings and dropouts count too."""
    if isinstance(architecture, VGG):
        names = _indexed(_vgg_order(architecture))
        return names | {"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"}
    if isinstance(architecture, AlexNet):
        order = [[f"conv{i}", "relu", *["pool"] * (i in ALEXNET_POOLED)] for i in CONVOLUTIONS]
        names = _indexed(itertools.chain.from_iterable(order))
        return names | {"fc6": "classifier.1", "fc7": "classifier.4", "fc8": "classifier.6"}
    fires = [[f"fire{i}", *["pool"] * (i in architecture.pooled)] for i in FIRES]
    names = _indexed(["conv1", "relu", "pool", *itertools.chain.from_iterable(fires)])
    parts = {
        f"fire{i}/{part}": f"{names[f'fire{i}']}.{part.replace('squeeze1x1', 'squeeze')}"
        for i in FIRES
        for part in ("squeeze1x1", "expand1x1", "expand3x3")
    }
    return {"conv1": names["conv1"], **parts, "conv10": "classifier.1"}


def _vgg_order(architecture: VGG) -> Iterable[str]:
    for stage, depth in enumerate(architecture.depths, 1):
        for i in range(1, depth + 1):
            yield f"conv{stage}_{i}"
            if architecture.batch_norm:
                yield f"bn{stage}_{i}"
            yield "relu"
        yield "pool"


def _indexed(order: Iterable[str]) -> dict[str, str]:
    return {name: f"features.{i}" for i, name in enumerate(order)}


def _renamed(architecture: nn.Module, ours: str) -> str:
    if isinstance(architecture, GoogLeNet):
        unit, _, part = ours.partition("/")
        if unit in _STEM:
            return f"{_STEM[unit]}.{part}"
        return re.sub(
            r"^inception_(\d\w)_(\w+)/(\w+)$", lambda m: f"inception{m[1]}.{_BRANCHES[m[2]]}.{m[3]}", ours
        )
    if isinstance(architecture, ResNet):
        theirs = re.sub(r"^conv(\d)_(\d+)/", lambda m: f"layer{int(m[1]) - 1}.{int(m[2]) - 1}.", ours)
        return theirs.replace("shortcut_conv", "downsample.0").replace("shortcut_bn", "downsample.1")
    top: Mapping[str, str] = {
        "conv1": "features.conv0",
        "bn1": "features.norm0",
        "bn5": "features.norm5",
        "fc": "classifier",
    }
    if ours in top:
        return top[ours]
    theirs = re.sub(r"^dense(\d)_(\d+)/", r"features.denseblock\1.denselayer\2.", ours)
    return re.sub(r"^transition(\d)/", r"features.transition\1.", theirs).replace(".bn", ".norm")
