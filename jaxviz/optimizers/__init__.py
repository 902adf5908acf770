"""The algorithms that `optimization.minimize` can run: records whose numbers may vary without compiling.

An optimizer is a pytree with `init(z) -> memory` and
`step(memory, z, loss, gradient, project) -> (next z, memory, finished)`: one evaluation in, one point out. It may
also have `told(memory)`, what its safeguard did, and `answer(memory)`, the result where that is not the best point.
"""

from jaxviz.optimizers.automatic import AutomaticDescent, AutomaticMemory, automatic_descent
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
from jaxviz.optimizers.momentum import AheadDescent, AheadMemory, MomentumDescent, momentum_descent
from jaxviz.optimizers.quasi_newton import LBFGS, SHRINK, LBFGSMemory, Preconditioner, lbfgs
from jaxviz.optimizers.smoothing import Smoothed, SmoothedAhead, smoothed

__all__ = [
    "LBFGS",
    "SHRINK",
    "AheadDescent",
    "AheadMemory",
    "Answering",
    "AutomaticDescent",
    "AutomaticMemory",
    "Averaged",
    "AveragedMemory",
    "Interleaved",
    "InterleavedMemory",
    "LBFGSMemory",
    "MomentumDescent",
    "Optax",
    "Optimizer",
    "Preconditioner",
    "Smoothed",
    "SmoothedAhead",
    "SteepestDescent",
    "Telling",
    "adam",
    "automatic_descent",
    "averaged",
    "from_optax",
    "interleaved",
    "lbfgs",
    "momentum_descent",
    "normalized_gradient",
    "smoothed",
    "steepest_descent",
]
