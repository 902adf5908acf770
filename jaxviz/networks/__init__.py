"""Φ_θ: convolutional networks as pure functions from one image to named taps."""

from jaxviz.networks.checkpoints import WeightsError
from jaxviz.networks.network import Network, compiled_features, parameter_shapes, tap_shapes
from jaxviz.networks.preprocessing import Preprocessing
from jaxviz.networks.zoo import NETWORKS, initialize, load

__all__ = [
    "NETWORKS",
    "Network",
    "Preprocessing",
    "WeightsError",
    "compiled_features",
    "initialize",
    "load",
    "parameter_shapes",
    "tap_shapes",
]
