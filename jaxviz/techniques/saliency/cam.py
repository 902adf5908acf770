"""What the class activation maps share: the layer that is explained, and the map at the size of the image."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._checks import image as checked_image
from jaxviz._checks import known
from jaxviz._typing import Heatmap, Image, Number, Objective
from jaxviz.networks import Network
from jaxviz.networks.probing import tap_gradient
from jaxviz.objectives.parts import precise
from jaxviz.techniques.classes import alone, scored


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


Weigh = Callable[[Float[Array, "p q c"], Float[Array, "p q c"]], Float[Array, "p q"]]


def activation_map(
    network: Network, image: Image, target: Number | Objective, layer: str | None, weigh: Weigh
) -> Heatmap:
    r"""Returns the positive part of a layer's contributions at the size of the image, bilinearly.

    Args:
      network: Φ.
      image: x, [h, w, 3], in [0, 1].
      target: A class index, or an objective.
      layer: As for `explained`.
      weigh: From A and :math:`\partial S / \partial A` to what each position contributes.
    """
    layer = explained(network, layer)
    return _enlarged(network, checked_image(image), scored(network, target), layer, weigh)


@functools.partial(jax.jit, static_argnames=("layer", "weigh"))
def _enlarged(network: Network, image: Image, objective: Objective, layer: str, weigh: Weigh) -> Heatmap:
    positive = jnp.maximum(contributions(network, image, objective, layer, weigh), 0)
    return jax.image.resize(positive, image.shape[:2], "bilinear", antialias=False)


def contributions(
    network: Network, image: Image, objective: Objective, layer: str, weigh: Weigh
) -> Float[Array, "p q"]:
    r"""Returns what each position of a layer contributes to S = -L, at the size of the layer, signed."""
    if network.shapes[layer][-1] != network.classes:
        network, objective = alone(network, objective)
    tap, slope = tap_gradient(network, image, layer, lambda taps: -objective(taps))
    return weigh(precise(tap), precise(slope))
