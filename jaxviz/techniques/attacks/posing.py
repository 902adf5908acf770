r"""What all attacks have in common: the problem, its norms, and the start.

.. math:: \min_{x' \in B_\epsilon(x) \cap [0, 1]} -J(x', y)
"""

import math

from jaxviz import constraints
from jaxviz._checks import image as checked_image
from jaxviz._checks import known, number
from jaxviz._typing import Constraint, Image, Number
from jaxviz.networks import Network
from jaxviz.norms import NORMS
from jaxviz.problem import Problem
from jaxviz.techniques.classes import adversarial

RADII = {"linf": 8 / 255, "l2": 3.0, "l1": 75.0}
"""The usual radius of the ball in each norm, for pictures of about 224² pixels in [0, 1]."""

SHARE = 0.01
"""Of values, those of the largest derivatives, that a step in the sum norm moves: one value moves by 1 at most."""


def radius(epsilon: Number | None, norm: str) -> Number:
    """Returns ε, or the usual one of a norm; no value moves by more than 1.

    Raises:
      KeyError: If the norm is unknown.
      ValueError: If ε is negative, or above 1 in the maximum norm.
    """
    usual = RADII[known(norm, NORMS, "norm")]
    return number(usual if epsilon is None else epsilon, "epsilon", 0, 1 if norm == "linf" else math.inf)


def allowed(image: Image, epsilon: Number, norm: str) -> Constraint:
    """Returns the pictures at most ε from an image, whose values are colors."""
    return constraints.both(constraints.ball(image, epsilon, norm=norm), constraints.box())


def problem(
    network: Network,
    image: Image,
    label: Number,
    *,
    epsilon: Number | None = None,
    norm: str = "linf",
    loss: str = "cross-entropy",
    target: Number | None = None,
) -> tuple[Problem, Image]:
    r"""Returns the problem of an attack, and its start, which is the image.

    .. math:: \min_{x' \in B_\epsilon(x) \cap [0, 1]} -J(x', y)

    Args:
      network: One with a classifier.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      label: y, the class to leave.
      epsilon: ε, at least 0, in units of [0, 1] pixels; for the maximum norm at most 1. None for 8/255, 3 or 75 for
        the norms "linf", "l2" and "l1".
      norm: That of the ball.
      loss: J: "cross-entropy", "score" (minus the class's score before the softmax) or "margin" (that of the best
        other class minus the class's own).
      target: t, the class to reach, whose J is to become small; None for any other than `label`.

    Raises:
      KeyError: If there is no such norm or loss.
      ValueError: If the image is not one, a number or class is out of range, `target` is `label`, or the network
        has no classifier.
    """
    x = checked_image(image)
    posed = Problem(
        network=network,
        objective=adversarial(network, label, target, loss),
        constraint=allowed(x, radius(epsilon, norm), norm),
    )
    return posed, x
