"""The table of known networks, and `load`, which makes one ready for use."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxviz._checks import known
from jaxviz._typing import Key
from jaxviz.networks import checkpoints, fetched
from jaxviz.networks.alexnet import ALEXNET
from jaxviz.networks.conversion import MismatchError
from jaxviz.networks.densenet import DENSENET121
from jaxviz.networks.formats import WeightFile, WeightsError, open_file
from jaxviz.networks.googlenet import GOOGLENET
from jaxviz.networks.layers import POOLINGS, PRECISIONS
from jaxviz.networks.network import Network
from jaxviz.networks.preprocessing import CAFFE
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


def _configured(name: str, pooling: str, precision: str) -> nn.Module:
    known(name, NETWORKS, "network")
    known(pooling, POOLINGS, "pooling")
    known(precision, PRECISIONS, "precision")
    return NETWORKS[name].architecture.clone(pooling=pooling, precision=precision)


def load(
    name: str, *, weights: str | Path | None = None, pooling: str = "max", precision: str = "float32"
) -> Network:
    """Returns a network with its published weights, checked against hash, names and shapes.

    Args:
      name: A key of `NETWORKS`. `squeezenet1_1` (with classifier) and `vgg16` (convolutions) are shipped.
      weights: A file to read instead of the one that is shipped, or was fetched by `jaxviz weights fetch`.
      pooling: "max", as trained, or "average".
      precision: "float32"; "tf32" or "bfloat16" for speed on accelerators that have them.

    Raises:
      KeyError: If a name is unknown; the message offers the nearest.
      WeightsError: If the file is missing, damaged or another network's.

    Example:
      >>> network = load("squeezenet1_1")
      >>> network.layers[:4]
      ('conv1', 'relu1', 'pool1', 'fire2/squeeze1x1')
      >>> network.labels[285]
      'Egyptian cat'
    """
    architecture = _configured(name, pooling, precision)
    if weights is None:
        path, expected_hash = _kept(name)
    else:
        path, expected_hash = Path(weights), None
    with told_whose(path):
        params, architecture, preprocessing = checkpoints.read(
            path, name, architecture, expected_hash=expected_hash
        )
    return Network(params, architecture, preprocessing, name, _labels(architecture))


def fitting(file: WeightFile) -> list[str]:
    """Returns the known networks whose weights a file holds, by names and shapes."""
    found = []
    kernels = sum(len(tensor.shape) == 4 for tensor in file.tensors.values())
    for name, entry in NETWORKS.items():
        # Two belong to GoogLeNet's auxiliary classifiers, or are timm's for VGG's dense layers.
        if not 0 <= kernels - entry.convolutions <= 2:
            continue
        with contextlib.suppress(WeightsError):
            checkpoints.planned(file, name, entry.architecture)
            found.append(name)
    return found


@contextlib.contextmanager
def told_whose(path: Path) -> Iterator[None]:
    """Adds to the error of a file that is another network's which one that is, if it is known."""
    try:
        yield
    except MismatchError as error:
        if names := fitting(open_file(path)):
            raise MismatchError(f"{error}; these are weights of {' or '.join(names)}") from error
        raise


def _kept(name: str) -> tuple[Path, str | None]:
    """Returns the shipped file of a network, else the fetched one, and its SHA-256 if there is a record of it."""
    shipped = checkpoints.manifest()
    if name in shipped:
        return checkpoints.folder() / shipped[name]["file"], shipped[name]["sha256"]
    found = fetched.find(name)
    if found is None:
        raise WeightsError(
            f"{name}: expected weights=FILE, found none; `jaxviz weights fetch {name}` gets the published ones, "
            f"networks.initialize({name!r}, key) draws random ones; shipped are {', '.join(shipped)}"
        )
    return found


def initialize(name: str, key: Key, *, pooling: str = "max", precision: str = "float32") -> Network:
    """Returns a network with random weights (He normal, zero biases), for tests and for comparison.

    Arguments and errors as for `load`; `key` seeds the weights.

    Example:
      >>> initialize("vgg19", jax.random.key(0)).layers[-1]
      'pool5'
    """
    architecture = _configured(name, pooling, precision)
    params = jax.jit(architecture.init)(key, jnp.zeros((1, 224, 224, 3)))["params"]
    return Network(params, architecture, CAFFE, name, _labels(architecture))


def _labels(architecture: nn.Module) -> tuple[str, ...]:
    count = getattr(architecture, "classes", None)
    if count != 1000:
        return tuple(f"class {i}" for i in range(count or 0))
    lines = (checkpoints.folder() / "imagenet_labels.txt").read_text().splitlines()
    return tuple(line.split(" ", 1)[1] for line in lines)
