"""The compiled loop of attacks: from one start or several, the best point of all."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxviz._checks import random_key, whole
from jaxviz._typing import Image, Key, Number
from jaxviz.norms import NORMS
from jaxviz.optimization import TRACE, advance, init
from jaxviz.optimizers import Optimizer
from jaxviz.problem import Problem
from jaxviz.techniques.sampling import at_once

MOST_STEPS = TRACE - 1


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


@jax.jit
def climbed(
    problem: Problem, points: Float[Array, "n h w 3"], optimizer: Optimizer, steps: Int[Array, ""] | int
) -> Image:
    """Returns the point of lowest loss that so many steps from each of some points lead to.

    The start and the point that the last step leads to count too, which makes one evaluation more than steps.
    """

    def run(point: Image) -> tuple[Image, Array]:
        state = init(problem, point, optimizer, jax.random.key(0))
        state = advance(problem, state, steps + 1)
        return state.best, state.best_loss

    if len(points) == 1:
        return run(points[0])[0]
    found, losses = jax.lax.map(run, points, batch_size=at_once(len(points)))
    return found[jnp.argmin(losses)]
