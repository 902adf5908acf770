"""Style transfer, from pictures to a picture."""

from collections.abc import Callable, Sequence
from typing import Any

from jaxviz._typing import AnyImage, Image
from jaxviz.networks import Network
from jaxviz.optimization import Solution, minimize
from jaxviz.optimizers import Optimizer
from jaxviz.techniques.solving import schedule_of
from jaxviz.techniques.style.posing import problem
from jaxviz.techniques.style.presets import PRESETS

schedule = schedule_of(PRESETS)


def transfer(
    network: Network,
    content: Image,
    styles: Sequence[AnyImage],
    *,
    preset: str = "default",
    steps: int | None = None,
    optimizer: Optimizer | None = None,
    on_chunk: Callable[[Solution], None] | None = None,
    **options: Any,
) -> Solution:
    """Returns the content image in the style of others; its `value` is the image, [h, w, 3], in [0, 1].

    Args:
      network: Φ.
      content: RGB, float32, [h, w, 3], in [0, 1].
      styles: One or more images of any size.
      preset: "default".
      steps: Evaluations; None for the preset's 300.
      optimizer: None for the preset's L-BFGS.
      on_chunk: As for `minimize`.
      options: As for `problem`.

    Raises:
      KeyError, ValueError: As `problem` and `minimize` do.

    Example:
      >>> network = jaxviz.load("vgg16")
      >>> content, style = jnp.full((32, 48, 3), 0.5), jnp.full((32, 32, 3), 0.25)
      >>> jaxviz.style.transfer(network, content, [style], steps=1).value.shape
      (32, 48, 3)
    """
    posed, start = problem(network, content, styles, preset=preset, **options)
    evaluations, chosen = schedule(start, preset=preset, steps=steps, optimizer=optimizer)
    return minimize(posed, start, steps=evaluations, optimizer=chosen, on_chunk=on_chunk)
