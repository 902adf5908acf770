"""One step of L-BFGS inside the compiled loop, and the same step compiled alone: what the loop costs."""

import dataclasses
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.ours import problems
from benchmarks.worker import Work
from jaxviz import optimization, optimizers

FILL = 20
"""Steps made first, which fill the history."""


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns both."""
    problem, start = problems.style(options["size"], options["precision"])
    steps = 4 if options["quick"] else 8 if jax.default_backend() == "cpu" else 64
    advance = jax.jit(optimization.advance, donate_argnums=1)
    single = jax.jit(step, donate_argnums=1)
    initial = optimization.init(problem, start, optimizers.lbfgs(20), jax.random.key(0))
    began = time.perf_counter()
    filled = jax.block_until_ready(advance(problem, copied(initial), np.int32(FILL)))
    first = (time.perf_counter() - began, FILL)

    def by_loop(state):
        return advance(problem, state, np.int32(steps))

    def by_calls(state):
        for _ in range(steps):
            state = single(problem, state)
        return state

    return {
        "": {
            "in the loop": lambda: work(by_loop, filled, steps, first),
            "alone": lambda: work(by_calls, filled, steps, None),
        }
    }


def work(function, filled, steps, first) -> Work:
    """Returns the work of `steps` steps, from the same state each time."""
    state = reached = None

    def prepare():
        nonlocal state
        state = jax.block_until_ready(copied(filled))

    def call():
        nonlocal reached
        reached = jax.block_until_ready(function(state))

    def result():
        made.timed()
        return {"value": float(reached.best_loss)}

    made = Work(call, units=steps, prepare=prepare, result=result, first=first)
    return made


def step(problem, state):
    """Returns the state one evaluation later, as the loop's body makes it, in no loop."""
    key = jax.random.fold_in(state.key, state.evaluations)
    loss, gradient = jax.value_and_grad(problem.loss)(state.z, key)
    z, memory, finished = state.optimizer.step(state.memory, state.z, loss, gradient, problem.project)
    active = ~state.done
    better = active & (loss < state.best_loss)
    return dataclasses.replace(
        state,
        z=jnp.where(active, z, state.z),
        memory=memory,
        best=jnp.where(better, state.z, state.best),
        best_loss=jnp.where(better, loss, state.best_loss),
        losses=state.losses.at[0].set(jnp.where(active, loss, jnp.nan)),
        evaluations=state.evaluations + active,
        done=state.done | finished,
    )


def copied(state):
    return jax.tree.map(lambda leaf: leaf.copy(), state)
