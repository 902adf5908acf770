"""What a set of weights expects as input, as one record that travels with the weights."""

import dataclasses
from typing import Any

import jax.numpy as jnp

from jaxviz._typing import Image


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    r"""How a public image becomes a network's input: :math:`(s \cdot x_\pi - \mu) / \sigma` per channel.

    Public images are RGB in [0, 1]. Weights are trained on other ranges and channel orders, and run without
    error, and wrongly, on any: so the record is stored in the weight file and applied in
    `Network.features` alone.

    Attributes:
      channels: "RGB" or "BGR", the permutation π.
      scale: s, 255 for networks trained on bytes.
      mean: μ in the network's channel order and range.
      std: σ, likewise.
    """

    channels: str = "RGB"
    scale: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self):
        if self.channels not in ("RGB", "BGR"):
            raise ValueError(f"channels is {self.channels!r}; known are 'RGB' and 'BGR'")

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Preprocessing":
        """Returns the record that `dataclasses.asdict` wrote, from JSON or TOML."""
        return cls(
            record["channels"], float(record["scale"]), _triple(record["mean"]), _triple(record["std"])
        )

    def apply(self, image: Image) -> Image:
        """Returns the network's input for an RGB image in [0, 1]."""
        x = image if self.channels == "RGB" else image[..., ::-1]
        return (x * self.scale - jnp.asarray(self.mean, x.dtype)) / jnp.asarray(self.std, x.dtype)

    def invert(self, x: Image) -> Image:
        """Returns the RGB image, in [0, 1] where the input was, that `apply` maps to `x`."""
        image = (x * jnp.asarray(self.std, x.dtype) + jnp.asarray(self.mean, x.dtype)) / self.scale
        return image if self.channels == "RGB" else image[..., ::-1]


def _triple(values) -> tuple[float, float, float]:
    first, second, third = (float(v) for v in values)
    return first, second, third


CAFFE = Preprocessing("BGR", 255.0, (103.939, 116.779, 123.68))
"""Caffe's and Keras's VGG and SqueezeNet weights: bytes, blue first, minus the ImageNet mean."""

MEAN_COLOR = (123.68 / 255, 116.779 / 255, 103.939 / 255)
"""The same mean as a public image has it: RGB in [0, 1]."""

TORCHVISION = Preprocessing("RGB", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""torchvision's weights: RGB in [0, 1], standardized by the ImageNet mean and deviation."""

SYMMETRIC = Preprocessing("RGB", 1.0, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""TensorFlow's Inception weights: RGB in [-1, 1]."""
