"""Networks that compile in a fraction of the time of those that have learned, for tests of what holds for any."""

import flax.linen as nn
import jax
import numpy as np

from jaxviz import networks, zoo
from jaxviz._typing import Relu
from jaxviz.networks.layers import POOLINGS, PRECISIONS, Conv, precise
from jaxviz.networks.preprocessing import TORCHVISION
from jaxviz.networks.vgg import VGG


class Small(nn.Module):
    """Three convolutions, of which the last scores a thousand classes; the taps of a SqueezeNet without fires."""

    width: int = 16
    classes: int | None = 1000
    pooling: str = "max"
    relu: Relu = jax.nn.relu
    precision: str = "float32"
    classifier = "conv3"

    @nn.compact
    def __call__(self, x):
        taps = {}
        x = x.astype(PRECISIONS[self.precision][0])
        x = taps["conv1"] = Conv(self.width, 3, 2, 0, self.precision, name="conv1")(x)
        x = taps["relu1"] = self.relu(x)
        x = taps["pool1"] = POOLINGS[self.pooling](x, 3, 2, True)
        x = taps["conv2"] = Conv(2 * self.width, 3, 1, 1, self.precision, name="conv2")(x)
        x = taps["relu2"] = self.relu(x)
        x = taps["conv3"] = Conv(self.classes, 1, 1, 0, self.precision, name=self.classifier)(x)
        taps["logits"] = precise(x).mean((1, 2))
        return taps


def narrow_vgg():
    """Returns a VGG of one convolution a stage, with random weights."""
    architecture = VGG((1, 1, 1, 1, 1))
    params = networks.network.drawn_parameters(architecture, jax.random.key(7))
    return networks.Network(params, architecture, TORCHVISION, "tiny")


def classifier(seed=0, **options):
    """Returns the network with random weights and the names of ImageNet's classes.

    As of one that has learned, its first kernels see edges more than colors, so that a small change of the picture
    fools it, and its scores lie far apart.
    """
    architecture = Small(**options)
    params = networks.network.drawn_parameters(architecture, jax.random.key(seed))
    first, last = (np.asarray(params[layer]["kernel"]) for layer in ("conv1", "conv3"))
    changed = {"conv1": first - 0.8 * first.mean((0, 1), keepdims=True), "conv3": 4 * last}
    params = params | {
        layer: params[layer] | {"kernel": jax.device_put(kernel)} for layer, kernel in changed.items()
    }
    return networks.Network(params, architecture, TORCHVISION, "small", zoo._labels(architecture))
