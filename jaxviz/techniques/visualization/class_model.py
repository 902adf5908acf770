"""The class model of 2014: the picture of highest score near the mean color."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jaxviz import constraints, priors
from jaxviz._checks import number
from jaxviz._typing import Array, Key, Number, Objective
from jaxviz.networks import Network
from jaxviz.networks.preprocessing import MEAN_COLOR
from jaxviz.optimization import Solution
from jaxviz.optimizers import Optimizer, adam
from jaxviz.problem import Problem
from jaxviz.techniques.classes import scored
from jaxviz.techniques.visualization.visualizing import SIZE, around_mean, excited

STEPS, RATE = 256, 0.02
DECAY_WEIGHT, ALPHA, TV_WEIGHT, JITTER = 0.02, 2.0, 0.1, 8


def problem(
    network: Network,
    target: Number | Objective,
    *,
    size: int = SIZE,
    decay_weight: Number = DECAY_WEIGHT,
    alpha: Number = ALPHA,
    tv_weight: Number = TV_WEIGHT,
    jitter: int = JITTER,
    key: Key | int = 0,
) -> tuple[Problem, Array]:
    r"""Returns what is minimized for the picture of a class, and where it starts.

    .. math:: E(x) = -S(x) + \lambda \lVert x - \bar{x} \rVert_\alpha^\alpha
              + \lambda_{TV} \sum_{ij} \lVert \nabla x_{ij} \rVert

    with :math:`\bar{x}` the mean color of ImageNet.

    Args:
      network: Φ; one with a classifier, unless `target` is an objective of other taps.
      target: A class index, whose score is S, or an objective, whose negative is.
      size: Side of the picture, at least 1 pixel.
      decay_weight: λ, at least 0.
      alpha: α, at least 1; 2 in [1], larger ones are a soft bound of the range of colors.
      tv_weight: λ of the total variation, at least 0; [1] has none.
      jitter: Pixels by which the picture is shifted at random before each look, at most, at least 0; [1] has 0, by
        which a network as small as SqueezeNet finds noise alone.
      key: Seeds the start, noise of deviation 0.01 around the mean color. An integer is a seed.

    Returns:
      The problem and its start, [size, size, 3].

    Raises:
      ValueError: If a number or the class is out of range, or the network has no classifier.

    References:
      [1] Simonyan, Vedaldi, Zisserman. Deep Inside Convolutional Networks: Visualising Image Classification Models
          and Saliency Maps. ICLR Workshop 2014, section 2, equation 1.

    Example:
      >>> from jaxviz.techniques.visualization.class_model import problem
      >>> posed, z = problem(jaxviz.load("squeezenet1_1"), 285, size=64)
      >>> z.shape
      (64, 64, 3)
    """
    start, shift = around_mean(size, jitter, key)
    objective = scored(network, target)
    mean = jnp.asarray(MEAN_COLOR, jnp.float32)
    prior = priors.total(
        priors.alpha_norm(alpha=alpha, center=mean, weight=number(decay_weight, "decay_weight", 0)),
        priors.total_variation(beta=1, weight=number(tv_weight, "tv_weight", 0)),
    )
    return Problem(network, objective, prior=prior, transform=shift, constraint=constraints.box()), start


def schedule(start: Any, *, steps: int = STEPS, rate: Number = RATE) -> tuple[int, Optimizer]:
    """Returns the number of evaluations, and Adam of a learning rate, at least 0, of pixels in [0, 1]."""
    return steps, adam(number(rate, "rate", 0))


def class_model(
    network: Network,
    target: Number | Objective,
    *,
    key: Key | int = 0,
    on_chunk: Callable[[Solution], None] | None = None,
    **options: Any,
) -> Solution:
    """Returns the picture of highest score near the mean color; the solution's `value` is the image, in [0, 1].

    Args:
      network: As for `problem`, of this module.
      target: A class index, or an objective.
      key: Seeds start and shifts. An integer is a seed.
      on_chunk: As for `minimize`.
      options: As for `problem` and `schedule`, of this module.

    Raises:
      KeyError, ValueError, Interrupted: As the problem and `minimize` do.

    References:
      Simonyan, Vedaldi, Zisserman. Deep Inside Convolutional Networks: Visualising Image Classification Models and
      Saliency Maps. ICLR Workshop 2014, section 2.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> jaxviz.visualization.class_model(network, 285, size=64, steps=1).value.shape
      (64, 64, 3)
    """
    return excited(problem, schedule, network, target, key, on_chunk, options)
