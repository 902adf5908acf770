r"""Gradient × input: what each value contributes to the score, were the score linear.

.. math:: M_{ijc} = x_{ijc} \frac{\partial S}{\partial x_{ijc}}
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._checks import image as checked_image
from jaxviz._typing import Image, Number, Objective
from jaxviz.networks import Network
from jaxviz.techniques.classes import scored
from jaxviz.techniques.saliency.gradient import derivative


def grad_times_input(network: Network, image: Image, target: Number | Objective) -> Float[Array, "h w 3"]:
    r"""Returns the derivative of a score by each value of an image, times the value.

    .. math:: M_{ijc} = x_{ijc} \frac{\partial S(x)}{\partial x_{ijc}}

    with S the unnormalized score of class `target`, or minus an objective of the taps. The sum of M is the
    score, up to a constant, where the network is linear. For a batch, `jax.vmap`.

    Args:
      network: One with a classifier, unless `target` is an objective of other taps.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      target: A class index, or an objective.

    Returns:
      M, [h, w, 3], signed, in units of the score.

    Raises:
      ValueError: If the image is not one, the class is out of range, or the network has no classifier.

    Note:
      x is the picture in [0, 1], so black counts as nothing; tools that multiply by what the network is fed,
      the picture less a mean color, take that color as nothing.

    References:
      Shrikumar, Greenside, Shcherbina, Kundaje. Not Just a Black Box: Learning Important Features Through
      Propagating Activation Differences. arXiv 1605.01713, 2016.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> jaxviz.saliency.grad_times_input(network, jnp.full((64, 64, 3), 0.5), 285).shape
      (64, 64, 3)
    """
    return _grad_times_input(network, checked_image(image), scored(network, target))


@jax.jit
def _grad_times_input(network: Network, image: Image, objective: Objective) -> Array:
    return derivative(network, image, objective) * jnp.asarray(image)
