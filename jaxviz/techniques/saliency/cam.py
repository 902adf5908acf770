"""What the class activation maps share: the layer that is explained, and the map at the size of the image."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._checks import known
from jaxviz._typing import Heatmap, Image, Objective
from jaxviz.networks import Network
from jaxviz.networks.probing import tap_gradient
from jaxviz.objectives.parts import precise


def explained(network: Network, layer: str | None) -> str:
    """Returns the tap that a method explains; None stands for the last one with positions and features.

    Raises:
      KeyError: If the layer does not exist.
      ValueError: If it has no positions.
    """
    layer = last_map(network) if layer is None else layer
    known(layer, network.layers, f"layer of {network.name or 'this network'}")
    if len(network.shapes[layer]) != 3:
        raise ValueError(f"layer {layer!r} of {network.name} has no positions; take {last_map(network)}")
    return layer


def last_map(network: Network) -> str:
    """Returns the last tap with positions whose channels are features, not classes."""
    taps = [name for name, shape in network.shapes.items() if len(shape) == 3]
    features = [name for name in taps if network.shapes[name][2] != network.classes]
    rectified = [name for name in features if not name.startswith("pool")]
    return rectified[-1]


def features_and_slopes(
    network: Network, image: Image, objective: Objective, layer: str
) -> tuple[Float[Array, "p q c"], Float[Array, "p q c"]]:
    r"""Returns A, the taps of a layer, and :math:`\partial S / \partial A`, with S = -L, in float32 at least."""
    tap, slope = tap_gradient(network, image, layer, lambda taps: -objective(taps))
    return precise(tap), precise(slope)


def enlarged(values: Float[Array, "p q"], image: Image) -> Heatmap:
    """Returns the positive part of a map at the size of the image, bilinearly."""
    return jax.image.resize(jnp.maximum(values, 0), image.shape[:2], "bilinear", antialias=False)
