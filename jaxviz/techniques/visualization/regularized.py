"""Visualization as of 2015: ascent whose every point decays, and from time to time is blurred, ever less."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Int

from jaxviz import constraints
from jaxviz._checks import number, whole
from jaxviz._typing import Array, Image, Key, Number, Objective, symbol
from jaxviz.networks import Network
from jaxviz.networks.preprocessing import MEAN_COLOR
from jaxviz.optimization import Solution
from jaxviz.optimizers import Optimizer, interleaved, normalized_gradient
from jaxviz.problem import Problem
from jaxviz.techniques.baselines import blurred
from jaxviz.techniques.classes import scored
from jaxviz.techniques.visualization.visualizing import SIZE, around_mean, excited

STEPS, RATE, JITTER = 256, 0.01, 8
FADING, BLUR_START, BLUR_END, EVERY = 0.01, 1.5, 0.5, 4
LEAST_SIGMA = 1e-2
"""Pixels; a blur of this changes nothing in float32."""


@symbol
class Softening:
    """r: decay to the mean color, and from time to time a blur whose deviation goes from one to another."""

    fading: Array
    blur_start: Array
    blur_end: Array
    every: Array
    steps: Array

    def __call__(self, count: Int[Array, ""], image: Image) -> Image:
        """Returns the image after `count` steps, changed."""
        mean = jnp.asarray(MEAN_COLOR, image.dtype)
        image = mean + (1 - self.fading) * (image - mean)
        part = jnp.minimum(count / jnp.maximum(self.steps, 1), 1)
        sigma = self.blur_start + (self.blur_end - self.blur_start) * part
        soft = blurred(image, jnp.maximum(sigma, LEAST_SIGMA))
        return jnp.where(count % self.every == 0, soft, image)


def problem(
    network: Network,
    target: Number | Objective,
    *,
    size: int = SIZE,
    jitter: int = JITTER,
    key: Key | int = 0,
) -> tuple[Problem, Array]:
    """Returns what is minimized, minus the answer alone, and where it starts.

    Args:
      network: Φ; one with a classifier, unless `target` is an objective of other taps.
      target: A class index, whose score is S, or an objective, whose negative is.
      size: Side of the picture, at least 1 pixel.
      jitter: Pixels by which the picture is shifted at random before each look, at most, at least 0; [1] has 0.
      key: Seeds the start, noise of deviation 0.01 around the mean color. An integer is a seed.

    Returns:
      The problem and its start, [size, size, 3].

    Raises:
      ValueError: If a number or the class is out of range, or the network has no classifier.

    References:
      [1] Yosinski et al. Understanding Neural Networks Through Deep Visualization. ICML Workshop 2015, section 3.
    """
    start, shift = around_mean(size, jitter, key)
    return Problem(network, scored(network, target), transform=shift, constraint=constraints.box()), start


def schedule(
    start: Any,
    *,
    steps: int = STEPS,
    rate: Number = RATE,
    fading: Number = FADING,
    blur_start: Number = BLUR_START,
    blur_end: Number = BLUR_END,
    every: int = EVERY,
) -> tuple[int, Optimizer]:
    """Returns the number of evaluations, and ascent whose points are softened.

    Args:
      start: The unknowns; they decide nothing.
      steps: Evaluations, at least 0.
      rate: Mean change of a value in a step, at least 0, of pixels in [0, 1].
      fading: Part of what differs from the mean color that is lost in each step, in [0, 1].
      blur_start: Deviation of the first blur's Gaussian in pixels, at least 0.
      blur_end: Of the last one's.
      every: Steps from one blur to the next, at least 1.

    Raises:
      ValueError: If a number is out of range.
    """
    softening = Softening(
        number(fading, "fading", 0, 1),
        number(blur_start, "blur_start", 0),
        number(blur_end, "blur_end", 0),
        jnp.int32(whole(every, "every")),
        jnp.float32(steps),
    )
    return steps, interleaved(normalized_gradient(rate), softening)


def regularized(
    network: Network,
    target: Number | Objective,
    *,
    key: Key | int = 0,
    on_chunk: Callable[[Solution], None] | None = None,
    **options: Any,
) -> Solution:
    r"""Returns a picture that excites a unit and was blurred on the way; the solution's `value` is in [0, 1].

    .. math:: x_{k+1} = P_{[0, 1]} \left( r_k \left( x_k + \alpha \, \frac{g_k}{\mathrm{mean} |g_k|} \right)
              \right), \quad g_k = \frac{\partial S}{\partial x}(x_k)

    with :math:`r_k` the decay to the mean color, and each so many steps a blur, wide at first for the large forms
    and narrow in the end for their edges.

    Args:
      network: As for `problem`, of this module.
      target: A class index, or an objective.
      key: Seeds start and shifts. An integer is a seed.
      on_chunk: As for `minimize`.
      options: As for `problem` and `schedule`, of this module.

    Raises:
      KeyError, ValueError, Interrupted: As the problem and `minimize` do.

    References:
      Yosinski, Clune, Nguyen, Fuchs, Lipson. Understanding Neural Networks Through Deep Visualization. ICML
      Workshop 2015, section 3; its two other operators, which set small pixels to the mean color, are left away.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> jaxviz.visualization.regularized(network, 285, size=64, steps=1).value.shape
      (64, 64, 3)
    """
    return excited(problem, schedule, network, target, key, on_chunk, options)
