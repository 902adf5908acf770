"""An operator that changes the point after every step of an optimizer, as regularization without a loss."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from jaxviz._typing import Scalar, symbol
from jaxviz.optimizers.base import Optimizer


@runtime_checkable
class Operator(Protocol):
    """What `interleaved` applies: a pytree, so its numbers may vary without compiling."""

    def __call__(self, count: Int[Array, ""], z: Any, /) -> Any:
        """Returns the changed point, after `count` steps, at least 1."""


@symbol
class InterleavedMemory:
    """The memory of the optimizer inside, and how many steps there were."""

    inner: Any
    count: Int[Array, ""]


@symbol
class Interleaved:
    """Any optimizer, and what is done to its points; made by `interleaved`."""

    optimizer: Optimizer
    operator: Operator

    def init(self, z: Any) -> InterleavedMemory:
        """Returns the memory before the first evaluation."""
        return InterleavedMemory(self.optimizer.init(z), jnp.zeros((), jnp.int32))

    def step(
        self, memory: InterleavedMemory, z: Any, loss: Scalar, gradient: Any, project: Callable[[Any], Any]
    ) -> tuple[Any, InterleavedMemory, Bool[Array, ""]]:
        """Returns the optimizer's next point, changed, in the allowed set."""
        count = memory.count + 1
        z, inner, finished = self.optimizer.step(
            memory.inner, z, loss, gradient, lambda z: project(self.operator(count, z))
        )
        return z, InterleavedMemory(inner, count), finished


def interleaved(optimizer: Any, operator: Operator) -> Interleaved:
    r"""Returns an optimizer whose every point is changed by an operator before it is moved into C.

    .. math:: z_{k+1} = P_C(r_k(z_k + s_k))

    with :math:`s_k` the step and r such as a blur or a decay. The operator is no part of the loss, so what is
    found is no minimum of it; an optimizer that rejects points by their loss, as L-BFGS, is of no use inside.

    Args:
      optimizer: From this module; one that looks at gradients alone.
      operator: r: the number of steps made, from 1, and a point to a point.

    Raises:
      ValueError: If `optimizer` is none.

    References:
      Yosinski, Clune, Nguyen, Fuchs, Lipson. Understanding Neural Networks Through Deep Visualization. ICML
      Workshop 2015, section 3, equation 2.

    Example:
      >>> from jaxviz.optimizers import interleaved, steepest_descent
      >>> rule = interleaved(steepest_descent(1.0), lambda count, z: z / count)
      >>> z, memory = jnp.array([3.0]), rule.init(jnp.array([3.0]))
      >>> for _ in range(2):
      ...     z, memory, _ = rule.step(memory, z, jnp.float32(1), z, lambda z: z)
      >>> z.tolist()  # (3 - 1) / 1, then (2 - 1) / 2
      [0.5]
    """
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"optimizer is a {type(optimizer).__name__}; expected one of jaxviz.optimizers")
    return Interleaved(optimizer, operator)
