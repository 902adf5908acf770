"""argmin: the one compiled loop. It knows nothing of images or networks.

A problem is any pytree with `loss(z, key) -> scalar`, `project(z) -> z` and `random`, whether the loss
depends on the key. The loop runs on the device in chunks of about half a second; the trip count is an
argument, so chunks of any length are one program. Between chunks the host reports, and reads the flag that
Ctrl-C sets.
"""

import contextlib
import dataclasses
import functools
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int

from jaxviz import sharding
from jaxviz._typing import Key, Scalar, symbol
from jaxviz.optimizers import Optimizer, lbfgs

TRACE = 1024
CHUNK_SECONDS = 0.5


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


@dataclasses.dataclass(frozen=True)
class Solution:
    """What a run found.

    Attributes:
      value: The point of lowest loss; the last one where the loss is random. In a batch, one for each image.
      losses: Loss of every evaluation in order, rejected trial points included, [evaluations] or
        [batch, evaluations]; NaN after an image has finished early.
      finite: Whether `value` and its loss are finite.
      evaluations: Evaluations of value and gradient that were made, [] or [batch].
      compile_seconds: Time until the compiled loop was ready.
      run_seconds: Time spent in it.
    """

    value: Any
    losses: np.ndarray
    finite: np.ndarray
    evaluations: np.ndarray
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


def init(problem: Minimizable, z: Any, optimizer: Optimizer, key: Key) -> State:
    """Returns the state before the first evaluation, at `z` moved into the allowed set."""
    z = problem.project(z)
    return State(
        z=z,
        optimizer=optimizer,
        memory=optimizer.init(z),
        key=key,
        best=z,
        best_loss=jnp.asarray(jnp.inf, jnp.float32),
        losses=jnp.zeros(TRACE, jnp.float32),
        evaluations=jnp.zeros((), jnp.int32),
        done=jnp.zeros((), bool),
    )


def advance(problem: Minimizable, state: State, n: Int[Array, ""] | int) -> State:
    """Returns the state `n` evaluations of value and gradient later; pure, so jit, vmap or shard it.

    Args:
      problem: What is minimized.
      state: From `init` or `advance`. Its `losses[:n]` become those of these evaluations.
      n: At most `TRACE`. May be a traced value: any number is the same program.
    """

    def body(i, state):
        key = jax.random.fold_in(state.key, state.evaluations)
        loss, gradient = jax.value_and_grad(problem.loss)(state.z, key)
        z, memory, finished = state.optimizer.step(state.memory, state.z, loss, gradient, problem.project)
        active = ~state.done
        better = active & (jnp.isfinite(loss) if problem.random else loss < state.best_loss)

        def choose(condition, new, old):
            return jax.tree.map(lambda new, old: jnp.where(condition, new, old), new, old)

        # The memory of a finished image runs on: its z is frozen, so nothing comes of it, and a select of the
        # whole history would cost as much as the step.
        return dataclasses.replace(
            state,
            z=choose(active, z, state.z),
            memory=memory,
            best=choose(better, state.z, state.best),
            best_loss=jnp.where(better, loss, state.best_loss),
            losses=state.losses.at[i].set(jnp.where(active, loss, jnp.nan)),
            evaluations=state.evaluations + active,
            done=state.done | finished,
        )

    return jax.lax.fori_loop(0, n, body, state)


def minimize(
    problem: Minimizable,
    z: Any,
    *,
    steps: int,
    key: Array | None = None,
    optimizer: Any = None,
    batch_axes: Any = None,
    mesh: Mesh | None = None,
    on_chunk: Callable[[Solution], None] | None = None,
) -> Solution:
    """Returns the best point found in a number of evaluations.

    A new problem, start, key or number of steps of the same shapes compiles nothing.

    Args:
      problem: Pytree with `loss`, `project` and `random`, such as a `Problem`.
      z: Start, a pytree of float arrays; with `batch_axes`, stacked along a leading axis.
      steps: Evaluations of value and gradient to make, rejected ones included; at least 0.
      key: Seeds what a random loss draws. In a batch, one key serves every image as it would alone; an array
        of keys gives each its own. None stands for `jax.random.key(0)`.
      optimizer: From `optimizers`; None stands for `lbfgs()`.
      batch_axes: For a batch, a tree like `problem` with 0 for each stacked leaf and None for each shared one,
        as `problem.stack` returns it.
      mesh: From `jaxviz.mesh`, to split a batch of any length over several devices; None for one device.
      on_chunk: Called about twice a second with the solution so far.

    Returns:
      The solution. With 0 steps it is the start.

    Raises:
      ValueError: If `steps` is negative, the optimizer is none of ours, there is a mesh and no batch, or the
        problem, start and keys of a batch differ in their number of images.
      Interrupted: On Ctrl-C in the main thread, with the best so far.
    """
    if steps < 0:
        raise ValueError(f"steps is {steps}; expected at least 0")
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise ValueError(
            f"optimizer is a {type(optimizer).__name__}; expected one of jaxviz.optimizers, "
            "such as adam(), or from_optax(optax.nadam, learning_rate=0.01)"
        )
    started = time.perf_counter()
    key = jax.random.key(0) if key is None else key
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(key)  # of jax.random.PRNGKey, which has an axis of its own
    kept: Any = ...
    if batch_axes is not None:
        axes = (batch_axes, 0, 0 if key.ndim else None)
        kept = slice(sharding.image_count(axes, (problem, z, key)))
        if mesh is not None:
            problem, z, key = sharding.spread(axes, (problem, z, key), mesh)
    elif mesh is not None:
        raise ValueError(
            "mesh is given without batch_axes; one problem runs on one device, `stack` makes a batch"
        )
    start, run = _compiled(*_hashable(batch_axes), key.ndim > 0, mesh)
    state = start(problem, z, lbfgs() if optimizer is None else optimizer, key)
    state = jax.block_until_ready(run(problem, state, np.int32(0)))
    compiled = time.perf_counter()
    losses, made, n, seconds = [], 0, 1, 0.0
    with _interrupt_flag() as interrupted:
        while made < steps and not interrupted.is_set():
            n = min(n, steps - made)
            began = time.perf_counter()
            state = run(problem, state, np.int32(n))
            losses.append(np.asarray(state.losses)[kept][..., :n])
            seconds += time.perf_counter() - began
            made += n
            if on_chunk is not None:
                on_chunk(_solution(state, losses, compiled - started, seconds, kept))
            if np.asarray(state.done)[kept].all():
                break
            pace = (time.perf_counter() - began) / n
            n = int(np.clip(CHUNK_SECONDS / pace, 1, min(TRACE, 8 * n)))
    solution = _solution(state, losses, compiled - started, seconds, kept)
    if interrupted.is_set():
        raise Interrupted(solution)
    return solution


