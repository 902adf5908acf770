"""L-BFGS in compact form, with a safeguard that costs no evaluation."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Bool, Float, Int

from jaxviz._typing import Scalar, static, symbol

SHRINK = 0.25
"""Factor on L-BFGS's step at each rejection in a row."""


@runtime_checkable
class Preconditioner(Protocol):
    """P: a symmetric positive operator that L-BFGS's estimate starts from, learned on the way."""

    def init(self, z: Any) -> Any:
        """Returns what is known before the first step."""

    def learn(self, memory: Any, step: Any, change: Any) -> Any:
        """Returns what is known with one more step and the change of the gradient in it."""

    def apply(self, memory: Any, v: Any) -> Any:
        """Returns P v."""


@symbol
class LBFGSMemory:
    """Where L-BFGS stands: the last good point, the last steps and gradient changes, and their products."""

    point: Float[Array, " n"]
    loss: Scalar
    gradient: Float[Array, " n"]
    scale: Scalar
    steps: Float[Array, "m n"]
    changes: Float[Array, "m n"]
    steps_dot_changes: Float[Array, "m m"]
    gamma: Scalar
    learned: Any
    count: Int[Array, ""]
    rejections: Int[Array, ""]
    restarts: Int[Array, ""]


@symbol
class LBFGS:
    r"""L-BFGS with unit steps, one evaluation each, made safe by accept-or-reject; made by `lbfgs`.

    With steps :math:`s_i = z_{i+1} - z_i` and gradient changes :math:`y_i` of the last m accepted points, R the
    upper triangle of :math:`S^T Y`, D its diagonal, and :math:`H_0` the preconditioner, or :math:`\gamma I` with
    :math:`\gamma = s^T y / y^T y` of the latest,

    .. math:: a = R^{-1} S^T g, \quad r = H_0 (g - Y a), \quad
              H g = r + S R^{-T} \left( D a - Y^T r \right) ,

    which is [2]'s formula in an order that needs :math:`H_0` once, so that it may differ from step to step. It
    takes two passes over the history, as matrix products, where the two-loop recursion needs 4 m vector
    operations one after the other. The next point is :math:`z - H g`.

    A point whose loss is not finite, or above that of the last good point, is rejected: the next lies on the
    way to it, at a quarter of the distance for each rejection in a row. After three the history is
    cleared, and the steps go down the gradient. The first step has length 1.

    References:
      [1] Liu, Nocedal. On the Limited Memory BFGS Method for Large Scale Optimization. Math. Prog. 1989.
      [2] Byrd, Nocedal, Schnabel. Representations of Quasi-Newton Matrices and Their Use in Limited Memory
          Methods. Math. Prog. 1994, theorem 2.2.
    """

    memory: int = static(default=20)
    preconditioner: Preconditioner | None = None

    def init(self, z: Any) -> LBFGSMemory:
        """Returns an empty history at `z`, whose loss counts as infinite until it is evaluated."""
        point = ravel_pytree(z)[0]
        m = self.memory
        return LBFGSMemory(
            point=point,
            loss=jnp.asarray(jnp.inf, point.dtype),
            gradient=jnp.zeros_like(point),
            scale=jnp.ones((), point.dtype),
            steps=jnp.zeros((m, point.size), point.dtype),
            changes=jnp.zeros((m, point.size), point.dtype),
            steps_dot_changes=jnp.zeros((m, m), point.dtype),
            gamma=jnp.ones((), point.dtype),
            learned=() if self.preconditioner is None else self.preconditioner.init(z),
            count=jnp.zeros((), jnp.int32),
            rejections=jnp.zeros((), jnp.int32),
            restarts=jnp.zeros((), jnp.int32),
        )

    def step(
        self, memory: LBFGSMemory, z: Any, loss: Scalar, gradient: Any, project: Callable[[Any], Any]
    ) -> tuple[Any, LBFGSMemory, Bool[Array, ""]]:
        """Returns the next trial point; finished once the gradient is zero or no step gains any more."""
        trial, unravel = ravel_pytree(z)
        g = ravel_pytree(gradient)[0]
        accepted = (loss <= memory.loss) & jnp.isfinite(loss) & jnp.isfinite(_dot(g, g))
        memory = self._remember(memory, accepted, trial, loss, g, unravel)
        g = memory.gradient
        length = jnp.sqrt(_dot(g, g))
        plain = g / jnp.where(length > 0, length, 1)
        newton = self._inverse_hessian_times_gradient(memory, unravel)
        usable = (memory.count > 0) & (_dot(newton, g) > 0) & jnp.isfinite(_dot(newton, newton))
        direction = jnp.where(usable, newton, plain)
        trial = memory.point - memory.scale * direction
        finished = (length == 0) | (memory.scale < 2.0**-24)
        return project(unravel(trial)), memory, finished

    def told(self, memory: LBFGSMemory) -> dict[str, Array]:
        """Returns how many trial points were rejected, and how often that cleared the history."""
        return {"rejections": memory.rejections, "restarts": memory.restarts}

    def _remember(self, memory, accepted, trial, loss, g, unravel) -> LBFGSMemory:
        step, change = trial - memory.point, g - memory.gradient
        curvature, change_squared = _dot(step, change), _dot(change, change)
        curved = curvature > 1e-6 * jnp.sqrt(_dot(step, step) * change_squared)
        stored = accepted & curved & jnp.isfinite(memory.loss)
        slot = memory.count % self.memory
        steps = memory.steps.at[slot].set(jnp.where(stored, step, memory.steps[slot]))
        changes = memory.changes.at[slot].set(jnp.where(stored, change, memory.changes[slot]))
        products = memory.steps_dot_changes.at[slot, :].set(_matmul(changes, step))
        products = products.at[:, slot].set(_matmul(steps, change))
        learned = memory.learned
        if self.preconditioner is not None:
            more = self.preconditioner.learn(learned, unravel(step), unravel(change))
            learned = jax.tree.map(lambda new, old: jnp.where(stored, new, old), more, learned)

        hopeless = memory.scale <= SHRINK**2
        # The start is no trial point.
        rejected = ~accepted & jnp.isfinite(memory.loss)
        return LBFGSMemory(
            point=jnp.where(accepted, trial, memory.point),
            loss=jnp.where(accepted, loss, memory.loss),
            gradient=jnp.where(accepted, g, memory.gradient),
            scale=jnp.where(accepted, 1.0, memory.scale * SHRINK).astype(trial.dtype),
            steps=steps,
            changes=changes,
            steps_dot_changes=jnp.where(stored, products, memory.steps_dot_changes),
            gamma=jnp.where(stored, curvature / change_squared, memory.gamma),
            learned=learned,
            count=jnp.where(accepted, memory.count + stored, jnp.where(hopeless, 0, memory.count)),
            rejections=memory.rejections + rejected,
            restarts=memory.restarts + (rejected & hopeless & (memory.count > 0)),
        )

    def _inverse_hessian_times_gradient(self, memory, unravel) -> Float[Array, " n"]:
        m, g = self.memory, memory.gradient
        latest = (memory.count - 1) % m
        # Slots are a ring; R is triangular only from the oldest pair to the latest.
        order = (latest + 1 + jnp.arange(m)) % m
        filled = jnp.arange(m) >= m - jnp.minimum(memory.count, m)
        both = filled[:, None] & filled[None, :]
        sy = jnp.where(both, memory.steps_dot_changes[order][:, order], 0)
        upper = jnp.triu(sy) + jnp.diag(jnp.where(filled, 0.0, 1.0).astype(g.dtype))

        def in_slots(coefficients):
            return jnp.zeros_like(coefficients).at[order].set(jnp.where(filled, coefficients, 0))

        a = solve_triangular(upper, jnp.where(filled, _matmul(memory.steps, g)[order], 0))
        rest = g - _matmul(in_slots(a), memory.changes)
        if self.preconditioner is None:
            start = memory.gamma * rest
        else:
            start = ravel_pytree(self.preconditioner.apply(memory.learned, unravel(rest)))[0]
        b = solve_triangular(upper, jnp.diag(sy) * a - _matmul(memory.changes, start)[order], trans=1)
        return start + _matmul(in_slots(b), memory.steps)


def _dot(a: Float[Array, " n"], b: Float[Array, " n"]) -> Scalar:
    return jnp.vdot(a, b, precision=jax.lax.Precision.HIGHEST)


def _matmul(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def lbfgs(memory: int = 20, *, preconditioner: Preconditioner | None = None) -> LBFGS:
    """Returns the safeguarded L-BFGS optimizer.

    Args:
      memory: m, pairs that are kept, at least 1. Each costs two images of memory.
      preconditioner: H₀, such as `preconditioners.spectral()`; None for a multiple of the identity.

    Raises:
      ValueError: If `memory` is below 1.
    """
    if memory < 1:
        raise ValueError(f"memory is {memory}; expected at least 1")
    return LBFGS(int(memory), preconditioner)
