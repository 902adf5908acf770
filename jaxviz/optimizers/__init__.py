"""The algorithms that `optimization.minimize` can run: records whose numbers may vary without compiling.

An optimizer is a pytree with `init(z) -> memory` and
`step(memory, z, loss, gradient, project) -> (next z, memory, finished)`: one evaluation in, one point out.
"""

from jaxviz.optimizers.base import Optimizer
from jaxviz.optimizers.first_order import Optax, SteepestDescent, adam, from_optax, steepest_descent
from jaxviz.optimizers.quasi_newton import LBFGS, SHRINK, LBFGSMemory, lbfgs

__all__ = [
    "LBFGS",
    "SHRINK",
    "LBFGSMemory",
    "Optax",
    "Optimizer",
    "SteepestDescent",
    "adam",
    "from_optax",
    "lbfgs",
    "steepest_descent",
]
