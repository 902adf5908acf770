"""The table of known networks, and `load`, which makes one ready for use."""

import dataclasses
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxviz._checks import known
from jaxviz._typing import Key
from jaxviz.networks import checkpoints
from jaxviz.networks.checkpoints import WeightsError
from jaxviz.networks.layers import POOLINGS, PRECISIONS
from jaxviz.networks.network import Network, parameter_shapes
from jaxviz.networks.preprocessing import CAFFE
from jaxviz.networks.squeezenet import SQUEEZENET
from jaxviz.networks.vgg import VGG16, VGG19


@dataclasses.dataclass(frozen=True)
class Entry:
    """One known network: its architecture, and the paper that it comes from."""

    architecture: nn.Module
    paper: str


_VGG_PAPER = (
    "Simonyan, Zisserman. Very Deep Convolutional Networks for Large-Scale Image Recognition. ICLR 2015."
)
_SQUEEZENET_PAPER = "Iandola et al. SqueezeNet: AlexNet-level accuracy with 50x fewer parameters. arXiv 2016."

NETWORKS = {
    "squeezenet1_1": Entry(SQUEEZENET, _SQUEEZENET_PAPER),
    "vgg16": Entry(VGG16, _VGG_PAPER),
    "vgg16_classifier": Entry(VGG16.clone(classes=1000), _VGG_PAPER),
    "vgg19": Entry(VGG19, _VGG_PAPER),
    "vgg19_classifier": Entry(VGG19.clone(classes=1000), _VGG_PAPER),
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
      weights: A file to read instead of the shipped one.
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
        shipped = checkpoints.manifest()
        if name not in shipped:
            raise WeightsError(
                f"{name}: expected weights=FILE, found none; shipped are {', '.join(shipped)}, "
                f"and networks.initialize({name!r}, key) draws random weights"
            )
        path, expected_hash = checkpoints.folder() / shipped[name]["file"], shipped[name]["sha256"]
    else:
        path, expected_hash = Path(weights), None
    params, _, preprocessing = checkpoints.read(path, expected_hash=expected_hash)
    if expected_hash is None:  # the names and shapes of a file with the right hash are known
        checkpoints.check_structure(path, params, parameter_shapes(architecture))
    return Network(params, architecture, preprocessing, name, _labels(architecture))


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
    if getattr(architecture, "classes", None) != 1000:
        return ()
    lines = (checkpoints.folder() / "imagenet_labels.txt").read_text().splitlines()
    return tuple(line.split(" ", 1)[1] for line in lines)
