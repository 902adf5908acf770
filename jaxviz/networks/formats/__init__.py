"""Weight files of every origin, read without running anything in them."""

from jaxviz.networks.formats.base import Tensor, WeightFile, WeightsError

__all__ = ["Tensor", "WeightFile", "WeightsError"]
