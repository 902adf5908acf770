"""The algorithms that `optimization.minimize` can run: records whose numbers may vary without compiling.

An optimizer is a pytree with `init(z) -> memory` and
`step(memory, z, loss, gradient, project) -> (next z, memory, finished)`: one evaluation in, one point out. It may
also have `told(memory)`, what its safeguard did, and `answer(memory)`, the result where that is not the best point.
"""

from jaxviz.optimizers.averaging import Averaged, AveragedMemory, averaged
from jaxviz.optimizers.base import Answering, Optimizer, Telling
from jaxviz.optimizers.first_order import (
    Optax,
    SteepestDescent,
    adam,
    from_optax,
    normalized_gradient,
    steepest_descent,
)
from jaxviz.optimizers.interleaving import Interleaved, InterleavedMemory, interleaved
from jaxviz.optimizers.quasi_newton import LBFGS, SHRINK, LBFGSMemory, Preconditioner, lbfgs

__all__ = [
    "LBFGS",
    "SHRINK",
    "Answering",
    "Averaged",
    "AveragedMemory",
    "Interleaved",
    "InterleavedMemory",
    "LBFGSMemory",
    "Optax",
    "Optimizer",
    "Preconditioner",
    "SteepestDescent",
    "Telling",
    "adam",
    "averaged",
    "from_optax",
    "interleaved",
    "lbfgs",
    "normalized_gradient",
    "steepest_descent",
]
