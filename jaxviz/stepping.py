"""One run as a pure function: its state after some evaluations more. It knows nothing of images or networks.

A problem is any pytree with `loss(z, key) -> scalar`, `project(z) -> z` and `random`, whether the loss depends on
the key; one that also has `judged` says itself which point is best, and where a run may end. The number of
evaluations is an argument, so chunks of any length are one program.
"""

import dataclasses
import functools
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxviz._typing import Key, Scalar, symbol
from jaxviz.optimizers import Answering, Optimizer, Telling

TRACE = 1024
"""Losses that a state keeps, and so evaluations of one chunk, at most."""


@runtime_checkable
class Minimizable(Protocol):
    """What the loop needs of a problem."""

    @property
    def random(self) -> bool:
        """Whether the loss depends on the key."""

    def loss(self, z: Any, key: Key) -> Scalar:
        """Returns what is to become small."""

    def project(self, z: Any) -> Any:
        """Returns the nearest point that is allowed."""


@symbol
class Verdict:
    """What a point is worth as an answer: the less the better; and whether the run may end at it."""

    merit: Scalar
    solved: Bool[Array, ""]


@runtime_checkable
class Judging(Protocol):
    """A problem whose best point is another than that of lowest loss, or whose run may end before its last step."""

    def judged(self, z: Any, key: Key) -> tuple[Scalar, Verdict]:
        """Returns the loss, as `loss` does, and the verdict on the point."""


@symbol
class State:
    """One run between two chunks; every leaf gains a leading axis in a batch."""

    z: Any
    optimizer: Optimizer
    memory: Any
    key: Key
    best: Any
    best_loss: Scalar
    losses: Float[Array, " trace"]
    evaluations: Int[Array, ""]
    done: Bool[Array, ""]
    told: dict[str, Int[Array, ""]]


def init(problem: Minimizable, z: Any, optimizer: Optimizer, key: Key) -> State:
    """Returns the state before the first evaluation, at `z` moved into the allowed set."""
    z = problem.project(z)
    memory = optimizer.init(z)
    return State(
        z=z,
        optimizer=optimizer,
        memory=memory,
        key=key,
        best=z,
        best_loss=jnp.asarray(jnp.inf, jnp.float32),
        losses=jnp.zeros(TRACE, jnp.float32),
        evaluations=jnp.zeros((), jnp.int32),
        done=jnp.zeros((), bool),
        told=_told(optimizer, memory),
    )


def advance(problem: Minimizable, state: State, n: Int[Array, ""] | int) -> State:
    """Returns the state `n` evaluations of value and gradient later; pure, so jit, vmap or shard it.

    Args:
      problem: What is minimized.
      state: From `init` or `advance`. Its `losses[:n]` become those of these evaluations.
      n: At most `TRACE`. May be a traced value: any number is the same program.
    """

    def body(i, state):
        judged = jax.value_and_grad(functools.partial(_judged, problem), has_aux=True)
        (loss, verdict), gradient = judged(state.z, jax.random.fold_in(state.key, state.evaluations))
        loss = loss.astype(state.best_loss.dtype)
        z, memory, finished = state.optimizer.step(state.memory, state.z, loss, gradient, problem.project)
        active = ~state.done
        averages = isinstance(state.optimizer, Answering)
        merit, solved = verdict.merit.astype(loss.dtype), verdict.solved
        better = _better(problem, state, merit)
        found, moves = (state.optimizer.answer(memory), active) if averages else (state.z, better)
        if isinstance(problem, Judging) and averages:
            found = _choose(solved, state.z, found)
        # The memory of a finished image runs on: its z is frozen, so nothing comes of it, and a select of the
        # whole history would cost as much as the step.
        return dataclasses.replace(
            state,
            z=_choose(active & ~solved, z, state.z),
            memory=memory,
            best=_choose(moves, found, state.best),
            best_loss=jnp.where(better, merit, state.best_loss),
            losses=state.losses.at[i].set(jnp.where(active, loss, jnp.nan)),
            evaluations=state.evaluations + active,
            done=state.done | finished | solved,
            told=_choose(active, _told(state.optimizer, memory), state.told),
        )

    return jax.lax.fori_loop(0, n, body, state)


def conclude(problem: Minimizable, state: State) -> State:
    """Returns the state after one evaluation without a derivative: whether the last point is the best; pure.

    The point stays where it is, and `losses` as they are. An optimizer that answers with another point than those
    it visits has answered already: nothing is evaluated.
    """
    if isinstance(state.optimizer, Answering):
        return state
    _, verdict = _judged(problem, state.z, jax.random.fold_in(state.key, state.evaluations))
    merit = verdict.merit.astype(state.best_loss.dtype)
    better = _better(problem, state, merit)
    return dataclasses.replace(
        state,
        best=_choose(better, state.z, state.best),
        best_loss=jnp.where(better, merit, state.best_loss),
        evaluations=state.evaluations + ~state.done,
        done=state.done | verdict.solved,
    )


def _judged(problem: Minimizable, z: Any, key: Key) -> tuple[Scalar, Verdict]:
    if isinstance(problem, Judging):
        return problem.judged(z, key)
    loss = problem.loss(z, key)
    return loss, Verdict(loss, jnp.zeros((), bool))


def _better(problem: Minimizable, state: State, merit: Scalar) -> Array:
    """Returns whether the point becomes the best; where losses are not comparable, the last one is."""
    averages = isinstance(state.optimizer, Answering)
    last = (problem.random or averages) and not isinstance(problem, Judging)
    return ~state.done & (jnp.isfinite(merit) if last else merit < state.best_loss)


def _choose(condition: Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda new, old: jnp.where(condition, new, old), new, old)


def _told(optimizer: Optimizer, memory: Any) -> dict[str, Array]:
    told = optimizer.told(memory) if isinstance(optimizer, Telling) else {}
    return {name: told.get(name, jnp.zeros((), jnp.int32)) for name in ("rejections", "restarts")}
