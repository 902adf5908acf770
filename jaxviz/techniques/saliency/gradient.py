r"""Gradient saliency: the size of each pixel's derivative.

.. math:: M_{ij} = \max_c \left| \frac{\partial S}{\partial x_{ijc}} \right|
"""

import jax
import jax.numpy as jnp

from jaxviz._checks import image as checked_image
from jaxviz._typing import Array, Heatmap, Image, Number, Objective
from jaxviz.networks import Network
from jaxviz.techniques.classes import alone, scored


def gradient(network: Network, image: Image, target: Number | Objective) -> Heatmap:
    r"""Returns the saliency map of one image: the size of each pixel's derivative.

    .. math:: M_{ij} = \max_c \left| \frac{\partial S(x)}{\partial x_{ijc}} \right|

    with S the unnormalized score of class `target`, or any objective of the taps. For a batch, `jax.vmap`.

    Args:
      network: One with a classifier, unless `target` is an objective of other taps.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      target: A class index, or an objective.

    Returns:
      M, [h, w], at least 0, in units of the score per unit of [0, 1] pixels.

    Raises:
      ValueError: If the image is not one, the class is out of range, or the network has no classifier.

    References:
      Simonyan, Vedaldi, Zisserman. Deep Inside Convolutional Networks: Visualising Image Classification
      Models and Saliency Maps. ICLR Workshop 2014, section 3.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> jaxviz.saliency.gradient(network, jnp.full((64, 64, 3), 0.5), 285).shape
      (64, 64)
    """
    return _gradient(network, checked_image(image), scored(network, target))


@jax.jit
def _gradient(network: Network, image: Image, objective: Objective) -> Heatmap:
    return jnp.abs(derivative(network, image, objective)).max(-1)


def derivative(network: Network, image: Image, objective: Objective) -> Array:
    r"""Returns the derivative of a score by the pixels, :math:`\partial S / \partial x`, [h, w, 3], with S = -L.

    S itself is differentiated, not L: rules such as `gradient_rules.guided` carry back only what is above 0.
    """
    network, objective = alone(network, objective)
    return jax.grad(lambda x: -objective(network.features(x)))(image)
