"""Weight files: reading every format, making them ours, fetching, verifying. `jaxviz.load` is the way in."""

from jaxviz.checkpoints.formats import WeightsError
from jaxviz.checkpoints.perceptual import perceptual_weights

__all__ = ["WeightsError", "perceptual_weights"]
