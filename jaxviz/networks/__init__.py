"""Φ_θ: convolutional networks as pure functions from one image to named taps."""

from jaxviz.networks.network import Network, compiled_features, parameter_shapes, tap_shapes
from jaxviz.networks.preprocessing import Preprocessing
from jaxviz.networks.table import NETWORKS, configured
from jaxviz.networks.variants import bordered, pooled

__all__ = [
    "NETWORKS",
    "Network",
    "Preprocessing",
    "bordered",
    "compiled_features",
    "configured",
    "parameter_shapes",
    "pooled",
    "tap_shapes",
]
