"""argmin: the one compiled loop, as the host runs it. It knows nothing of images or networks.

What a problem is, and what one evaluation does, is in `stepping`. The loop runs on the device in chunks of about
half a second; between chunks the host reports, and reads the flag that Ctrl-C sets.
"""

import contextlib
import functools
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array

from jaxviz import placing, sharding
from jaxviz.optimizers import Optimizer, lbfgs
from jaxviz.solution import Interrupted, Solution
from jaxviz.stepping import TRACE, Minimizable, State, advance, init

CHUNK_SECONDS = 0.5


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
    state: tuple[State, np.ndarray] | None = None,
    on_state: Callable[[State, np.ndarray], None] | None = None,
    every: int | None = None,
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
      mesh: From `jaxviz.mesh`, to split a batch of any length over several devices, or the rows of pictures; None
        for one device.
      on_chunk: Called about twice a second with the solution so far.
      state: Where to go on instead of at the start, and the losses until there, as `on_state` had them. Its
        optimizer and key are used; `z` only says the shapes. `steps` counts from the very beginning.
      on_state: Called with the state and all losses after every `every` evaluations exactly, and at the end,
        after Ctrl-C too. The loop takes the state's memory afterwards: what is to be kept must be copied,
        except at the end.
      every: As `on_state` says; at least 1; None for the end alone.

    Returns:
      The solution. With 0 steps it is the start.

    Raises:
      ValueError: If `steps` is negative, `every` is below 1, the optimizer is none of ours, there is a mesh without
        rows and no batch, a picture has fewer rows than devices that share them, the problem, start and keys of a
        batch differ in their number of images, or `state` is of other shapes.
      Interrupted: On Ctrl-C in the main thread, with the best so far.
    """
    if steps < 0:
        raise ValueError(f"steps is {steps}; expected at least 0")
    if every is not None and every < 1:
        raise ValueError(f"every is {every}; expected at least 1")
    optimizer, key = settled(optimizer, key)
    started = time.perf_counter()
    place = placing.layout(problem, z, key, batch_axes, mesh)
    shape = jax.tree.map(jnp.shape, z)
    problem, z, key = place.spread(problem, z, key)
    start, run = programs(place.problem_axes, key.ndim > 0, place.mesh)
    if state is None:
        none = np.zeros((0,) if place.count is None else (place.count, 0), np.float32)
        losses, now = [none], start(problem, z, optimizer, key)
    else:
        losses, now = [np.asarray(state[1])], place.spread_state(_checked(state[0], shape))
    now = jax.block_until_ready(run(problem, now, np.int32(0)))
    compiled = time.perf_counter()
    made, n, seconds, reported = losses[0].shape[-1], 1, 0.0, -1
    done = place.of_each(now.done).all()
    with _interrupt_flag() as interrupted:
        while made < steps and not done and not interrupted.is_set():
            n = min(n, steps - made, steps if every is None else every - made % every)
            began = time.perf_counter()
            now = run(problem, now, np.int32(n))
            losses.append(place.of_each(now.losses)[..., :n])
            seconds += time.perf_counter() - began
            made += n
            done = place.of_each(now.done).all()
            if on_chunk is not None:
                on_chunk(_solution(now, losses, compiled - started, seconds, place))
            pace = (time.perf_counter() - began) / n
            if on_state is not None and every is not None and made % every == 0:
                on_state(place.without_filling(now), np.concatenate(losses, -1))
                reported = made
            n = int(np.clip(CHUNK_SECONDS / pace, 1, min(TRACE, 8 * n)))
        if on_state is not None and reported != made:
            on_state(place.without_filling(now), np.concatenate(losses, -1))
    solution = _solution(now, losses, compiled - started, seconds, place)
    if interrupted.is_set():
        raise Interrupted(solution)
    return solution


def settled(optimizer: Any, key: Array | None) -> tuple[Optimizer, Array]:
    """Returns the optimizer and key that `minimize` works with, in place of None or a key of the older kind.

    Raises:
      ValueError: If the optimizer is none of ours.
    """
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise ValueError(
            f"optimizer is a {type(optimizer).__name__}; expected one of jaxviz.optimizers, "
            "such as adam(), or from_optax(optax.nadam, learning_rate=0.01)"
        )
    key = jax.random.key(0) if key is None else key
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(key)  # of jax.random.PRNGKey, which has an axis of its own
    return lbfgs() if optimizer is None else optimizer, key


def state_shapes(
    problem: Minimizable, z: Any, *, optimizer: Any = None, key: Array | None = None, batch_axes: Any = None
) -> Any:
    """Returns a tree like the state of `minimize` with these arguments, of shapes and types; computes nothing."""
    optimizer, key = settled(optimizer, key)
    begin = init
    if batch_axes is not None:
        begin = jax.vmap(init, in_axes=(batch_axes, 0, None, 0 if key.ndim else None))
    return jax.eval_shape(begin, problem, z, optimizer, key)


def _checked(state: State, shape: Any) -> State:
    found = jax.tree.map(jnp.shape, state.z)
    if found != shape:
        raise ValueError(f"state has unknowns of shape {found}; expected those of z, {shape}")
    return state


def _solution(
    state: State, losses: Sequence[np.ndarray], compiling: float, running: float, place: placing.Layout
) -> Solution:
    best = jax.tree.map(place.own, state.best)
    evaluations = place.of_each(state.evaluations)
    evaluated = np.isfinite(place.of_each(state.best_loss)) | (evaluations == 0)
    finite = evaluated
    for leaf in map(np.asarray, jax.tree.leaves(best)):
        finite = finite & np.isfinite(leaf).reshape(*evaluated.shape, -1).all(-1)
    return Solution(
        best,
        np.concatenate(losses, -1)[..., : int(evaluations.max(initial=0))],
        np.asarray(finite),
        evaluations,
        place.of_each(state.told["rejections"]),
        place.of_each(state.told["restarts"]),
        compiling,
        running,
    )


def programs(batch_axes: Any, own_keys: bool, mesh: Mesh | None) -> tuple[Any, Any]:
    """Returns the compiled programs that make the first state and advance it, as `minimize` uses them."""
    leaves, structure = jax.tree.flatten(batch_axes, is_leaf=lambda leaf: leaf is None)
    return _compiled(tuple(leaves), structure, own_keys, mesh)


@functools.cache
def _compiled(
    leaves: tuple[int | None, ...], structure: Any, own_keys: bool, mesh: Mesh | None
) -> tuple[Any, Any]:
    axes = jax.tree.unflatten(structure, leaves)
    begin, run, rows = init, advance, sharding.has_rows(mesh)
    if axes is not None:
        of_start, of_run = (axes, 0, None, 0 if own_keys else None), (axes, 0, None)
        begin, run = jax.vmap(init, in_axes=of_start), jax.vmap(advance, in_axes=of_run)
        if not rows:
            begin, run = sharding.split(begin, mesh, of_start), sharding.split(run, mesh, of_run)

    def start(*arguments):
        # An output that is an input shares its buffer, and donating that would take the caller's array away.
        return placing.held(jax.tree.map(jnp.copy, begin(*arguments)), mesh)

    def onward(*arguments):
        return placing.held(run(*arguments), mesh)

    return jax.jit(start), jax.jit(onward if rows else run, donate_argnums=1)


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
    "minimize",
]
