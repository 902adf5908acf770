"""Feature visualization as of 2017: a spectrum of independent colors, seen through random changes."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxviz import parameterizations, transforms
from jaxviz._checks import number, random_key, whole
from jaxviz._typing import Array, Key, Number, Objective
from jaxviz.networks import Network
from jaxviz.networks.preprocessing import MEAN_COLOR
from jaxviz.optimization import Solution, minimize
from jaxviz.optimizers import Optimizer, adam
from jaxviz.problem import Problem
from jaxviz.techniques.classes import scored
from jaxviz.techniques.solving import taken

SIZE, STEPS, RATE, DECAY, DEVIATION = 128, 512, 0.05, 1.0, 0.01


def problem(
    network: Network,
    target: Number | Objective,
    *,
    size: int = SIZE,
    decay: Number = DECAY,
    still: bool = False,
    key: Key | int = 0,
) -> tuple[Problem, Array]:
    r"""Returns what is minimized to excite a unit, and where it starts.

    .. math:: \psi(z) = \sigma(C F^{-1}(z / |f|^\gamma)), \quad L = -S, \quad
              t = \text{jitter} \circ \text{turn} \circ \text{scale} \circ \text{jitter} \circ \text{frame}

    Args:
      network: Φ; one with a classifier, unless `target` is an objective of other taps.
      target: A class index, whose score is S, or an objective, whose negative is, such as `objectives.unit`.
      size: Side of the picture, at least 1 pixel.
      decay: γ, at least 0.
      still: Whether the picture is seen as it is, not through t: frame of 12 pixels, jitter of 8 and 4, scales of
        0.9 to 1.1, turns of -10 to 10 degrees.
      key: Seeds the start. An integer is a seed.

    Returns:
      The problem and its start, the spectrum [2, size, size // 2 + 1, 3].

    Raises:
      ValueError: If a number or the class is out of range, or the network has no classifier.

    References:
      Olah, Mordvintsev, Schubert. Feature Visualization. Distill 2017.

    Example:
      >>> unit = jaxviz.objectives.unit("relu1_2", 3)
      >>> problem, z = jaxviz.visualization.problem(jaxviz.load("vgg16"), unit, size=32)
      >>> problem.parameterization.decode(z).shape
      (32, 32, 3)
    """
    side = whole(size, "size")
    spectrum = parameterizations.fourier(side, side, decay=decay)
    start = spectrum.init(random_key(key), DEVIATION)
    objective = scored(network, target)
    seen = None if still else robust()
    return (
        Problem(network, objective, parameterizations.decorrelated(spectrum), transform=seen),
        start,
    )


def robust() -> transforms.Composed:
    """Returns the random changes of the authors' library: frame, jitter, scale, turn, jitter."""
    return transforms.compose(
        transforms.padded(12),
        transforms.jitter(8),
        transforms.scale(0.9, 1.1),
        transforms.rotate(-10, 10),
        transforms.jitter(4),
    )


def schedule(start: Any, *, steps: int = STEPS, rate: Number = RATE) -> tuple[int, Optimizer]:
    """Returns the number of evaluations, and Adam of a learning rate, at least 0."""
    return steps, adam(number(rate, "rate", 0))


def visualize(
    network: Network,
    target: Number | Objective,
    *,
    key: Key | int = 0,
    on_chunk: Callable[[Solution], None] | None = None,
    **options: Any,
) -> Solution:
    """Returns a picture that excites a unit; the solution's `value` is the image, [size, size, 3], in (0, 1).

    Args:
      network: As for `problem`.
      target: As for `problem`.
      key: Seeds start and transforms. An integer is a seed.
      on_chunk: As for `minimize`; the values that it sees are spectra.
      options: As for `problem` and `schedule`.

    Raises:
      KeyError, ValueError, Interrupted: As `problem` and `minimize` do.

    References:
      Olah, Mordvintsev, Schubert. Feature Visualization. Distill 2017.

    Example:
      >>> unit = jaxviz.objectives.unit("relu1_2", 3)
      >>> jaxviz.visualization.visualize(jaxviz.load("vgg16"), unit, size=32, steps=1).value.shape
      (32, 32, 3)
    """
    return excited(problem, schedule, network, target, key, on_chunk, options)


def around_mean(size: int, jitter: int, key: Key | int) -> tuple[Array, transforms.Roll | None]:
    """Returns noise of deviation 0.01 around ImageNet's mean color, and the random shift by which it is seen."""
    side = whole(size, "size")
    start = jnp.asarray(MEAN_COLOR, jnp.float32) + DEVIATION * jax.random.normal(
        random_key(key), (side, side, 3)
    )
    return start, transforms.roll(jitter) if whole(jitter, "jitter", 0) else None


def excited(pose, schedule, network, target, key, on_chunk, options) -> Solution:
    """Returns the solution of a method's problem, with the image in the place of its unknowns.

    What of the options `schedule` does not take is the problem's.
    """
    key = random_key(key)
    timing = taken(schedule, options)
    posed, start = pose(network, target, key=key, **{k: v for k, v in options.items() if k not in timing})
    steps, optimizer = schedule(start, **timing)
    found = minimize(posed, start, key=key, steps=steps, optimizer=optimizer, on_chunk=on_chunk)
    return dataclasses.replace(found, value=posed.parameterization.decode(found.value))
