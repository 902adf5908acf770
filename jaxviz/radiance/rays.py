"""Rays: from pixels of a pinhole camera, through a box, and in normalized device coordinates."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxviz._typing import symbol
from jaxviz.radiance.scenes import Cameras, Space

FLOOR = 1e-9


@symbol
class Rays:
    """Half-lines o + t d, seen from t = `near` to t = `far`; nothing where `far` is not above `near`.

    Attributes:
      origins: o, [n, 3].
      directions: d, [n, 3]; of length 1 unless the space is a warped one, where t goes from 0 to 1.
      looks: [n, 3], unit vectors along which a camera looks, in the world's coordinates.
      near: [n].
      far: [n].
    """

    origins: Float[Array, "n 3"]
    directions: Float[Array, "n 3"]
    looks: Float[Array, "n 3"]
    near: Float[Array, " n"]
    far: Float[Array, " n"]


@jax.jit
def of_pixels(
    cameras: Cameras, space: Space, view: Int[Array, " n"], row: Int[Array, " n"], column: Int[Array, " n"]
) -> Rays:
    r"""Returns the rays through the middles of pixels.

    .. math:: d = R \left( \frac{x + 1/2 - c_x}{f_x}, -\frac{y + 1/2 - c_y}{f_y}, -1 \right)

    Args:
      cameras: Poses (R, o) and lenses (f, c).
      space: Whose box the rays are cut by.
      view: [n], which camera.
      row: [n], y.
      column: [n], x.
    """
    poses, lenses = jnp.asarray(cameras.poses)[view], jnp.asarray(cameras.lenses)[view]
    x = (column + 0.5 - lenses[:, 2]) / lenses[:, 0]
    y = (row + 0.5 - lenses[:, 3]) / lenses[:, 1]
    inside = jnp.stack([x, -y, -jnp.ones_like(x)], 1)
    directions = jnp.sum(poses[:, :, :3] * inside[:, None, :], 2)
    return between(poses[:, :, 3], directions, space)


def between(origins: Float[Array, "n 3"], directions: Float[Array, "n 3"], space: Space) -> Rays:
    """Returns rays in the coordinates of a space, cut by its box."""
    looks = directions / jnp.linalg.norm(directions, axis=1, keepdims=True)
    if space.forward:
        origins, directions = warped(origins, directions, jnp.asarray(space.warp))
        first = jnp.zeros(len(origins))
    else:
        directions, first = looks, jnp.broadcast_to(jnp.asarray(space.near), len(origins))
    near, far = _cut(origins, directions, jnp.asarray(space.box))
    near = jnp.maximum(near, first)
    return Rays(origins, directions, looks, near, jnp.minimum(far, 1.0) if space.forward else far)


def _cut(origins: Array, directions: Array, box: Array) -> tuple[Array, Array]:
    # A ray along a face has no crossing with it, and neither bound may be NaN.
    slope = jnp.where(jnp.abs(directions) < FLOOR, FLOOR, directions)
    low, high = (box[0] - origins) / slope, (box[1] - origins) / slope
    return jnp.minimum(low, high).max(1), jnp.maximum(low, high).min(1)


@jax.jit
def warped(
    origins: Float[Array, "n 3"], directions: Float[Array, "n 3"], warp: Float[Array, "3"]
) -> tuple[Float[Array, "n 3"], Float[Array, "n 3"]]:
    r"""Returns rays in normalized device coordinates: what is ahead of a camera at the origin becomes a cube.

    .. math:: \pi(p) = \left( -a_x \frac{p_x}{p_z}, -a_y \frac{p_y}{p_z}, 1 + \frac{2 n}{p_z} \right)

    A ray that starts on the plane z = -n goes to :math:`\pi(o) + t (\pi(\infty) - \pi(o))`, t from 0 to 1, where
    t grows with disparity: 1 is infinitely far.

    Args:
      origins: In the world's coordinates.
      directions: With a negative z.
      warp: (a_x, a_y, n).

    References:
      Mildenhall, Srinivasan, Tancik, Barron, Ramamoorthi, Ng. NeRF: Representing Scenes as Neural Radiance Fields
      for View Synthesis. ECCV 2020, appendix C.

    Example:
      >>> o, d = warped(jnp.zeros((1, 3)), jnp.array([[0.0, 0.0, -1.0]]), jnp.array([1.0, 1.0, 1.0]))
      >>> o.tolist(), (o + d).tolist()
      ([[0.0, 0.0, -1.0]], [[0.0, 0.0, 1.0]])
    """
    z = jnp.minimum(directions[:, 2:], -FLOOR)
    starts = origins - (origins[:, 2:] + warp[2]) / z * directions
    begin = _warped_points(starts, warp)
    end = jnp.stack(
        [
            -warp[0] * directions[:, 0] / z[:, 0],
            -warp[1] * directions[:, 1] / z[:, 0],
            jnp.ones(len(origins)),
        ],
        1,
    )
    return begin, end - begin


def _warped_points(points: Array, warp: Array) -> Array:
    flat = -warp[:2] * points[:, :2] / points[:, 2:]
    return jnp.concatenate([flat, 1 + 2 * warp[2] / points[:, 2:]], 1)


@jax.jit
def unwarped(points: Float[Array, "n 3"], space: Space) -> Float[Array, "n 3"]:
    """Returns points of a space's coordinates in the world's: the inverse of π; what is infinitely far is far."""
    if not space.forward:
        return points
    warp = jnp.asarray(space.warp)
    z = 2 * warp[2] / jnp.minimum(points[:, 2] - 1, -1e-4)
    return jnp.stack([-points[:, 0] * z / warp[0], -points[:, 1] * z / warp[1], z], 1)


def whole(cameras: Cameras, space: Space, index: Int[Array, " n"]) -> Rays:
    """Returns the rays of pixels that are counted through all views, row by row."""
    h, w = cameras.size
    return of_pixels(cameras, space, index // (h * w), index // w % h, index % w)


def enclosing(cameras: Cameras, warp: np.ndarray) -> np.ndarray:
    """Returns the box, [2, 3], of all that forward-facing cameras see, in normalized device coordinates."""
    h, w = cameras.size
    space = Space(np.array([[-1e3] * 3, [1e3] * 3], np.float32), np.zeros((), np.float32), warp, True, "none")
    corners = jnp.asarray([(k, y, x) for k in range(cameras.count) for y in (0, h - 1) for x in (0, w - 1)])
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        rays = of_pixels(cameras, space, *corners.T)
        ends = np.concatenate([rays.origins, rays.origins + rays.directions])
    margin = 0.02 * np.ptp(ends, axis=0)
    low, high = ends.min(0) - margin, ends.max(0) + margin
    return np.stack([np.append(low[:2], -1), np.append(high[:2], 1)]).astype(np.float32)
