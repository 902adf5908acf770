"""A small network and a small recipe, for the tests of training."""

import dataclasses

import numpy as np
import small_networks

from jaxviz import training

network = small_networks.narrow_vgg


def fast(network):
    """The recipe of a narrow transformer of one block with batch normalization."""
    painting = np.random.default_rng(1).random((48, 48, 3), np.float32)
    changes = {
        "norm": "batch",
        "width": 2,
        "content_layers": {"relu2_1": 1.0},
        "style_layers": {"relu1_1": 1.0, "relu2_1": 1.0},
    }
    return shallow(
        training.perceptual(network, {"noise": painting}, training.FAST["default"].merged(changes))
    )


def shallow(recipe):
    """Returns a recipe whose transformer has one residual block, where training has five: the same five times."""
    return dataclasses.replace(recipe, architecture=recipe.architecture.clone(blocks=1))
