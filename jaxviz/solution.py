"""What a run of `optimization.minimize` returns, also where Ctrl-C ended it."""

import dataclasses
from typing import Any

import jax
import numpy as np


@dataclasses.dataclass(frozen=True)
class Solution:
    """What a run found.

    Attributes:
      value: The point of lowest loss; the last one where the loss is random; the average of all where the
        optimizer is `optimizers.averaged`. In a batch, one for each image.
      losses: Loss of every evaluation in order, rejected trial points included, [evaluations] or
        [batch, evaluations]; NaN after an image has finished early.
      finite: Whether `value` and its loss are finite; of an average, whether any loss was.
      evaluations: Evaluations of value and gradient that were made, [] or [batch].
      rejections: Points among them that L-BFGS rejected, [] or [batch]; 0 for an optimizer that rejects none.
      restarts: How often that cleared the history of L-BFGS, [] or [batch].
      compile_seconds: Time until the compiled loop was ready.
      run_seconds: Time spent in it.
    """

    value: Any
    losses: np.ndarray
    finite: np.ndarray
    evaluations: np.ndarray
    rejections: np.ndarray
    restarts: np.ndarray
    compile_seconds: float = 0.0
    run_seconds: float = 0.0

    def __repr__(self) -> str:
        value = jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", self.value)
        lowest = np.fmin.reduce(self.losses, axis=-1, initial=np.inf)
        return (
            f"Solution(value={value}, evaluations={self.evaluations}, lowest loss={lowest}, "
            f"run_seconds={self.run_seconds:.3g})"
        )


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during `minimize`; `solution` is the best found until then."""

    def __init__(self, solution: Solution):
        super().__init__("interrupted; the best so far is in .solution")
        self.solution = solution
