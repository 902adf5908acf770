r"""Guided backpropagation and the deconvolutional network: the derivative, by other rules of the ReLUs."""

import dataclasses

import jax

from jaxviz import gradient_rules
from jaxviz._checks import image as checked_image
from jaxviz._typing import Image, Number, Objective, Relu
from jaxviz.networks import Network
from jaxviz.techniques.classes import scored
from jaxviz.techniques.saliency.gradient import derivative


def guided(network: Network, image: Image, target: Number | Objective) -> Image:
    r"""Returns what of an image excites a class or a neuron, by guided backpropagation.

    .. math:: M = \frac{\partial S(x)}{\partial x}, \quad
              g_\mathrm{in} = g_\mathrm{out} \cdot [a > 0] \cdot [g_\mathrm{out} > 0] \text{ at each ReLU}

    with S the unnormalized score of class `target`, or minus an objective of the taps, such as
    `objectives.unit(layer, channel, (y, x))` for a single neuron. For a batch, `jax.vmap`.

    Args:
      network: One with a classifier, unless `target` is an objective of other taps. Its own rule is replaced.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      target: A class index, or an objective.

    Returns:
      M, [h, w, 3], signed, in units of the score per unit of [0, 1] pixels.

    Raises:
      ValueError: If the image is not one, the class is out of range, or the network has no classifier.

    Note:
      What the network looks for stands out, but it hardly depends on the class [2].

    References:
      [1] Springenberg, Dosovitskiy, Brox, Riedmiller. Striving for Simplicity: The All Convolutional Net. ICLR
          Workshop 2015, section 3.4.
      [2] Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim. Sanity Checks for Saliency Maps. NeurIPS 2018.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> neuron = jaxviz.objectives.unit("fire5", 3, at=(2, 2))
      >>> jaxviz.saliency.guided(network, jnp.full((64, 64, 3), 0.5), neuron).shape
      (64, 64, 3)
    """
    return _by_rule(network, image, target, gradient_rules.guided)


def deconvnet(network: Network, image: Image, target: Number | Objective) -> Image:
    r"""Returns what of an image excites a class or a neuron, by the deconvolutional network.

    .. math:: M = \frac{\partial S(x)}{\partial x}, \quad
              g_\mathrm{in} = g_\mathrm{out} \cdot [g_\mathrm{out} > 0] \text{ at each ReLU}

    Poolings send what comes back to where the maximum was, the paper's switches. Arguments, result, errors as
    for `guided`.

    Args:
      network: One with a classifier, unless `target` is an objective of other taps. Its own rule is replaced.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      target: A class index, or an objective.

    Returns:
      M, [h, w, 3], signed, in units of the score per unit of [0, 1] pixels.

    Raises:
      ValueError: If the image is not one, the class is out of range, or the network has no classifier.

    References:
      Zeiler, Fergus. Visualizing and Understanding Convolutional Networks. ECCV 2014, section 2.1.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> jaxviz.saliency.deconvnet(network, jnp.full((64, 64, 3), 0.5), 285).shape
      (64, 64, 3)
    """
    return _by_rule(network, image, target, gradient_rules.deconvnet)


def _by_rule(network: Network, image: Image, target: Number | Objective, rule: Relu) -> Image:
    objective = scored(network, target)
    return _derivative(dataclasses.replace(network, relu=rule), checked_image(image), objective)


_derivative = jax.jit(derivative)
