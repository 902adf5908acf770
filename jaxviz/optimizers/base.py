"""What `optimization.minimize` needs of an algorithm: one evaluation in, one point out."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from jaxviz._typing import Scalar


@runtime_checkable
class Optimizer(Protocol):
    """What the loop needs of an algorithm."""

    def init(self, z: Any) -> Any:
        """Returns the memory before the first evaluation."""

    def step(self, memory: Any, z: Any, loss: Scalar, gradient: Any, project: Callable[[Any], Any]) -> Any:
        """Returns the next point, the memory, and whether nothing more can be gained."""
