"""What `optimization.minimize` needs of an algorithm: one evaluation in, one point out."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array

from jaxviz._typing import Scalar


@runtime_checkable
class Optimizer(Protocol):
    """What the loop needs of an algorithm."""

    def init(self, z: Any) -> Any:
        """Returns the memory before the first evaluation."""

    def step(self, memory: Any, z: Any, loss: Scalar, gradient: Any, project: Callable[[Any], Any]) -> Any:
        """Returns the next point, the memory, and whether nothing more can be gained."""


@runtime_checkable
class Telling(Protocol):
    """An optimizer that also says what its safeguard did."""

    def told(self, memory: Any) -> dict[str, Array]:
        """Returns `rejections` and `restarts`, or what it has of them."""


@runtime_checkable
class Answering(Protocol):
    """An optimizer whose result is neither its best point nor its last one."""

    def answer(self, memory: Any) -> Any:
        """Returns what the run has found until now, a tree like z."""
