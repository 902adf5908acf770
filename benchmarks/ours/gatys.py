"""Value and gradient of the Gatys loss: inside the library's compiled loop, and alone."""

import time
from typing import Any

import jax
import numpy as np

from benchmarks.ours import problems
from benchmarks.worker import Work
from jaxviz import optimization, optimizers

LOOP_SECONDS = 0.5


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns both."""
    problem, start = problems.style(options["size"], options["precision"])
    return {
        "": {
            "jaxviz in its loop": lambda: looped(problem, start),
            "jaxviz alone": lambda: alone(problem, start),
        }
    }


def evaluation(problem, start):
    """Returns a function that evaluates once."""
    function = jax.jit(jax.value_and_grad(lambda z, problem, key: problem.loss(z, key)))
    arguments = (start, problem, jax.random.key(0))
    return lambda: jax.block_until_ready(function(*arguments))


def alone(problem, start) -> Work:
    """Returns the work of one compiled value and gradient."""
    return Work(evaluation(problem, start))


def looped(problem, start) -> Work:
    """Returns the work of evaluations as the library makes them, Adam's step included."""
    run = jax.jit(optimization.advance, donate_argnums=1)
    # Copied, since outputs of one program may share a buffer, which cannot be donated twice.
    initial = optimization.init(problem, start, optimizers.adam(), jax.random.key(0))
    state = None

    def fresh():
        nonlocal state
        state = jax.block_until_ready(jax.tree.map(lambda leaf: leaf.copy(), initial))

    def call():
        nonlocal state
        state = jax.block_until_ready(run(problem, state, np.int32(work.units)))

    def result():
        value, gradient = evaluation(problem, start)()
        return {"value": float(value), "gradient": np.asarray(gradient)}

    work = Work(call, prepare=fresh, result=result)
    work.first = (work.timed(), 1)
    began = time.perf_counter()
    work.timed()
    work.units = int(np.clip(LOOP_SECONDS / (time.perf_counter() - began), 2, 256))
    return work
