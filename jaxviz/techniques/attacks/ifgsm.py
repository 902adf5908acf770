r"""The iterated fast gradient sign attack: steepest descent in the maximum norm, kept in ball and box.

.. math:: x_{k+1} = P_{B_\epsilon(x) \cap [0, 1]} \left( x_k + \alpha \, \mathrm{sign} \nabla_x J(x_k, y) \right)
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jaxviz._checks import number
from jaxviz._typing import Image, Number
from jaxviz.networks import Network
from jaxviz.optimization import Solution, minimize
from jaxviz.optimizers import Optimizer, steepest_descent
from jaxviz.techniques.attacks.climbing import Found, counted
from jaxviz.techniques.attacks.posing import problem

EPSILON, STEP_SIZE, STEPS = 8 / 255, 1 / 255, 10


def schedule(start: Any, *, steps: int = STEPS, step_size: Number = STEP_SIZE) -> tuple[int, Optimizer]:
    """Returns the evaluations that `steps` steps and the point that they end at need, and the optimizer."""
    if steps < 1:
        raise ValueError(f"steps is {steps}; expected at least 1")
    return steps + 1, steepest_descent(number(step_size, "step_size", 0, 1), norm="linf")


@counted
def ifgsm(
    network: Network,
    image: Image,
    label: Number,
    *,
    epsilon: Number = EPSILON,
    step_size: Number = STEP_SIZE,
    steps: int = STEPS,
    loss: str = "cross-entropy",
    target: Number | None = None,
    on_chunk: Callable[[Solution], None] | None = None,
) -> Found:
    r"""Returns the iterated fast gradient sign attack on one image, also called the basic iterative method.

    .. math:: x_{k+1} = P_{B_\epsilon(x) \cap [0, 1]} ( x_k + \alpha \, \mathrm{sign} \nabla_x J(x_k, y) )

    from :math:`x_0 = x`, with J the loss of class y; with a `target` t, the steps go down J(x, t) instead.
    For a batch, `stack` and `minimize` with `problem` and `schedule`.

    Args:
      network: One with a classifier.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      label: y, the class to leave. Has no influence where there is a `target`.
      epsilon: ε in [0, 1], in pixel units of [0, 1].
      step_size: α in [0, 1].
      steps: Gradient steps, at least 1.
      loss: J: "cross-entropy", "score" or "margin", as for `problem`.
      target: t, the class to reach; None for any other than `label`.
      on_chunk: As for `minimize`.

    Returns:
      The best of the points reached, [h, w, 3], in [0, 1], each value within ε of `image`.

    Raises:
      ValueError: If the image is not one, a number or class is out of range, `target` is `label`, or the
        network has no classifier.

    Note:
      [1] returns the last point; this is the one of lowest loss among them, which needs one evaluation more than
      there are steps. [1] takes α = 1/255 and min(ε + 4, 1.25 ε) steps with ε in 255ths: 10 for the default ε.

    References:
      [1] Kurakin, Goodfellow, Bengio. Adversarial Examples in the Physical World. ICLR Workshop 2017, section 2.2.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> image = jnp.full((64, 64, 3), 0.5)
      >>> attacked = jaxviz.attacks.ifgsm(network, image, 285, epsilon=1 / 4, step_size=1 / 8, steps=3)
      >>> bool(jnp.abs(attacked - image).max() <= 0.25)
      True
    """
    posed, start = problem(network, image, label, epsilon=epsilon, loss=loss, target=target)
    evaluations, optimizer = schedule(start, steps=steps, step_size=step_size)
    found = minimize(posed, start, steps=evaluations, optimizer=optimizer, on_chunk=on_chunk)
    return Found(found.value, jnp.asarray(found.evaluations, jnp.int32))
