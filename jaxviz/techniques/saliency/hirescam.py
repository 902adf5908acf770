r"""HiResCAM: where a layer's features speak for a class, each times the derivative at its own place.

.. math:: M = \max \left( 0, \sum_c A_c \odot \frac{\partial S}{\partial A_c} \right)
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._checks import image as checked_image
from jaxviz._checks import known
from jaxviz._typing import Heatmap, Image, Number, Objective
from jaxviz.networks import Network
from jaxviz.networks.probing import tap_gradient
from jaxviz.techniques.classes import scored


def hirescam(
    network: Network, image: Image, target: Number | Objective, *, layer: str | None = None
) -> Heatmap:
    r"""Returns where the features of a layer raise a score, at the size of the image.

    .. math:: M = \mathrm{enlarged} \max \left( 0, \sum_c A_c \odot \frac{\partial S}{\partial A_c} \right)

    with A the taps of `layer` and S the unnormalized score of class `target`, or minus an objective of the taps.
    Unlike Grad-CAM no derivative is averaged over positions, so that the sum before the maximum is exactly what
    each place adds to the score, where only a linear layer or a mean follows A. Enlarged bilinearly. For a batch,
    `jax.vmap`.

    Args:
      network: One with a classifier, unless `target` is an objective of other taps.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      target: A class index, or an objective.
      layer: A tap with positions; None for the last one before the classifier, such as SqueezeNet's `fire9`.

    Returns:
      M, [h, w], at least 0, unnormalized, in units of the score.

    Raises:
      KeyError: If the layer does not exist.
      ValueError: If the image is not one or too small for the layer, the layer has no positions, the class is
        out of range, or the network has no classifier.

    References:
      Draelos, Carin. Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
      networks. arXiv 2011.08891, 2020.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> jaxviz.saliency.hirescam(network, jnp.full((64, 64, 3), 0.5), 285).shape
      (64, 64)
    """
    layer = last_map(network) if layer is None else layer
    known(layer, network.layers, f"layer of {network.name or 'this network'}")
    if len(network.shapes[layer]) != 3:
        raise ValueError(f"layer {layer!r} of {network.name} has no positions; take {last_map(network)}")
    return _hirescam(network, checked_image(image), scored(network, target), layer)


@functools.partial(jax.jit, static_argnames="layer")
def _hirescam(network: Network, image: Image, objective: Objective, layer: str) -> Heatmap:
    positive = jnp.maximum(contributions(network, image, objective, layer), 0)
    return jax.image.resize(positive, image.shape[:2], "bilinear", antialias=False)


def contributions(network: Network, image: Image, objective: Objective, layer: str) -> Float[Array, "p q"]:
    r"""Returns :math:`\sum_c A_c \odot \partial S / \partial A_c` at the size of the layer, signed."""
    tap, slope = tap_gradient(network, image, layer, objective)
    return -(tap.astype(jnp.float32) * slope.astype(jnp.float32)).sum(-1)


def last_map(network: Network) -> str:
    """Returns the last tap with positions whose channels are features, not classes."""
    taps = [name for name, shape in network.shapes.items() if len(shape) == 3]
    features = [name for name in taps if network.shapes[name][2] != network.classes]
    rectified = [name for name in features if not name.startswith("pool")]
    return rectified[-1]
