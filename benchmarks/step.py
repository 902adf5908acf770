"""One step of L-BFGS inside the compiled loop against the same step compiled alone: what the loop costs."""

import dataclasses
import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import protocol, workload
from benchmarks.protocol import Settings, Side
from jaxviz import optimization, optimizers

TITLE = "One step of L-BFGS in the compiled loop, against the same step compiled alone, VGG-16"
UNIT = "one step: value, gradient, update"
SIZE = 256
TARGET = 1.1
FILL = 20
"""Steps made first, which fill the history."""


def run(settings: Settings) -> list[dict]:
    """Returns one row, whose ratio is loop ÷ alone."""
    size = 64 if settings.quick else SIZE
    steps = 4 if settings.quick else 8 if jax.default_backend() == "cpu" else 64
    problem, start = workload.style_problem(size, settings)
    initial = optimization.init(problem, start, optimizers.lbfgs(20), jax.random.key(0))
    advance = jax.jit(optimization.advance, donate_argnums=1)
    single = jax.jit(step, donate_argnums=1)
    began = time.perf_counter()
    filled = jax.block_until_ready(advance(problem, copied(initial), np.int32(FILL)))
    first = (time.perf_counter() - began, FILL)

    def by_loop(state):
        return advance(problem, state, np.int32(steps))

    def by_calls(state):
        for _ in range(steps):
            state = single(problem, state)
        return state

    sides = [side("in the loop", by_loop, filled, steps), side("alone", by_calls, filled, steps)]
    protocol.alternate(sides, settings.rounds(9))
    loop, alone = sides
    loop.first = first
    ends = [float(side.facts.pop("loss")) for side in sides]
    facts = {"size": size, "steps": steps, "target": TARGET, "loss_reached": ends}
    return [protocol.row(f"{size}²", loop, [], [alone], **facts)]


def side(name, function, filled, steps) -> Side:
    """Returns a side that makes `steps` steps from the same state each time."""
    made = Side(name, lambda: None, units=steps)
    state = None

    def prepare():
        nonlocal state
        state = jax.block_until_ready(copied(filled))

    def call():
        result = jax.block_until_ready(function(state))
        made.facts["loss"] = result.best_loss

    made.prepare, made.call = prepare, call
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
