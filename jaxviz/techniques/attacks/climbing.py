"""The compiled loop of attacks: from one start or several, the best point of all."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxviz import transforms
from jaxviz._checks import number, random_key, whole
from jaxviz._typing import Image, Key, Number
from jaxviz.networks import Network
from jaxviz.norms import NORMS
from jaxviz.optimizers import Optimizer, smoothed
from jaxviz.problem import Problem
from jaxviz.stepping import TRACE, advance, conclude, init
from jaxviz.techniques.attacks.judging import UntilFooled, success
from jaxviz.techniques.classes import adversarial
from jaxviz.techniques.sampling import at_once

MOST_STEPS = TRACE - 1


class Found(NamedTuple):
    """What an attack found, and after how many evaluations of the network, with or without a derivative."""

    image: Image
    queries: Int[Array, ""]


def counted(attack: Callable[..., Found]) -> Any:
    """Returns an attack that returns the image alone; its attribute `told` returns the number of queries too."""

    @functools.wraps(attack)
    def alone(*arguments: Any, **options: Any) -> Image:
        return attack(*arguments, **options).image

    def told(*arguments: Any, **options: Any) -> tuple[Image, dict[str, Any]]:
        found = attack(*arguments, **options)
        return found.image, {"queries": found.queries}

    made: Any = alone
    made.told = told
    made.__annotations__ = attack.__annotations__ | {"return": Image}
    return made


def checked_steps(steps: int) -> int:
    """Returns a number of steps; raises ValueError unless it is whole and from 1 to 1023."""
    if whole(steps, "steps") > MOST_STEPS:
        raise ValueError(f"steps is {steps}; expected at most {MOST_STEPS}")
    return int(steps)


def starts(
    image: Image, epsilon: Number, norm: str, restarts: int, key: Key | int | None
) -> Float[Array, "n h w 3"]:
    """Returns points drawn uniformly from the ball around an image, which the loop clips; for 0 the image alone."""
    x = jnp.asarray(image)
    if whole(restarts, "restarts", 0) == 0:
        return x[None]
    keys = jax.random.split(random_key(0 if key is None else key), restarts)
    drawn = jax.vmap(lambda key: NORMS[norm].sample(key, x.shape, epsilon))(keys)
    return x + drawn


def climb(
    network: Network,
    label: Number,
    problem: Problem,
    points: Float[Array | np.ndarray, "n h w 3"],
    optimizer: Optimizer,
    steps: int,
    *,
    diversity: float | int = 0.0,
    translations: int = 0,
    early_exit: bool = False,
    target: Number | None = None,
    key: Key | int | None = None,
) -> Found:
    """Returns what `climbed` does, with what attacks that climb have in common.

    Args:
      network: As for the attack.
      label: As for the attack.
      problem: From `posing.problem`.
      points: From `starts`.
      optimizer: The attack's.
      steps: Of the optimizer.
      diversity: How often a step sees a smaller copy of the image, in [0, 1]: `transforms.shrunk`.
      translations: Pixels over which derivatives are averaged, at least 0: `optimizers.smoothed`.
      early_exit: Whether the first point that fools the network ends the attack.
      target: As for the attack.
      key: Seeds the diversity.

    Raises:
      ValueError: If a number is out of range, or the attack is to end early where the loss is random: what is
        judged then is not the image itself.
    """
    number(diversity, "diversity", 0, 1)
    if diversity and early_exit:
        raise ValueError("early_exit judges the image as it is; leave it away where there is diversity")
    if whole(translations, "translations", 0):
        optimizer = smoothed(optimizer, translations)
    posed: Problem | UntilFooled = problem
    if diversity:
        posed = dataclasses.replace(problem, transform=transforms.shrunk(probability=diversity))
    if early_exit:
        posed = UntilFooled(problem, adversarial(network, label, target, "margin"))
    return climbed(posed, points, optimizer, steps, random_key(0 if key is None else key))


@jax.jit
def climbed(
    problem: Problem | UntilFooled,
    points: Float[Array | np.ndarray, "n h w 3"],
    optimizer: Optimizer,
    steps: Int[Array, ""] | int,
    key: Key,
) -> Found:
    """Returns the point of lowest loss that so many steps from each of some points lead to.

    The start counts too, and so does the point that the last step leads to: one evaluation more than steps, without
    a derivative. A problem that ends where the network is fooled is evaluated no more from there on, and its later
    starts neither.
    """
    ends = isinstance(problem, UntilFooled)

    def run(point: Image, seed: Key, stop: Array) -> tuple[Image, Array, Array]:
        state = init(problem, point, optimizer, seed)
        if not ends:
            state = conclude(problem, advance(problem, state, steps))
            return state.best, _loss(problem, state), state.evaluations

        def goes_on(state: Any) -> Array:
            return ~state.done & (state.evaluations < steps) & ~stop

        state = jax.lax.while_loop(goes_on, lambda state: advance(problem, state, 1), state)
        state = jax.lax.cond(
            stop | state.done, lambda state: state, lambda state: conclude(problem, state), state
        )
        return state.best, state.best_loss, state.evaluations

    never = jnp.zeros((), bool)
    if len(points) == 1:
        image, _, queries = run(points[0], key, never)
        return Found(image, queries)
    seeds = jax.random.split(key, len(points))
    if ends:

        def next_start(fooled: Array, start: tuple[Image, Key]) -> tuple[Array, Any]:
            point, seed = start
            image, loss, queries = run(point, seed, fooled)
            return fooled | (loss == success(loss)), (image, loss, queries)

        _, (found, losses, queries) = jax.lax.scan(next_start, never, (points, seeds))
    else:
        found, losses, queries = jax.lax.map(
            lambda start: run(start[0], start[1], never), (points, seeds), batch_size=at_once(len(points))
        )
    return Found(found[jnp.argmin(losses)], queries.sum())


def _loss(problem: Problem | UntilFooled, state: Any) -> Array:
    """Returns the loss of the best point, where it is random that of the image as it is."""
    if isinstance(problem, UntilFooled) or not problem.random:
        return jnp.asarray(state.best_loss)
    return dataclasses.replace(problem, transform=None).loss(state.best, state.key)
