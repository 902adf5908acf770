"""Algorithms that look at the gradient of one point: those of Optax, Adam among them, and steepest descent."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from jaxviz._checks import known, number
from jaxviz._typing import Number, Scalar, static, symbol
from jaxviz.norms import NORMS, ascent


@symbol
class Optax:
    """Any optax transformation, named by its kind; made by `from_optax`."""

    numbers: Mapping[str, Array]
    kind: Callable[..., optax.GradientTransformation] = static()
    options: tuple[tuple[str, Any], ...] = static(default=())

    def _transformation(self) -> optax.GradientTransformation:
        return self.kind(**self.numbers, **dict(self.options))

    def init(self, z: Any) -> Any:
        """Returns the transformation's own state."""
        return self._transformation().init(z)

    def step(self, memory: Any, z: Any, loss: Scalar, gradient: Any, project: Callable[[Any], Any]) -> Any:
        """Returns the updated and projected point; a non-finite loss ends the run."""
        updates, memory = self._transformation().update(gradient, memory, z)
        return project(optax.apply_updates(z, updates)), memory, ~jnp.isfinite(loss)


def from_optax(kind: Callable[..., optax.GradientTransformation], **arguments: Any) -> Optax:
    """Returns an optax transformation as an optimizer whose numbers may vary without compiling.

    Args:
      kind: The function that makes it, such as `optax.nadam`.
      arguments: Its arguments. Numbers become float32 leaves; anything else (schedules, flags) is part of the
        program, and a new one compiles anew.

    Example:
      >>> from_optax(optax.nadam, learning_rate=0.01, nesterov=True).options
      (('nesterov', True),)
    """
    fixed = {k: v for k, v in arguments.items() if isinstance(v, bool | str | tuple | None) or callable(v)}
    numbers = {k: number(v, k) for k, v in arguments.items() if k not in fixed}
    return Optax(numbers, kind, tuple(sorted(fixed.items())))


def adam(learning_rate: Number = 0.02, *, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8) -> Optax:
    """Returns the Adam optimizer.

    Args:
      learning_rate: In the units of the unknowns: of [0, 1] for pixels.
      b1: Decay of the mean of gradients, in [0, 1).
      b2: Decay of the mean of their squares, in [0, 1).
      eps: Added to the denominator.

    References:
      Kingma, Ba. Adam: A Method for Stochastic Optimization. ICLR 2015.
    """
    number(learning_rate, "learning_rate", 0)
    return from_optax(optax.adam, learning_rate=learning_rate, b1=b1, b2=b2, eps=eps)


def normalized_gradient(rate: Number) -> Optax:
    r"""Returns descent whose steps are of one size in the mean, however large the gradient is.

    .. math:: z_{k+1} = P_C \left( z_k - \alpha \, \frac{g_k}{\mathrm{mean} |g_k|} \right)

    Args:
      rate: α, at least 0, in the units of the unknowns: of [0, 1] for pixels.

    Raises:
      ValueError: If `rate` is negative.

    References:
      Mordvintsev, Olah, Tyka. DeepDream's notebook, 2015.

    Example:
      >>> rule = normalized_gradient(0.5)
      >>> z, slope = jnp.zeros(2), jnp.array([3.0, -1.0])
      >>> rule.step(rule.init(z), z, jnp.float32(1), slope, lambda z: z)[0].tolist()
      [-0.75, 0.25]
    """
    return from_optax(_mean_of_one, learning_rate=number(rate, "rate", 0))


def _mean_of_one(learning_rate: Array) -> optax.GradientTransformation:
    def update(gradient: Any, state: Any, z: Any = None) -> Any:
        size = jnp.abs(ravel_pytree(gradient)[0]).mean()
        scale = -learning_rate / jnp.where(size > 0, size, 1)
        return jax.tree.map(lambda g: scale * g, gradient), state

    return optax.GradientTransformation(lambda z: (), update)


@symbol
class SteepestDescent:
    """Steps of one length along the steepest direction of a norm; made by `steepest_descent`."""

    step_size: Array
    norm: str = static()
    share: float = static(default=0.0)

    def init(self, z: Any) -> tuple[()]:
        """Returns nothing: this algorithm has no memory."""
        return ()

    def step(self, memory: Any, z: Any, loss: Scalar, gradient: Any, project: Callable[[Any], Any]) -> Any:
        """Returns the moved and projected point; finished where the loss is not finite or the gradient 0."""
        g, unravel = ravel_pytree(gradient)
        step = unravel(self.step_size * ascent(self.norm, g, self.share))
        finished = ~jnp.isfinite(loss) | ~jnp.any(g != 0)
        return project(jax.tree.map(jnp.subtract, z, step)), memory, finished


def steepest_descent(step_size: Number, *, norm: str = "linf", share: float = 0.0) -> SteepestDescent:
    r"""Returns steepest descent in a norm: of all steps of length α the one that lowers the loss most.

    .. math:: z_{k+1} = P_C \left( z_k - \alpha \, d_k \right), \quad
              d_k = \mathrm{argmax}_{\lVert d \rVert_p \le 1} d \cdot \nabla L(z_k)

    That is the sign of the gradient for the maximum norm, the gradient made of length 1 for the Euclidean one,
    and the sign of its largest entry alone for the sum norm.

    Args:
      step_size: α, at least 0, in the units of the unknowns: of [0, 1] for pixels.
      norm: "linf", "l2" or "l1".
      share: For the sum norm, the share of entries, those of the largest derivatives, that a step is spread over
        equally [2]; 0 for the largest alone.

    Raises:
      KeyError: If the norm is unknown.
      ValueError: If `step_size` is negative, or `share` not in [0, 1].

    References:
      [1] Boyd, Vandenberghe. Convex Optimization. Cambridge University Press 2004, section 9.4.
      [2] Tramèr, Boneh. Adversarial Training and Robustness for Multiple Perturbations. NeurIPS 2019, algorithm 1.

    Example:
      >>> rule = steepest_descent(0.5)
      >>> rule.step((), jnp.zeros(2), jnp.float32(1), jnp.array([3.0, -0.1]), lambda z: z)[0].tolist()
      [-0.5, 0.5]
    """
    number(share, "share", 0, 1)
    return SteepestDescent(number(step_size, "step_size", 0), known(norm, NORMS, "norm"), float(share))
