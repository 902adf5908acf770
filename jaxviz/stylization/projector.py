"""What a style is by contrast: codes that are near each other for pictures of one style, and far from others."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._typing import Image, Params, Taps, static, symbol
from jaxviz.networks import Network
from jaxviz.networks.layers import Dense, precise

LEAST_NORM = 1e-12

StyleCodes = Mapping[str, Float[Array, "..."]]


class Projector(nn.Module):
    """Means and maxima of features over all positions, layer by layer, to codes of unit length.

    Each layer has its own: a 1×1 convolution from both to as many channels as one has, a ReLU, and three fully
    connected layers with ReLUs between them. Parameters are of float32, and so are products.

    Attributes:
      layers: Taps of the network before it.
      size: Numbers of a code; 2048 as published. Hidden layers have half as many, and as many.

    References:
      Zhang, Tang, Dong, Huang, Huang, Lee, Xu. Domain Enhanced Arbitrary Image Style Transfer via Contrastive
      Learning. SIGGRAPH 2022, section 3.1.
    """

    layers: tuple[str, ...] = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
    size: int = 2048

    @nn.compact
    def __call__(self, pooled: Mapping[str, Float[Array, "n _"]]) -> Mapping[str, Float[Array, "n d"]]:
        """Returns a code of each layer for each picture, [n, size], given `pooled_features` of them."""
        codes = {}
        for layer in self.layers:
            x = pooled[layer]
            widths = (x.shape[-1] // 2, self.size // 2, self.size)
            for k, width in enumerate(widths):
                x = jax.nn.relu(Dense(width, name=f"{layer}_{k}")(x))
            codes[layer] = unit(Dense(self.size, name=f"{layer}_{len(widths)}")(x))
        return codes


def unit(x: Float[Array, "... d"]) -> Float[Array, "... d"]:
    """Returns vectors of length 1 in the same directions."""
    return x / jnp.sqrt(jnp.maximum(jnp.sum(x**2, -1, keepdims=True), LEAST_NORM**2))


def pooled_features(taps: Taps, scales: Mapping[str, float]) -> dict[str, Float[Array, "_"]]:
    """Returns means and maxima over positions of features that are divided by their size, layer → [2 c]."""
    found = {}
    for layer, scale in scales.items():
        tap = precise(taps[layer])
        found[layer] = jnp.concatenate([tap.mean((0, 1)), tap.max((0, 1))]) / scale
    return found


@symbol
class StyleCoder:
    """A trained projector with the network before it: a picture to the codes of its style.

    Attributes:
      params: The projector's weights.
      network: Whose taps it reads.
      architecture: The projector.
      scales: Layer → the size of the network's features there; static, as pairs.
    """

    params: Params
    network: Network
    architecture: Projector = static()
    scales: tuple[tuple[str, float], ...] = static()

    def codes(self, image: Image) -> StyleCodes:
        """Returns the codes of a picture's style, layer → [d], of unit length.

        Example:
          >>> from jaxviz.stylization import StyleCoder, initialize
          >>> attributes = {"layers": ("relu1_2", "relu2_2"), "size": 8}
          >>> coder = initialize("projector", jax.random.key(0), encoder=jaxviz.load("vgg16"), **attributes)
          >>> codes = jax.jit(StyleCoder.codes)(coder, jnp.full((32, 32, 3), 0.5))
          >>> {layer: code.shape for layer, code in codes.items()}
          {'relu1_2': (8,), 'relu2_2': (8,)}
        """
        taps = self.network.features(image, list(self.architecture.layers))
        pooled = pooled_features(taps, dict(self.scales))
        found: Any = self.architecture.apply({"params": self.params}, jax.tree.map(lambda v: v[None], pooled))
        return {layer: code[0] for layer, code in found.items()}

    def code(self, image: Image) -> Float[Array, "_"]:
        """Returns all codes as one vector of unit length, whose cosine with another is the mean of theirs."""
        codes = self.codes(image)
        return jnp.concatenate([codes[layer] for layer in self.architecture.layers]) / len(codes) ** 0.5
