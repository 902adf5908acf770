r"""Grad-CAM++: Grad-CAM whose channels count by a weighted sum of positive derivatives.

.. math:: M = \max \left( 0, \sum_c w_c A_c \right), \quad w_c = \sum_{ij} \alpha_{ijc} \max(0, g_{ijc})
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._typing import Heatmap, Image, Number, Objective
from jaxviz.networks import Network
from jaxviz.techniques.saliency.cam import activation_map


def grad_cam_plus_plus(
    network: Network, image: Image, target: Number | Objective, *, layer: str | None = None
) -> Heatmap:
    r"""Returns where the channels that raise a score are active, at the size of the image, for several objects.

    .. math:: M = \mathrm{enlarged} \max \left( 0, \sum_c w_c A_c \right), \quad
              w_c = \sum_{ij} \alpha_{ijc} \max(0, g_{ijc}), \quad
              \alpha_{ijc} = \frac{g_{ijc}^2}{2 g_{ijc}^2 + g_{ijc}^3 \sum_{ab} A_{abc}}, \quad
              g = \frac{\partial S}{\partial A}

    with A the taps of `layer` and S the unnormalized score of class `target`, or minus an objective of the taps.
    Enlarged bilinearly. For a batch, `jax.vmap`.

    Args:
      network: One with a classifier, unless `target` is an objective of other taps.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      target: A class index, or an objective of taps that come after `layer`.
      layer: A tap with positions; None for the last one before the classifier, such as SqueezeNet's `fire9` and
        VGG-16's `relu5_3`.

    Returns:
      M, [h, w], at least 0, unnormalized.

    Raises:
      KeyError: If the layer does not exist.
      ValueError: If the image is not one or too small for the layer, the layer has no positions, the class is
        out of range, or the network has no classifier.

    Note:
      In [1] the score is an exponential, :math:`Y = e^S`. Its derivatives are :math:`e^S g^n`; in α they cancel,
      and the factor that is left, the same for the whole map, is dropped.

    References:
      [1] Chattopadhay, Sarkar, Howlader, Balasubramanian. Grad-CAM++: Generalized Gradient-based Visual
          Explanations for Deep Convolutional Networks. WACV 2018, equations 10 and 19.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> jaxviz.saliency.grad_cam_plus_plus(network, jnp.full((64, 64, 3), 0.5), 285).shape
      (64, 64)
    """
    return activation_map(network, image, target, layer, weigh)


def weigh(tap: Float[Array, "p q c"], slope: Float[Array, "p q c"]) -> Float[Array, "p q"]:
    """Returns what each position contributes, signed."""
    squared = jnp.square(slope)
    below = 2 * squared + slope * squared * tap.sum((0, 1))
    alpha = jnp.where(below != 0, squared / jnp.where(below != 0, below, 1), 0)
    weights = (alpha * jnp.maximum(slope, 0)).sum((0, 1))
    return (tap * weights).sum(-1)
