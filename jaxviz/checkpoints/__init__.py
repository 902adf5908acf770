"""Weight files: reading every format, making them ours, fetching, verifying. `jaxviz.load` is the way in."""

from jaxviz.checkpoints.formats import WeightsError

__all__ = ["WeightsError"]
