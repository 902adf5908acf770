"""Steepest descent along a mean of past derivatives, as attacks that transfer to other networks use it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float

from jaxviz._checks import known, number
from jaxviz._typing import Number, Scalar, static, symbol
from jaxviz.norms import NORMS, ascent


@symbol
class MomentumDescent:
    """Steps of one length along the sum of past derivatives; made by `momentum_descent`."""

    step_size: Array
    decay: Array
    norm: str = static()
    share: float = static(default=0.0)

    def init(self, z: Any) -> Float[Array, " n"]:
        """Returns the sum of no derivatives."""
        return jnp.zeros_like(ravel_pytree(z)[0])

    def step(self, memory: Any, z: Any, loss: Scalar, gradient: Any, project: Callable[[Any], Any]) -> Any:
        """Returns the moved and projected point; finished where the loss is not finite or there is no slope."""
        total, unravel, finished = _remembered(self.decay, memory, loss, gradient)
        step = unravel(self.step_size * ascent(self.norm, total, self.share))
        return project(jax.tree.map(jnp.subtract, z, step)), total, finished


@symbol
class AheadMemory:
    """The point that the last step led to, and the sum of the derivatives taken ahead of such points."""

    point: Any
    total: Float[Array, " n"]


@symbol
class AheadDescent:
    """The same with derivatives taken ahead, where the past sum alone would lead; made by `momentum_descent`."""

    step_size: Array
    decay: Array
    norm: str = static()
    share: float = static(default=0.0)

    def init(self, z: Any) -> AheadMemory:
        """Returns the start, and the sum of no derivatives."""
        return AheadMemory(z, jnp.zeros_like(ravel_pytree(z)[0]))

    def step(self, memory: Any, z: Any, loss: Scalar, gradient: Any, project: Callable[[Any], Any]) -> Any:
        """Returns the next place to take a derivative at; finished as `MomentumDescent` is."""
        total, unravel, finished = _remembered(self.decay, memory.total, loss, gradient)

        def moved(point: Any, along: Array) -> Any:
            return project(jax.tree.map(jnp.subtract, point, unravel(self.step_size * along)))

        point = moved(memory.point, ascent(self.norm, total, self.share))
        return moved(point, self.decay * total), AheadMemory(point, total), finished

    def answer(self, memory: AheadMemory) -> Any:
        """Returns the point that the last step led to: where the derivative is taken is no result."""
        return memory.point


def _remembered(
    decay: Array, total: Array, loss: Scalar, gradient: Any
) -> tuple[Array, Callable[[Array], Any], Bool[Array, ""]]:
    g, unravel = ravel_pytree(gradient)
    size = jnp.abs(g).sum()
    total = decay * total + g / jnp.where(size > 0, size, 1)
    return total, unravel, ~jnp.isfinite(loss) | ~jnp.any(total != 0)


def momentum_descent(
    step_size: Number, decay: Number = 1.0, *, norm: str = "linf", ahead: bool = False, share: float = 0.0
) -> MomentumDescent | AheadDescent:
    r"""Returns steepest descent in a norm along the sum of past derivatives, each made of sum 1.

    .. math:: m_{k+1} = \mu \, m_k + \frac{\nabla L(\tilde z_k)}{\lVert \nabla L(\tilde z_k) \rVert_1}, \quad
              z_{k+1} = P_C \left( z_k - \alpha \, d(m_{k+1}) \right),

    d as for `steepest_descent`, and :math:`\tilde z_k = z_k` [1]; with `ahead` the derivative is taken where the
    past sum leads, :math:`\tilde z_k = P_C(z_k - \alpha \mu \, m_k)` [2].

    Args:
      step_size: α, at least 0, in the units of the unknowns: of [0, 1] for pixels.
      decay: μ, in [0, 1].
      norm: "linf", "l2" or "l1".
      ahead: Whether derivatives are taken ahead. The result is then the last point, whose loss is not known.
      share: As for `steepest_descent`.

    Raises:
      KeyError: If the norm is unknown.
      ValueError: If `step_size` is negative, or `decay` or `share` out of range.

    Note:
      [2] takes the place ahead as it is, without the projection.

    References:
      [1] Dong, Liao, Pang, Su, Zhu, Hu, Li. Boosting Adversarial Attacks with Momentum. CVPR 2018, algorithm 1.
      [2] Lin, Song, He, Wang, Hopcroft. Nesterov Accelerated Gradient and Scale Invariance for Adversarial
          Attacks. ICLR 2020, eq. 6 to 8.

    Example:
      >>> rule = momentum_descent(0.5)
      >>> slope = jnp.array([3.0, -1.0])
      >>> z, total, _ = rule.step(rule.init(jnp.zeros(2)), jnp.zeros(2), jnp.float32(1), slope, lambda z: z)
      >>> z.tolist(), total.tolist()
      ([-0.5, 0.5], [0.75, -0.25])
    """
    kind = AheadDescent if ahead else MomentumDescent
    number(share, "share", 0, 1)
    numbers = number(step_size, "step_size", 0), number(decay, "decay", 0, 1)
    return kind(*numbers, known(norm, NORMS, "norm"), float(share))
