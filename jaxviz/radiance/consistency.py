"""How alike pictures of a scene are from several sides: one is warped into the view of another by its depth."""

from collections.abc import Callable, Iterator, Sequence
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

    What another camera sees at a pixel is a point of space; the picture's color there is interpolated between the
    four pixels around the place where the point is seen. It is known where both views are opaque, the point is
    before the picture's camera, within its picture, and about as far from it as what is seen at each of the four:
    else something hides it, or begins beside it.

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
    distance = jnp.linalg.norm(apart, axis=-1)
    known = within & (jnp.asarray(other.opacity) > OPAQUE)
    color = jnp.zeros((h, w, 3))
    for share, place in _around(y, x, camera.size):
        color += share[..., None] * jnp.asarray(image)[place]
        alike = jnp.abs(jnp.asarray(seen.depth)[place] - distance) < NEAR * distance
        known &= alike & (jnp.asarray(seen.opacity)[place] > OPAQUE)
    return color, known


def _around(y: Array, x: Array, size: tuple[int, int]) -> Iterator[tuple[Array, tuple[Array, Array]]]:
    """Yields for each of the four pixels around places its share, and where it is."""
    h, w = size
    top, left = jnp.clip(jnp.floor(y), 0, h - 2), jnp.clip(jnp.floor(x), 0, w - 2)
    for i in (0, 1):
        for j in (0, 1):
            share = jnp.abs(1 - i - (y - top)) * jnp.abs(1 - j - (x - left))
            yield share, ((top + i).astype(int), (left + j).astype(int))


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
