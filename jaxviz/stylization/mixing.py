"""Several styles at once: on the way from one to another, and each at its place."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxviz._checks import whole

CORNERS = (2, 4)
"""Styles that a sheet has room for: at the ends of a row, at the corners of a square."""


def between(count: int, steps: int) -> Float[np.ndarray, "g k"]:
    r"""Returns weights of styles on the way from one to the other, or on a square with one at each corner.

    .. math:: w(t) = (1 - t, t), \quad w(s, t) = ((1-s)(1-t), (1-s) t, s (1-t), s t)

    Args:
      count: k, the number of styles: 2, or 4 in the order of reading, from the upper left corner on.
      steps: Pictures in a row, at least 2; s and t go from 0 to 1.

    Returns:
      One row of weights for each picture, [steps, 2] or [steps², 4], row by row; each has the sum 1.

    Raises:
      ValueError: If there are other than 2 or 4 styles, or less than 2 steps.

    References:
      Dumoulin, Shlens, Kudlur. A Learned Representation for Artistic Style. ICLR 2017, section 3.4.

    Example:
      >>> from jaxviz import stylization
      >>> stylization.between(2, 3).tolist()
      [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
      >>> model = stylization.initialize("transformer", jax.random.key(0), styles=("a", "b"), width=4, blocks=1)
      >>> codes, image = model.codes(["a", "b"]), jnp.full((16, 16, 3), 0.5)
      >>> draw = jax.jit(jax.vmap(lambda w: stylization.stylize(model, image, codes, weights=w)))
      >>> draw(stylization.between(2, 3)).shape
      (3, 16, 16, 3)
    """
    if count not in CORNERS:
        raise ValueError(f"there are {count} styles; expected 2 for a row, or 4 for a square")
    t = np.linspace(0, 1, whole(steps, "steps", 2), dtype=np.float32)
    row = np.stack([1 - t, t], -1)
    return row if count == 2 else np.einsum("ia,jb->ijab", row, row).reshape(-1, 4)


def placed(masks: Sequence[Any] | Array | np.ndarray) -> tuple[Float[Array, "k h w"], Float[Array, "h w"]]:
    r"""Returns how much of each style is at each pixel, and how much of the picture is drawn there at all.

    .. math:: w_{kp} = \frac{m_{kp}}{\sum_j m_{jp}}, \quad c_p = \min \left( 1, \sum_j m_{jp} \right)

    Args:
      masks: One a style, [h, w], in [0, 1]: 1 where it goes. Where none goes the weights are equal, and c is 0.

    Returns:
      w, for `stylize(…, weights=w)`, and c, the share of the result in :math:`x + c (y - x)`.

    Raises:
      ValueError: If there is no mask, their sizes differ, or one holds NaN, values out of range, or zeros alone.

    Example:
      >>> from jaxviz import stylization
      >>> weights, share = stylization.placed([np.array([[1, 0.25, 0]]), np.array([[0, 0.25, 0]])])
      >>> weights[0].tolist(), share.tolist()
      ([[1.0, 0.5, 0.5]], [[1.0, 0.5, 0.0]])
    """
    shapes = [tuple(np.shape(mask)) for mask in masks]
    if not shapes or len(set(shapes)) != 1 or len(shapes[0]) != 2:
        raise ValueError(
            f"masks have shapes {[list(shape) for shape in shapes]}; expected [h, w], all the same"
        )
    given = np.stack([np.asarray(mask, np.float32) for mask in masks])
    for k, mask in enumerate(given):
        if not np.isfinite(mask).all() or mask.min() < 0 or mask.max() > 1:
            raise ValueError(f"mask {k} holds NaN or values out of range; expected [0, 1]")
        if not mask.any():
            raise ValueError(f"mask {k} is zero everywhere; give its style a place")
    total = given.sum(0)
    weights = np.where(total > 0, given / np.where(total > 0, total, 1), np.float32(1 / len(given)))
    return jnp.asarray(weights), jnp.asarray(np.minimum(total, 1))
