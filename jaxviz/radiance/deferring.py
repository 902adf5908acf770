"""Deferred back-propagation: the gradient of a loss of a whole picture, in the memory of a patch of it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Render = Callable[[Any, Int[Array, " n"]], tuple[Float[Array, "n 3"], Any]]
Loss = Callable[[Float[Array, "h w 3"]], tuple[Float[Array, ""], Any]]


def spread(pixels: int, patch: int) -> Int[Array, "k n"]:
    """Returns the numbers of all pixels in patches of equal size, each spread over the picture.

    The last patches are filled up by numbers beyond the last one. What lies in space that is not empty is so about
    as much in each.

    Example:
      >>> spread(5, 2).tolist()
      [[0, 3], [1, 4], [2, 5]]
    """
    count = -(-pixels // patch)
    return jnp.arange(count * patch).reshape(patch, count).T


def picture(
    render: Render, parameters: Any, shape: tuple[int, int], patch: int
) -> tuple[Float[Array, "h w 3"], Any]:
    """Returns what is rendered, patch by patch, and what is told of each patch, stacked.

    Args:
      render: From parameters and numbers of pixels, row by row, to their colors and more.
      parameters: Of what is rendered.
      shape: h and w.
      patch: Pixels at a time.
    """
    h, w = shape

    def rendered(_: None, index: Array) -> tuple[None, tuple[Array, Any]]:
        return None, render(parameters, jnp.minimum(index, h * w - 1))

    _, (colors, told) = jax.lax.scan(rendered, None, spread(h * w, patch))
    return colors.swapaxes(0, 1).reshape(-1, 3)[: h * w].reshape(h, w, 3), told


def deferred(
    loss: Loss, render: Render, parameters: Any, shape: tuple[int, int], *, patch: int
) -> tuple[tuple[Float[Array, ""], Any], Any]:
    r"""Returns the loss of a whole picture with what it tells, and its gradient by parameters.

    .. math:: \nabla_\theta L(x(\theta)) = \sum_p J_p(\theta)^\top \, \nabla_{x_p} L, \qquad
              J_p = \partial x_p / \partial \theta

    The picture x is rendered without a derivative; the loss gives its gradient by each pixel; then patch p after
    patch is rendered again, and what its pixels ask for is pulled back and added up. Of the rendering no more is
    kept than of one patch.

    Args:
      loss: From the picture, [h, w, 3], to a scalar and more.
      render: As of `picture`; the same pixels must give the same colors.
      parameters: θ.
      shape: h and w.
      patch: Pixels at a time.

    References:
      Zhang, Kolkin, Bi, Luan, Xu, Shechtman, Snavely. ARF: Artistic Radiance Fields. ECCV 2022, section 4.3.
    """
    h, w = shape
    whole, _ = picture(render, jax.lax.stop_gradient(parameters), shape, patch)
    value, slope = jax.value_and_grad(loss, has_aux=True)(whole)
    flat = jnp.concatenate([slope.reshape(-1, 3), jnp.zeros((1, 3))])

    def pulled(total: Any, index: Array) -> tuple[Any, None]:
        pixels = jnp.minimum(index, h * w - 1)
        _, back = jax.vjp(lambda given: render(given, pixels)[0], parameters)
        # What fills the last patch up asks for nothing.
        (found,) = back(flat[jnp.minimum(index, h * w)])
        return jax.tree.map(jnp.add, total, found), None

    gradient, _ = jax.lax.scan(pulled, jax.tree.map(jnp.zeros_like, parameters), spread(h * w, patch))
    return value, gradient
