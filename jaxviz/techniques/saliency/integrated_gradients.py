r"""Integrated gradients: a score's difference from a baseline's, shared out among the pixels.

.. math:: M = (x - x_0) \odot \int_0^1 \frac{\partial S}{\partial x} \bigl( x_0 + t (x - x_0) \bigr) \, dt
"""

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxviz._checks import image as checked_image
from jaxviz._checks import known, whole
from jaxviz._typing import Image, Number, Objective, Scalar
from jaxviz.networks import Network
from jaxviz.techniques.baselines import baseline as baseline_of
from jaxviz.techniques.classes import scored
from jaxviz.techniques.saliency.gradient import derivative
from jaxviz.techniques.sampling import total

STEPS = 50
RULES = ("gauss-legendre", "riemann-middle", "riemann-left", "riemann-right", "trapezoid")


def quadrature(steps: int, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the places in [0, 1] at which an integral's values are taken, and their weights, of sum 1.

    Args:
      steps: How many, at least 1; "trapezoid" at least 2.
      rule: Of `RULES`. "riemann-middle" takes the middles of equal parts, the others of that name their ends.

    Raises:
      KeyError: If there is no such rule.
      ValueError: If `steps` is too small.

    Example:
      >>> places, weights = quadrature(2, "riemann-middle")
      >>> places.tolist(), weights.tolist()
      ([0.25, 0.75], [0.5, 0.5])
    """
    known(rule, RULES, "rule of integration")
    least = 2 if rule == "trapezoid" else 1
    steps = whole(steps, "steps", least)
    if rule == "gauss-legendre":
        places, weights = np.polynomial.legendre.leggauss(steps)
        return (places + 1) / 2, weights / 2
    if rule == "trapezoid":
        weights = np.full(steps, 1 / (steps - 1))
        weights[[0, -1]] /= 2
        return np.linspace(0, 1, steps), weights
    shift = {"riemann-left": 0.0, "riemann-middle": 0.5, "riemann-right": 1.0}[rule]
    return (np.arange(steps) + shift) / steps, np.full(steps, 1 / steps)


def integrated_gradients(
    network: Network,
    image: Image,
    target: Number | Objective,
    *,
    baseline: str | Number | Image = "zero",
    steps: int = STEPS,
    rule: str = "gauss-legendre",
) -> Image:
    r"""Returns what each value adds to a score on the way from a baseline to the image.

    .. math:: M = (x - x_0) \odot \sum_k w_k \frac{\partial S}{\partial x} \bigl( x_0 + t_k (x - x_0) \bigr)

    with S the unnormalized score of class `target`, or minus an objective of the taps. In the limit of many steps
    the sum of M is :math:`S(x) - S(x_0)`; what is missing, `integrated_gradients_with_gap` tells. Steps are
    computed in one program, some at a time: memory does not grow with them. For a batch, `jax.vmap`.

    Args:
      network: One with a classifier, unless `target` is an objective of other taps.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      target: A class index, or an objective.
      baseline: x₀: "zero", "grey", "white", "blur", a number in [0, 1], or a picture of the image's size.
      steps: Places t_k at which the derivative is taken, at least 1.
      rule: "gauss-legendre", or "riemann-left", "-middle", "-right", or "trapezoid".

    Returns:
      M, [h, w, 3], signed, in units of the score.

    Raises:
      KeyError: If there is no such rule or baseline.
      ValueError: If the image is not one, an option is out of range, the class is, or the network has no
        classifier.

    References:
      Sundararajan, Taly, Yan. Axiomatic Attribution for Deep Networks. ICML 2017, section 3.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> jaxviz.saliency.integrated_gradients(network, jnp.full((64, 64, 3), 0.5), 285).shape
      (64, 64, 3)
    """
    return integrated_gradients_with_gap(network, image, target, baseline=baseline, steps=steps, rule=rule)[0]


def integrated_gradients_with_gap(
    network: Network,
    image: Image,
    target: Number | Objective,
    *,
    baseline: str | Number | Image = "zero",
    steps: int = STEPS,
    rule: str = "gauss-legendre",
) -> tuple[Image, dict[str, Scalar]]:
    r"""Returns integrated gradients, and how far they are from complete.

    Args:
      network: As for `integrated_gradients`.
      image: As for `integrated_gradients`.
      target: As for `integrated_gradients`.
      baseline: As for `integrated_gradients`.
      steps: As for `integrated_gradients`.
      rule: As for `integrated_gradients`.

    Returns:
      M, and the numbers "score", :math:`S(x)`, "baseline_score", :math:`S(x_0)`, and "gap",
      :math:`\sum M - (S(x) - S(x_0))`, all in units of the score.

    Raises:
      KeyError, ValueError: As for `integrated_gradients`.

    Example:
      >>> network, image = jaxviz.load("squeezenet1_1"), jnp.full((64, 64, 3), 0.5)
      >>> found, told = jaxviz.saliency.integrated_gradients_with_gap(network, image, 285)
      >>> bool(abs(told["gap"]) < 0.1 * abs(told["score"] - told["baseline_score"]))
      True
    """
    places, weights = quadrature(steps, rule)
    image = checked_image(image)
    start = baseline_of(baseline, image)
    objective = scored(network, target)
    nodes = (places.astype(image.dtype), weights.astype(image.dtype))
    return _compiled(network, image, objective, start, *nodes)


@jax.jit
def _compiled(
    network: Network,
    image: Image,
    objective: Objective,
    start: Image,
    places: Float[Array, " n"],
    weights: Float[Array, " n"],
) -> tuple[Image, dict[str, Scalar]]:
    way = image - start
    mean = total(lambda t: derivative(network, start + t * way, objective), places, weights)
    found = way * mean
    score, before = (-objective(network.features(x)) for x in (image, start))
    told = {"score": score, "baseline_score": before, "gap": found.sum() - (score - before)}
    return found, told
