"""The exponential average of all points of a run, as the result in place of the last one."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool

from jaxviz._checks import concrete, number
from jaxviz._typing import Number, Scalar, symbol
from jaxviz.optimizers.base import Optimizer, Telling


@symbol
class AveragedMemory:
    """The memory of the optimizer inside, and the average before its bias is taken out."""

    inner: Any
    total: Any
    missing: Scalar


@symbol
class Averaged:
    """Any optimizer, whose points are averaged; made by `averaged`."""

    optimizer: Optimizer
    decay: Array

    def init(self, z: Any) -> AveragedMemory:
        """Returns the memory before the first evaluation; the average is the start."""
        nothing = jax.tree.map(jnp.zeros_like, z), jnp.ones((), jnp.float32)
        return AveragedMemory(self.optimizer.init(z), *self._joined(nothing, z))

    def step(
        self, memory: AveragedMemory, z: Any, loss: Scalar, gradient: Any, project: Callable[[Any], Any]
    ) -> tuple[Any, AveragedMemory, Bool[Array, ""]]:
        """Returns what the optimizer inside does; its next point joins the average."""
        z, inner, finished = self.optimizer.step(memory.inner, z, loss, gradient, project)
        # One point that is not finite would stay in the average for ever.
        joins = jnp.isfinite(ravel_pytree(z)[0]).all()
        before = memory.total, memory.missing
        after = jax.tree.map(lambda new, old: jnp.where(joins, new, old), self._joined(before, z), before)
        return z, AveragedMemory(inner, *after), finished

    def answer(self, memory: AveragedMemory) -> Any:
        """Returns the average, its bias toward zero taken out."""
        return jax.tree.map(lambda total: total / (1 - memory.missing).astype(total.dtype), memory.total)

    def told(self, memory: AveragedMemory) -> dict[str, Array]:
        """Returns what the optimizer inside tells."""
        return self.optimizer.told(memory.inner) if isinstance(self.optimizer, Telling) else {}

    def _joined(self, before: tuple[Any, Scalar], z: Any) -> tuple[Any, Scalar]:
        def with_point(total, point):
            d = self.decay.astype(total.dtype)
            return d * total + (1 - d) * point

        total, missing = before
        return jax.tree.map(with_point, total, z), missing * self.decay


def averaged(optimizer: Any, decay: Number = 0.99) -> Averaged:
    r"""Returns an optimizer of the same steps, whose result is the exponential average of its points.

    .. math:: \bar z_k = \frac{1 - d}{1 - d^{k+1}} \sum_{i=0}^{k} d^{k-i} z_i

    with :math:`z_0` the start and :math:`z_k` the point after k evaluations, moved into C. It takes out the
    noise of steps that do not become smaller, as Adam's; a convex C also holds the average.

    `Solution.value` is then this average, not the point of lowest loss, and its own loss is not evaluated. With
    L-BFGS, points that are rejected later are part of it.

    Args:
      optimizer: From this module.
      decay: d, in [0, 1); about 1 / (1 - d) points count. With 0 the average is the last point.

    Raises:
      ValueError: If `decay` is not in [0, 1), or `optimizer` is none.

    References:
      Polyak, Juditsky. Acceleration of Stochastic Approximation by Averaging. SIAM J. Control Optim. 1992.
      Kingma, Ba. Adam: A Method for Stochastic Optimization. ICLR 2015, section 7.2.
      crowsonkb, style-transfer-pytorch, 2021, the class EMA.

    Example:
      >>> smooth = averaged(jaxviz.optimizers.steepest_descent(3.0), 0.5)
      >>> z = jnp.array([3.0])
      >>> _, memory, _ = smooth.step(smooth.init(z), z, jnp.float32(1), z, lambda z: z)
      >>> smooth.answer(memory).tolist()  # of 3, and of 0, which counts twice as much
      [1.0]
    """
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"optimizer is a {type(optimizer).__name__}; expected one of jaxviz.optimizers")
    checked = number(decay, "decay", 0, 1)
    if concrete(checked) and float(checked) == 1:
        raise ValueError("decay is 1, which counts no point; expected a number in [0, 1)")
    return Averaged(optimizer, checked)
