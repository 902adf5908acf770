"""Derivatives averaged over neighbors before an optimizer sees them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxviz._checks import whole
from jaxviz._typing import Scalar, static, symbol
from jaxviz.optimizers.base import Answering, Optimizer

DEVIATIONS = 3
"""Half the width of the window, in standard deviations of the Gaussian."""


@symbol
class Smoothed:
    """Any optimizer, of which the derivatives are blurred; made by `smoothed`."""

    optimizer: Optimizer
    reach: int = static()

    def init(self, z: Any) -> Any:
        """Returns the optimizer's memory."""
        return self.optimizer.init(z)

    def step(self, memory: Any, z: Any, loss: Scalar, gradient: Any, project: Callable[[Any], Any]) -> Any:
        """Returns what the optimizer does with the blurred derivative."""
        return self.optimizer.step(memory, z, loss, self._blurred(gradient), project)

    def _blurred(self, gradient: Array) -> Array:
        places = np.linspace(-DEVIATIONS, DEVIATIONS, 2 * self.reach + 1)
        heights = np.exp(-(places**2) / 2)
        weights = jnp.asarray(heights / heights.sum(), gradient.dtype)

        def line(values: Array) -> Array:
            return jnp.convolve(values, weights, mode="same", precision="highest")

        for axis in (0, 1):
            others = [other for other in range(3) if other != axis]
            along = jnp.transpose(gradient, (*others, axis))
            gradient = jnp.moveaxis(jax.vmap(jax.vmap(line))(along), -1, axis)
        return gradient


@symbol
class SmoothedAhead(Smoothed):
    """The same for an optimizer whose result is not its best point."""

    def answer(self, memory: Any) -> Any:
        """Returns the optimizer's answer."""
        inner: Any = self.optimizer
        return inner.answer(memory)


def smoothed(optimizer: Any, reach: int = 7) -> Smoothed:
    r"""Returns an optimizer that sees the mean of derivatives over neighbors: :math:`W * \nabla L(z)`.

    W is a Gaussian over (2 k + 1)² pixels, of deviation k/3. To the extent that a network does not mind shifts,
    that is the derivative of the mean loss over shifted images, at the price of one.

    Args:
      optimizer: From this module; its unknowns are an image, [h, w, c].
      reach: k, at least 1 pixel.

    Raises:
      ValueError: If `reach` is below 1.

    References:
      Dong, Pang, Su, Zhu. Evading Defenses to Transferable Adversarial Examples by Translation-Invariant Attacks.
      CVPR 2019, section 3.

    Example:
      >>> rule = smoothed(jaxviz.optimizers.normalized_gradient(1 / 9), 1)
      >>> z, slope = jnp.zeros((3, 3, 1)), jnp.zeros((3, 3, 1)).at[1, 1].set(1.0)
      >>> moved = rule.step(rule.init(z), z, jnp.float32(0), slope, lambda z: z)[0]
      >>> round(-float(moved.sum()), 4), bool(moved[0, 1, 0] < 0)
      (1.0, True)
    """
    kind = SmoothedAhead if isinstance(optimizer, Answering) else Smoothed
    return kind(optimizer, whole(reach, "reach"))
