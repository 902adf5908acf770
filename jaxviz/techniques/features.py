"""Looking at weights and activations: what a layer looks for, where it finds it, and how much it sees.

Nothing is chosen here and nothing optimized: kernels, Φ, and the geometry of Φ, as they are.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxviz._checks import image as checked_image
from jaxviz._checks import known, nearest
from jaxviz._typing import Image
from jaxviz.networks import Network
from jaxviz.networks.fields import ReceptiveField
from jaxviz.networks.structure import structure
from jaxviz.techniques.registry import Family, Method, Option

__all__ = ["Activations", "ReceptiveField", "activations", "filters", "receptive_field"]


class Activations(NamedTuple):
    """The channels of one layer for one picture.

    Attributes:
      maps: [h, w, c], in the order of the network's channels.
      strength: [c], the mean of each map's positive part.
      order: [c], the channels from the strongest to the weakest.
    """

    maps: Float[Array, "h w c"]
    strength: Float[Array, " c"]
    order: Int[Array, " c"]


def filters(network: Network, layer: str | None = None) -> Float[Array, "n kh kw c"]:
    """Returns the kernels of a convolution, one for each channel that it makes.

    Those of the first convolution are small pictures: their channels are red, green and blue in this order,
    whatever the order of the network. Values are as stored: they multiply what `network.preprocessing` returns.

    Args:
      network: Any.
      layer: A tap made by one convolution, or the path of a module; None for the first convolution.

    Returns:
      [n, kh, kw, c], with c = 3 for the first convolution.

    Raises:
      KeyError: If there is no such layer, or it has no kernel; the message offers the nearest names.

    References:
      Krizhevsky, Sutskever, Hinton. ImageNet Classification with Deep Convolutional Neural Networks. NeurIPS
      2012, figure 3.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> jaxviz.features.filters(network).shape
      (64, 3, 3, 3)
      >>> jaxviz.features.filters(network, "fire2/expand3x3").shape
      (64, 3, 3, 16)
    """
    built, name = structure(network.architecture), network.name or "this network"
    first, *_ = names = list(built.convolutions)
    chosen = first if layer is None else layer
    if chosen in built.parts and chosen not in names:
        raise KeyError(
            f"layer {chosen!r} of {name} is no convolution, so has no kernels; {nearest(chosen, names)}"
        )
    path = built.convolutions[known(chosen, names, f"convolution of {name}")]
    module = functools.reduce(lambda tree, part: tree[part], path, network.params)
    kernels = jnp.asarray(module["kernel"]).transpose(3, 0, 1, 2)
    colored = path == built.convolutions[first] and kernels.shape[3] == 3
    return kernels[..., ::-1] if colored and network.preprocessing.channels == "BGR" else kernels


def activations(network: Network, image: Image, layer: str) -> Activations:
    r"""Returns the maps of one layer, and which of its channels answer to the picture most.

    .. math:: s_c = \frac{1}{hw} \sum_{ij} \max(\Phi_{ijc}(x), 0)

    The strength of a channel is the mean of its positive part: a ReLU lets nothing else through, and a mean,
    unlike a maximum, is not decided by one unit at the border.

    Args:
      network: Φ.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      layer: A tap with positions.

    Returns:
      The maps, [h', w', c], and the channels by strength; of equal ones the first comes first.

    Raises:
      KeyError: If the layer does not exist; the message offers the nearest names.
      ValueError: If the image is not one, is too small for the layer, or the layer has no positions.

    References:
      Yosinski, Clune, Nguyen, Fuchs, Lipson. Understanding Neural Networks Through Deep Visualization. ICML Deep
      Learning Workshop 2015, section 2.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> found = jaxviz.features.activations(network, jnp.full((64, 64, 3), 0.5), "fire4")
      >>> found.maps.shape, found.order.shape
      ((7, 7, 256), (256,))
    """
    name = network.name or "this network"
    known(layer, network.layers, f"layer of {name}")
    if len(network.shapes[layer]) != 3:
        raise ValueError(f"layer {layer!r} of {name} has no positions, so no maps; take an earlier one")
    return _activations(network, checked_image(image), layer)


@functools.partial(jax.jit, static_argnames="layer")
def _activations(network: Network, image: Image, layer: str) -> Activations:
    maps = network.features(image, (layer,))[layer].astype(jnp.float32)
    strength = jnp.maximum(maps, 0).mean((0, 1))
    return Activations(maps, strength, jnp.argsort(strength, descending=True, stable=True))


def receptive_field(network: Network, layer: str) -> ReceptiveField:
    """Returns what part of the picture each unit of a layer can see: size, stride and position.

    This is the smallest rectangle that holds all pixels which can change the unit, read off the traced program
    of the architecture: through all branches, sums and concatenations. A layer without positions sees the whole
    picture, here 224×224. Pixels near the rim of a large field change a unit little.

    Args:
      network: Any.
      layer: A tap.

    Raises:
      KeyError: If the layer does not exist; the message offers the nearest names.
      ValueError: If the architecture contains an operation whose receptive field is not known.

    References:
      Araujo, Norris, Sim. Computing Receptive Fields of Convolutional Neural Networks. Distill 2019.

    Example:
      >>> field = jaxviz.features.receptive_field(jaxviz.load("vgg16"), "conv5_3")
      >>> field.size, field.stride, field.center
      ((196, 196), (16, 16), (8.0, 8.0))
      >>> field.box(7, 7)
      ((22, 218), (22, 218))
    """
    parts = structure(network.architecture).parts
    return parts[known(layer, parts, f"layer of {network.name or 'this network'}")].field


FAMILY = Family(
    name="features",
    title="what a layer looks for, where it finds it, and how much it sees",
    command="activations",
    network="squeezenet1_1",
    methods={
        "filters": Method(
            function=filters,
            title="filters",
            equation="θ",
            paper="Krizhevsky, Sutskever, Hinton. ImageNet Classification with Deep Convolutional Neural Networks. "
            "NeurIPS 2012",
            result="kernels",
            options={"layer": Option("layer", "A convolution; default: the first.")},
            command="filters",
        ),
        "activations": Method(
            function=activations,
            title="activations",
            equation="Φ(x)",
            paper="Yosinski, Clune, Nguyen, Fuchs, Lipson. Understanding Neural Networks Through Deep "
            "Visualization. ICML Workshop 2015",
            result="activations",
            options={"layer": Option("layer", "The tap.", usual="fire4")},
            command="activations",
        ),
        "receptive-fields": Method(
            function=receptive_field,
            title="receptive fields",
            equation="what a unit sees",
            paper="Araujo, Norris, Sim. Computing Receptive Fields of Convolutional Neural Networks. Distill 2019",
            result="field",
            options={"layer": Option("layer", "The tap.", usual="fire4")},
            command="networks NAME",
        ),
    },
)
