"""Pictures moved by a flow, and where a flow can be believed."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Flow = Float[Array, "h w 2"]


def warped(
    image: Float[Array | np.ndarray, "h w c"], moved: Flow, *, sharp: bool = False
) -> Float[Array, "h w c"]:
    """Returns a picture as it looks after a movement, image(p + w(p)), interpolated between pixels.

    Args:
      image: Of any number of channels; what would come from outside of it is its nearest pixel.
      moved: w, [h, w, 2], in pixels, down and to the right; whole numbers give pixels as they are.
      sharp: Whether to interpolate by cubics through four pixels, which may go beyond their values, instead of
        bilinearly: what is moved again and again is not blurred so.

    References:
      Catmull, Rom. A Class of Local Interpolating Splines. Computer Aided Geometric Design, 1974.

    Example:
      >>> from jaxviz import stylization
      >>> right = jnp.broadcast_to(jnp.array([0.0, 1.0]), (1, 3, 2))
      >>> stylization.warped(jnp.arange(3.0).reshape(1, 3, 1), right)[0, :, 0]
      Array([1., 2., 2.], dtype=float32)
    """
    h, w = image.shape[:2]
    picture = jnp.asarray(image)
    y = jnp.clip(jnp.arange(h)[:, None] + moved[..., 0], 0, h - 1)
    x = jnp.clip(jnp.arange(w)[None] + moved[..., 1], 0, w - 1)
    top, left = jnp.floor(y), jnp.floor(x)
    taps = _cubic if sharp else _linear
    total = jnp.zeros(())
    for i, down in taps(y - top):
        row = jnp.clip(top.astype(int) + i, 0, h - 1)
        for j, across in taps(x - left):
            column = jnp.clip(left.astype(int) + j, 0, w - 1)
            total = total + (down * across)[..., None] * picture[row, column]
    return total


def _linear(t: Array) -> list[tuple[int, Array]]:
    return [(0, 1 - t), (1, t)]


def _cubic(t: Array) -> list[tuple[int, Array]]:
    return [
        (-1, ((2 - t) * t - 1) * t / 2),
        (0, ((3 * t - 5) * t * t + 2) / 2),
        (1, ((4 - 3 * t) * t + 1) * t / 2),
        (2, (t - 1) * t * t / 2),
    ]


def visible(moved: Flow, back: Flow) -> Float[Array, "h w"]:
    r"""Returns 1 where what a picture shows was seen in the one before, 0 where it was hidden or outside of it.

    Hidden is where the movement back does not lead to where it came from:

    .. math:: |w + \hat w|^2 > 0.01 (|w|^2 + |\hat w|^2) + 0.5, \quad \hat w = \hat w(p + w(p))

    Args:
      moved: w, by `flow(previous, current)`.
      back: ŵ, by `flow(current, previous)`.

    References:
      Sundaram, Brox, Keutzer. Dense Point Trajectories by GPU-Accelerated Large Displacement Optical Flow. ECCV
      2010.
      Ruder, Dosovitskiy, Brox. Artistic Style Transfer for Videos. GCPR 2016, eq. 5.
    """
    h, w = moved.shape[:2]
    there = warped(back, moved)

    def length(x: Array) -> Array:
        return jnp.sum(jnp.square(x), -1)

    same = length(moved + there) <= 0.01 * (length(moved) + length(there)) + 0.5
    y, x = jnp.arange(h)[:, None] + moved[..., 0], jnp.arange(w)[None] + moved[..., 1]
    inside = (y > -1) & (y < h) & (x > -1) & (x < w)
    return (same & inside).astype(jnp.float32)
