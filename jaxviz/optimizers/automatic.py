"""Steepest descent that halves its steps by itself, where they no longer help (Auto-PGD)."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from jaxviz._checks import known, number
from jaxviz._typing import Number, Scalar, static, symbol
from jaxviz.norms import NORMS

FORWARD, ENOUGH = 0.75, 0.75
"""The share of a step that is new, the rest being momentum, and of steps that must have lowered the loss."""
FIRST, SHRINKING, LEAST = 0.22, 0.03, 0.06
"""Of all steps, those before the first look back, by how much fewer each time, and the fewest."""


@symbol
class AutomaticMemory:
    """Where the run stands: the last point, the best with its derivative, the step, and what the last look saw."""

    last: Float[Array, " n"]
    last_loss: Scalar
    best: Float[Array, " n"]
    best_loss: Scalar
    best_gradient: Float[Array, " n"]
    step_size: Scalar
    lowered: Int[Array, ""]
    best_before: Scalar
    halved_before: Bool[Array, ""]
    count: Int[Array, ""]


@symbol
class AutomaticDescent:
    """Made by `automatic_descent`."""

    step_size: Array
    steps: int = static()
    norm: str = static()

    def init(self, z: Any) -> AutomaticMemory:
        """Returns the state before the first evaluation."""
        point = ravel_pytree(z)[0]
        infinite = jnp.asarray(jnp.inf, point.dtype)
        none = jnp.zeros((), jnp.int32)
        return AutomaticMemory(
            last=point,
            last_loss=infinite,
            best=point,
            best_loss=infinite,
            best_gradient=jnp.zeros_like(point),
            step_size=jnp.asarray(self.step_size, point.dtype),
            lowered=none,
            best_before=infinite,
            # The first look has none before it to compare with.
            halved_before=jnp.asarray(True),
            count=none,
        )

    def step(
        self, memory: AutomaticMemory, z: Any, loss: Scalar, gradient: Any, project: Callable[[Any], Any]
    ) -> tuple[Any, AutomaticMemory, Bool[Array, ""]]:
        """Returns the next point; finished where the loss is not finite or its derivative 0."""
        point, unravel = ravel_pytree(z)
        g = ravel_pytree(gradient)[0]
        finished = ~jnp.isfinite(loss) | ~jnp.any(g != 0)
        better = loss < memory.best_loss
        best = jnp.where(better, point, memory.best)
        best_loss = jnp.where(better, loss, memory.best_loss)
        best_gradient = jnp.where(better, g, memory.best_gradient)
        # The start is no step.
        lowered = memory.lowered + ((memory.count > 0) & (loss < memory.last_loss))

        look, since = self._looks(memory.count)
        stuck = ~memory.halved_before & (best_loss == memory.best_before)
        halve = look & ((lowered < ENOUGH * since) | stuck)
        size = jnp.where(halve, memory.step_size / 2, memory.step_size)
        base, slope = jnp.where(halve, best, point), jnp.where(halve, best_gradient, g)

        def allowed(v: Array) -> Array:
            return ravel_pytree(project(unravel(v)))[0]

        ahead = allowed(base - size * NORMS[self.norm].direction(slope))
        forward = jnp.where(memory.count > 0, FORWARD, 1.0)
        moved = allowed(base + forward * (ahead - base) + (1 - forward) * (base - memory.last))
        new = AutomaticMemory(
            last=base,
            last_loss=jnp.where(halve, best_loss, loss),
            best=best,
            best_loss=best_loss,
            best_gradient=best_gradient,
            step_size=size,
            lowered=jnp.where(look, 0, lowered),
            best_before=jnp.where(look, best_loss, memory.best_before),
            halved_before=jnp.where(look, halve, memory.halved_before),
            count=memory.count + 1,
        )
        return unravel(moved), new, finished

    def _looks(self, count: Int[Array, ""]) -> tuple[Bool[Array, ""], Int[Array, ""]]:
        """Returns whether a step looks back, and over how many steps."""
        places = looks(self.steps)
        at = jnp.asarray(places, jnp.int32)
        since = jnp.asarray(np.diff([0, *places]), jnp.int32)
        here = at == count
        return here.any(), jnp.sum(jnp.where(here, since, 0))


def looks(steps: int) -> tuple[int, ...]:
    r"""Returns the steps after which a run of so many looks back, :math:`w_j = \lceil p_j N \rceil`.

    .. math:: p_0 = 0, \quad p_1 = 0.22, \quad p_{j+1} = p_j + \max(p_j - p_{j-1} - 0.03, \; 0.06)

    Example:
      >>> looks(100)
      (22, 41, 57, 70, 80, 87, 93, 99)
    """
    shares = [0.0, FIRST]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - SHRINKING, LEAST))
    # Sums of hundredths round to either side of whole numbers.
    places = [int(np.ceil(round(share * steps, 6))) for share in shares[1:] if share <= 1]
    return tuple(dict.fromkeys(place for place in places if 0 < place <= steps))


def automatic_descent(step_size: Number, steps: int, *, norm: str = "linf") -> AutomaticDescent:
    r"""Returns steepest descent in a norm with momentum, which halves its steps where they no longer help.

    .. math:: y_k = P_C \left( z_k - \eta \, d_k \right), \quad
              z_{k+1} = P_C \left( z_k + 0.75 (y_k - z_k) + 0.25 (z_k - z_{k-1}) \right)

    d as for `steepest_descent`. At a few steps, which `looks` tells, η is halved and the run goes back to its best
    point, if fewer than three quarters of the steps since the last such look lowered the loss, or if η was not
    halved then and no better point was found since.

    Args:
      step_size: η at the start, at least 0; [1] takes twice the radius of the ball.
      steps: N, at least 1: how many there will be.
      norm: "linf" or "l2".

    Raises:
      KeyError: If the norm is unknown.
      ValueError: If `step_size` is negative or `steps` below 1.

    References:
      [1] Croce, Hein. Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free
          Attacks. ICML 2020, algorithm 1.

    Example:
      >>> bowl = lambda z: jnp.sum((z - 0.3) ** 2)
      >>> rule, z = automatic_descent(2.0, 40), jnp.zeros(2)
      >>> memory = rule.init(z)
      >>> step = jax.jit(lambda z, memory: rule.step(memory, z, bowl(z), jax.grad(bowl)(z), lambda z: z))
      >>> for _ in range(40):
      ...     z, memory, _ = step(z, memory)
      >>> float(memory.step_size) < 0.2, float(memory.best_loss) < 0.01
      (True, True)
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}; expected at least 1")
    norms = [name for name in NORMS if name != "l1"]
    return AutomaticDescent(number(step_size, "step_size", 0), int(steps), known(norm, norms, "norm"))