def memory_needed(
    problem: Minimizable, z: Any, *, optimizer: Any = None, batch_axes: Any = None, mesh: Mesh | None = None
) -> int | None:
    """Returns the bytes of each device that `minimize` needs for its loop; None where the compiler tells none.

    Nothing is minimized. The loop is compiled for it, and not again for a `minimize` of these shapes.

    Args:
      problem: As for `minimize`.
      z: As for `minimize`.
      optimizer: As for `minimize`.
      batch_axes: As for `minimize`.
      mesh: As for `minimize`.

    Raises:
      ValueError: If the problem and the start of a batch differ in their number of images.
    """
    key = jax.random.key(0)
    where = None
    if batch_axes is not None and mesh is not None:
        problem, z, key = sharding.spread((batch_axes, 0, None), (problem, z, key), mesh)
        where = sharding.placement(0, mesh)
    start, run = _compiled(*_hashable(batch_axes), False, mesh)
    state = jax.eval_shape(start, problem, z, lbfgs() if optimizer is None else optimizer, key)
    state = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where, weak_type=leaf.weak_type),
        state,
    )
    used = run.lower(problem, state, np.int32(0)).compile().memory_analysis()
    if used is None:
        return None
    # The new state takes the place of the old one, and is counted once.
    held = used.argument_size_in_bytes + used.output_size_in_bytes - used.alias_size_in_bytes
    return int(held + used.temp_size_in_bytes)


def _solution(
    state: State, losses: Sequence[np.ndarray], compiling: float, running: float, kept: Any
) -> Solution:
    best = jax.tree.map(lambda leaf: _own(leaf, kept), state.best)
    evaluations = np.asarray(state.evaluations)[kept]
    trace = np.concatenate([np.zeros((*evaluations.shape, 0), np.float32), *losses], axis=-1)
    evaluated = np.isfinite(np.asarray(state.best_loss)[kept]) | (evaluations == 0)
    finite = evaluated
    for leaf in map(np.asarray, jax.tree.leaves(best)):
        finite = finite & np.isfinite(leaf).reshape(*evaluated.shape, -1).all(-1)
    return Solution(
        best,
        trace[..., : int(evaluations.max(initial=0))],
        np.asarray(finite),
        evaluations,
        compiling,
        running,
    )


def _own(leaf: Array, kept: Any) -> Array:
    """Returns a copy without the images that only fill up a mesh; donating the state takes the original."""
    if len(leaf.devices()) > 1:
        return jax.device_put(np.asarray(leaf)[kept])
    return jnp.array(leaf, copy=True)


def _hashable(axes: Any) -> tuple[Any, Any]:
    leaves, structure = jax.tree.flatten(axes, is_leaf=lambda leaf: leaf is None)
    return tuple(leaves), structure


@functools.cache
def _compiled(
    leaves: tuple[int | None, ...], structure: Any, own_keys: bool, mesh: Mesh | None
) -> tuple[Any, Any]:
    axes = jax.tree.unflatten(structure, leaves)
    begin, run = init, advance
    if axes is not None:
        of_start, of_run = (axes, 0, None, 0 if own_keys else None), (axes, 0, None)
        begin = sharding.split(jax.vmap(init, in_axes=of_start), mesh, of_start)
        run = sharding.split(jax.vmap(advance, in_axes=of_run), mesh, of_run)

    def start(*arguments):
        # An output that is an input shares its buffer, and donating that would take the caller's array away.
        return jax.tree.map(jnp.copy, begin(*arguments))

    return jax.jit(start), jax.jit(run, donate_argnums=1)


@contextlib.contextmanager
def _interrupt_flag() -> Iterator[threading.Event]:
    """Yields a flag that the first Ctrl-C sets; the second raises KeyboardInterrupt at once."""
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def handler(number, frame):
        flag.set()
        signal.signal(signal.SIGINT, previous)

    previous = signal.signal(signal.SIGINT, handler)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, previous)


__all__ = [
    "Interrupted",
    "Minimizable",
    "Solution",
    "State",
    "advance",
    "init",
    "memory_needed",
    "minimize",
]
