"""Φ_θ: convolutional networks as pure functions from one image to named taps."""

from jaxviz.networks.network import Network, bordered, compiled_features, parameter_shapes, tap_shapes
from jaxviz.networks.preprocessing import Preprocessing
from jaxviz.networks.table import NETWORKS, configured

__all__ = [
    "NETWORKS",
    "Network",
    "Preprocessing",
    "bordered",
    "compiled_features",
    "configured",
    "parameter_shapes",
    "tap_shapes",
]
