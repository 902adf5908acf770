"""How alike pictures of a scene are from several sides: one is warped into the view of another by its depth."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxviz._typing import AnyImage, Image
from jaxviz.radiance.models import Seen
from jaxviz.radiance.scenes import Cameras

OPAQUE = 0.9
"""How much there must be at a pixel, for its depth to be that of a surface."""
NEAR = 0.02
"""By how much of its distance a point may lie before or behind what another camera sees there."""


@jax.jit
def warped(
    image: Image, seen: Seen, other: Seen, camera: Cameras, to: Cameras
) -> tuple[Float[Array, "_ _ 3"], Bool[Array, "_ _"]]:
    """Returns a picture as it looks from another camera, and where that is known.

    What another camera sees at a pixel is a point of space; the picture's color there is that of the pixel on which
    the point falls, between pixels interpolated. It is known where both views are opaque, the point is before the
    picture's camera, within its picture, and about as far from it as what it sees there: else something hides it.

    Args:
      image: Taken by `camera`, [h, w, 3].
      seen: Depth and opacity of that view.
      other: Those of the view of `to`.
      camera: One camera.
      to: The other.
    """
    h, w = to.size
    row, column = jnp.mgrid[:h, :w]
    lens, pose = jnp.asarray(to.lenses)[0], jnp.asarray(to.poses)[0]
    inside = jnp.stack(
        [(column + 0.5 - lens[2]) / lens[0], -(row + 0.5 - lens[3]) / lens[1], -jnp.ones((h, w))], -1
    )
    looks = jnp.sum(pose[:, :3] * inside[..., None, :], -1)
    looks /= jnp.linalg.norm(looks, axis=-1, keepdims=True)
    points = pose[:, 3] + jnp.asarray(other.depth)[..., None] * looks
    lens, pose = jnp.asarray(camera.lenses)[0], jnp.asarray(camera.poses)[0]
    apart = points - pose[:, 3]
    local = jnp.sum(pose[:, :3] * apart[..., None], -2)
    ahead = jnp.maximum(-local[..., 2], 1e-6)
    x = lens[0] * local[..., 0] / ahead + lens[2] - 0.5
    y = -lens[1] * local[..., 1] / ahead + lens[3] - 0.5
    height, width = camera.size
    within = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1) & (local[..., 2] < 0)
    color = _between(jnp.asarray(image), y, x)
    nearest = (
        jnp.clip(jnp.round(y), 0, height - 1).astype(int),
        jnp.clip(jnp.round(x), 0, width - 1).astype(int),
    )
    distance = jnp.linalg.norm(apart, axis=-1)
    alike = jnp.abs(jnp.asarray(seen.depth)[nearest] - distance) < NEAR * distance
    opaque = (jnp.asarray(seen.opacity)[nearest] > OPAQUE) & (jnp.asarray(other.opacity) > OPAQUE)
    return color, within & alike & opaque


def _between(image: Array, y: Array, x: Array) -> Array:
    h, w = image.shape[:2]
    top, left = jnp.clip(jnp.floor(y), 0, h - 1), jnp.clip(jnp.floor(x), 0, w - 1)
    total = jnp.zeros((*y.shape, 3))
    for i in (0, 1):
        for j in (0, 1):
            share = jnp.abs(1 - i - (y - top)) * jnp.abs(1 - j - (x - left))
            rows = jnp.clip(top + i, 0, h - 1).astype(int)
            columns = jnp.clip(left + j, 0, w - 1).astype(int)
            total += share[..., None] * image[rows, columns]
    return total


def consistency(
    pictures: Sequence[AnyImage],
    seen: Sequence[Seen],
    cameras: Cameras,
    apart: int = 1,
    *,
    distance: Callable[[Any, Any], float] | None = None,
) -> dict[str, float]:
    r"""Returns how much pictures of a scene differ from those taken `apart` cameras later, where both see the same.

    .. math:: \sqrt{\overline{(W(x_{k + n}) - x_k)^2}}

    with the mean over known pixels of all pairs, and W as `warped`; zero for pictures that are the same from all
    sides, up to interpolation.

    Args:
      pictures: x, one for each camera, [h, w, 3], in [0, 1].
      seen: Depth and opacity of each camera.
      cameras: In their order along a path.
      apart: n.
      distance: Of two pictures, such as LPIPS; where nothing is known both have the second one's pixels.

    Returns:
      "rmse"; "distance", the mean over pairs, where one is asked for; "known", the share of pixels that are.

    Raises:
      ValueError: If there are not more cameras than `apart`, or no pixel is known.
    """
    count = cameras.count
    if not 1 <= apart < count:
        raise ValueError(f"apart is {apart}; expected 1 to {count - 1}, for {count} cameras")
    squares, pixels, distances, known = 0.0, 0, [], []
    for k in range(count - apart):
        there = k + apart
        moved, mask = warped(
            jnp.asarray(pictures[there]),
            seen[there],
            seen[k],
            cameras[there : there + 1],
            cameras[k : k + 1],
        )
        here, where = np.asarray(pictures[k]), np.asarray(mask)
        known.append(float(where.mean()))
        if not where.any():
            continue
        squares += float(np.sum((np.asarray(moved)[where] - here[where]) ** 2))
        pixels += 3 * int(where.sum())
        if distance is not None:
            distances.append(distance(np.where(where[..., None], moved, here), here))
    if not pixels:
        raise ValueError("no pixel of one view is seen in another; expected views of the same things")
    told = {} if distance is None else {"distance": float(np.mean(distances))}
    return {"rmse": float(np.sqrt(squares / pixels)), **told, "known": float(np.mean(known))}
