"""A small network and a small recipe, for the tests of training."""

import jax
import numpy as np

from jaxviz import networks, training
from jaxviz.networks.preprocessing import TORCHVISION
from jaxviz.networks.vgg import VGG


def network():
    """A narrow VGG of one convolution a stage, with random weights."""
    architecture = VGG((1, 1, 1, 1, 1))
    params = networks.network.drawn_parameters(architecture, jax.random.key(7))
    return networks.Network(params, architecture, TORCHVISION, "tiny")


def fast(network):
    """The recipe of a narrow transformer with batch normalization."""
    painting = np.random.default_rng(1).random((48, 48, 3), np.float32)
    changes = {
        "norm": "batch",
        "width": 2,
        "content_layers": {"relu2_1": 1.0},
        "style_layers": {"relu1_1": 1.0, "relu2_1": 1.0},
    }
    return training.perceptual(network, {"noise": painting}, training.FAST["default"].merged(changes))
