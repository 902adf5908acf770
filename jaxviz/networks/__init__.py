"""Φ_θ: convolutional networks as pure functions from one image to named taps."""

from jaxviz.networks.ensemble import Ensemble, ensemble
from jaxviz.networks.network import Network, compiled_features, parameter_shapes, tap_shapes
from jaxviz.networks.preprocessing import Preprocessing
from jaxviz.networks.table import NETWORKS, configured
from jaxviz.networks.variants import bordered, of_one_class, pooled

__all__ = [
    "NETWORKS",
    "Ensemble",
    "Network",
    "Preprocessing",
    "bordered",
    "compiled_features",
    "configured",
    "ensemble",
    "of_one_class",
    "parameter_shapes",
    "pooled",
    "tap_shapes",
]
