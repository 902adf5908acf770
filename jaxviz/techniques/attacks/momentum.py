r"""Attacks whose steps follow a sum of past derivatives, and so depend less on one network.

.. math:: m_{k+1} = \mu \, m_k + \frac{\nabla J(x_k, y)}{\lVert \nabla J(x_k, y) \rVert_1}, \quad
          x_{k+1} = P_{B_\epsilon(x) \cap [0, 1]} \left( x_k + \alpha \, d(m_{k+1}) \right)
"""

from typing import Any

from jaxviz._checks import number
from jaxviz._typing import Image, Key, Number
from jaxviz.networks import Network
from jaxviz.optimizers import momentum_descent
from jaxviz.techniques.attacks.climbing import (
    Found,
    checked_steps,
    climb,
    counted,
)
from jaxviz.techniques.attacks.posing import SHARE, problem, radius


@counted
def mifgsm(
    network: Network,
    image: Image,
    label: Number,
    *,
    epsilon: Number | None = None,
    norm: str = "linf",
    loss: str = "cross-entropy",
    step_size: Number | None = None,
    steps: int = 10,
    momentum: Number = 1.0,
    diversity: float | int = 0.0,
    translations: int = 0,
    early_exit: bool = False,
    target: Number | None = None,
    key: Key | int | None = None,
) -> Found:
    r"""Returns the momentum iterative fast gradient sign attack on one image.

    .. math:: m_{k+1} = \mu \, m_k + \frac{\nabla J(x_k, y)}{\lVert \nabla J(x_k, y) \rVert_1}, \quad
              x_{k+1} = P_{B_\epsilon(x) \cap [0, 1]} \left( x_k + \alpha \, d(m_{k+1}) \right)

    from the image itself, with d as for `pgd`.

    Args:
      network: One with a classifier.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      label: y, the class to leave.
      epsilon: As for `pgd`.
      norm: As for `pgd`.
      loss: As for `pgd`.
      step_size: α, at least 0; None for ε / `steps`.
      steps: Gradient steps, 1 to 1023.
      momentum: μ, in [0, 1].
      diversity: As for `pgd`.
      translations: As for `pgd`.
      early_exit: As for `pgd`.
      target: The class to reach; None for any other than `label`.
      key: A random key, or a seed, for diversity; None for 0.

    Returns:
      The point of least loss among those reached, [h, w, 3], in [0, 1], at most ε from `image`.

    Raises:
      KeyError, ValueError: As for `pgd`.

    Note:
      The paper returns the last point.

    References:
      Dong, Liao, Pang, Su, Zhu, Hu, Li. Boosting Adversarial Attacks with Momentum. CVPR 2018, algorithm 1.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> image = jnp.full((64, 64, 3), 0.5)
      >>> attacked = jaxviz.attacks.mifgsm(network, image, 285, epsilon=1 / 4, steps=2)
      >>> float(jnp.abs(attacked - image).max())
      0.25
    """
    more = {"diversity": diversity, "translations": translations, "early_exit": early_exit, "key": key}
    return _accumulated(
        network, image, label, epsilon, norm, loss, step_size, steps, momentum, target, False, more
    )


@counted
def nifgsm(
    network: Network,
    image: Image,
    label: Number,
    *,
    epsilon: Number | None = None,
    norm: str = "linf",
    loss: str = "cross-entropy",
    step_size: Number | None = None,
    steps: int = 10,
    momentum: Number = 1.0,
    diversity: float | int = 0.0,
    translations: int = 0,
    early_exit: bool = False,
    target: Number | None = None,
    key: Key | int | None = None,
) -> Found:
    r"""Returns the Nesterov iterative fast gradient sign attack on one image: derivatives are taken ahead.

    .. math:: \tilde x_k = P ( x_k + \alpha \mu \, m_k ), \quad
              m_{k+1} = \mu \, m_k + \frac{\nabla J(\tilde x_k, y)}{\lVert \nabla J(\tilde x_k, y) \rVert_1}, \quad
              x_{k+1} = P \left( x_k + \alpha \, d(m_{k+1}) \right)

    from the image itself, with P the projection on ball and box, and d as for `pgd`.

    Args:
      network: One with a classifier.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      label: y, the class to leave.
      epsilon: As for `pgd`.
      norm: As for `pgd`.
      loss: As for `pgd`.
      step_size: α, at least 0; None for ε / `steps`.
      steps: Gradient steps, 1 to 1023.
      momentum: μ, in [0, 1].
      diversity: As for `pgd`.
      translations: As for `pgd`.
      early_exit: As for `pgd`.
      target: The class to reach; None for any other than `label`.
      key: A random key, or a seed, for diversity; None for 0.

    Returns:
      The last point, [h, w, 3], in [0, 1], at most ε from `image`.

    Raises:
      KeyError, ValueError: As for `pgd`.

    References:
      Lin, Song, He, Wang, Hopcroft. Nesterov Accelerated Gradient and Scale Invariance for Adversarial Attacks.
      ICLR 2020, eq. 6 to 8.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> image = jnp.full((64, 64, 3), 0.5)
      >>> attacked = jaxviz.attacks.nifgsm(network, image, 285, epsilon=1 / 4, steps=2)
      >>> float(jnp.abs(attacked - image).max())
      0.25
    """
    more = {"diversity": diversity, "translations": translations, "early_exit": early_exit, "key": key}
    return _accumulated(
        network, image, label, epsilon, norm, loss, step_size, steps, momentum, target, True, more
    )


def _accumulated(
    network, image, label, epsilon, norm, loss, step_size, steps, momentum, target, ahead: bool, more: Any
) -> Found:
    posed, x = problem(network, image, label, epsilon=epsilon, norm=norm, loss=loss, target=target)
    bound, steps = radius(epsilon, norm), checked_steps(steps)
    size = bound / steps if step_size is None else step_size
    rule = momentum_descent(size, number(momentum, "momentum", 0, 1), norm=norm, ahead=ahead, share=SHARE)
    return climb(network, label, posed, x[None], rule, steps, target=target, **more)
