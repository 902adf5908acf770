r"""The fast gradient sign attack: one step of length ε in the maximum norm.

.. math:: x^* = \mathrm{clip}_{[0, 1]} \left( x + \epsilon \, \mathrm{sign} \nabla_x J(x, y) \right)
"""

import jax
import jax.numpy as jnp

from jaxviz._checks import image as checked_image
from jaxviz._checks import number
from jaxviz._typing import Image, Number, Objective
from jaxviz.networks import Network
from jaxviz.norms import NORMS
from jaxviz.techniques.attacks.climbing import Found, counted
from jaxviz.techniques.attacks.posing import allowed
from jaxviz.techniques.classes import adversarial


@counted
def fgsm(
    network: Network,
    image: Image,
    label: Number,
    *,
    epsilon: Number = 8 / 255,
    loss: str = "cross-entropy",
    target: Number | None = None,
) -> Found:
    r"""Returns the fast gradient sign attack on one image: one signed step, clipped to valid colors.

    .. math:: x^* = \mathrm{clip}_{[0, 1]} \left( x + \epsilon \, \mathrm{sign} \nabla_x J(x, y) \right)

    with J the loss of class y; with a `target` t, the step goes down J(x, t) instead. For a batch, `jax.vmap`.

    Args:
      network: One with a classifier.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      label: y, the class to leave. Has no influence where there is a `target`.
      epsilon: ε in [0, 1], in pixel units of [0, 1].
      loss: J: "cross-entropy", "score" or "margin", as for `problem`.
      target: t, the class to reach; None for any other than `label`.

    Returns:
      The attacked image, [h, w, 3], in [0, 1], each value within ε of `image`.

    Raises:
      ValueError: If the image is not one, a class or ε is out of range, `target` is `label`, or the network has no
        classifier.

    References:
      Goodfellow, Shlens, Szegedy. Explaining and Harnessing Adversarial Examples. ICLR 2015, section 4.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> image = jnp.full((64, 64, 3), 0.5)
      >>> attacked = jaxviz.attacks.fgsm(network, image, 285, epsilon=1 / 4)
      >>> float(jnp.abs(attacked - image).max())
      0.25
    """
    objective = adversarial(network, label, target, loss)
    step = _signed_step(network, checked_image(image), objective, number(epsilon, "epsilon", 0, 1))
    return Found(step, jnp.ones((), jnp.int32))


@jax.jit
def _signed_step(network: Network, image: Image, objective: Objective, epsilon: Number) -> Image:
    descent = -jax.grad(lambda x: objective(network.features(x)))(image)
    step = image + epsilon * NORMS["linf"].direction(descent)
    return allowed(image, epsilon, "linf").project(step)
