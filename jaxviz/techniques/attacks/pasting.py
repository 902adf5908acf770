r"""A patch on a picture, at any place, size and angle: what lies under its mask is covered, all else untouched.

.. math:: x'_q = (1 - m(A q)) \, x_q + m(A q) \, z(A q)

with A the affine map from pixels of the picture to those of the patch, and values between pixels bilinear.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxviz._checks import concrete, known, number, random_key
from jaxviz._checks import image as checked_image
from jaxviz._typing import Image, Key, Number, symbol

SHAPES = ("circle", "square")
SCALE, ROTATION = (0.2, 0.5), 22.5


class Patch(NamedTuple):
    """A patch: a small picture, and where it covers what it is pasted on.

    Attributes:
      pixels: RGB, [p, p, 3], in [0, 1].
      mask: [p, p], from 0, where it is transparent, to 1.
    """

    pixels: Float[Array | np.ndarray, "p p 3"]
    mask: Float[Array | np.ndarray, "p p"]


@symbol
class Pasted:
    """The change of a picture by a patch of given mask: drawn at random are place, scale and angle.

    Attributes:
      mask: Of the patch, [p, p].
      low: The smallest share of the picture's shorter side.
      high: The largest.
      rotation: The largest angle to either side, in degrees.
    """

    mask: Float[Array, "p p"]
    low: Array
    high: Array
    rotation: Array

    def __call__(self, key: Key, z: Float[Array, "p p 3"], image: Image) -> Image:
        """Returns the picture with the patch on it."""
        sized, turned, placed = jax.random.split(key, 3)
        scale = jax.random.uniform(sized, (), jnp.float32, self.low, self.high)
        angle = jax.random.uniform(turned, (), jnp.float32, -self.rotation, self.rotation)
        place = drawn_place(placed, image.shape[:2], self.mask, scale, angle)
        return pasted(image, Patch(z, self.mask), place, scale, angle)


def mask_of(shape: str, size: int) -> Float[np.ndarray, "p p"]:
    """Returns the mask of a patch: ones, or a disk, at whose rim a pixel counts by how much of it lies inside."""
    if known(shape, SHAPES, "shape of a patch") == "square":
        return np.ones((size, size), np.float32)
    steps = np.arange(size) - (size - 1) / 2
    distance = np.hypot(steps[:, None], steps)
    return np.clip(size / 2 - distance + 0.5, 0, 1).astype(np.float32)


def pasted(image: Image, patch: Patch, place: Array, scale: Array, angle: Array) -> Image:
    """Returns a picture with a patch on it, of arguments that are checked; `place` is its middle, [2]."""
    h, w = image.shape[:2]
    side = len(patch.mask)
    zoom = side / (scale * min(h, w))
    rows, columns = jnp.arange(h)[:, None] - place[0], jnp.arange(w) - place[1]
    cos, sin = jnp.cos(jnp.deg2rad(angle)), jnp.sin(jnp.deg2rad(angle))
    seen = [zoom * (cos * rows + sin * columns), zoom * (cos * columns - sin * rows)]
    seen = [values + (side - 1) / 2 for values in seen]

    def sampled(plane: Array, beyond: str) -> Array:
        return jax.scipy.ndimage.map_coordinates(plane, seen, 1, mode=beyond)

    cover = sampled(jnp.asarray(patch.mask), "constant")[..., None]
    colors = jax.vmap(lambda plane: sampled(plane, "nearest"), 2, 2)(jnp.asarray(patch.pixels))
    return (1 - cover) * image + cover * colors


def drawn_place(
    key: Key, shape: tuple[int, ...], mask: Float[Array | np.ndarray, "p p"], scale: Array, angle: Array
) -> Float[Array, "2"]:
    """Returns a random middle, row and column, at which a patch lies in a picture as a whole.

    Where it has no room, down or across, it is the picture's middle.
    """
    side = len(mask)
    steps = jnp.arange(side) - (side - 1) / 2
    cos, sin = jnp.cos(jnp.deg2rad(angle)), jnp.sin(jnp.deg2rad(angle))
    turned = jnp.stack([cos * steps[:, None] - sin * steps, cos * steps + sin * steps[:, None]])
    reach = jnp.max(jnp.where(mask > 0, jnp.abs(turned), 0), (1, 2)) + 0.5
    reach = reach * scale * min(shape) / side
    sizes = jnp.asarray(shape, jnp.float32)
    room = jnp.maximum(sizes - 2 * reach, 0)
    return (sizes - 1) / 2 + room * jax.random.uniform(key, (2,), jnp.float32, -0.5, 0.5)


def paste(
    image: Image,
    patch: Patch,
    *,
    place: Any = None,
    scale: Number = 0.4,
    angle: Number = 0.0,
    key: Key | int | None = None,
) -> Image:
    r"""Returns a picture with a patch on it: covered where the mask is, untouched elsewhere.

    .. math:: x'_q = (1 - m(A q)) \, x_q + m(A q) \, z(A q)

    with A the affine map from pixels of the picture to those of the patch. Values between pixels are bilinear, so a
    patch that is shown much smaller than it is loses pixels. Differentiable; for a batch, `jax.vmap`.

    Args:
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      patch: z and m, such as `patch` returns.
      place: Row and column of the patch's middle, in pixels of the picture; None for a random place at which it
        lies in the picture as a whole, or without a key the picture's middle.
      scale: The patch's side as a share of the picture's shorter side, above 0 and at most 1.
      angle: By which it is turned, in degrees counterclockwise.
      key: A random key, or a seed, that draws the place; None for none.

    Returns:
      The picture, [h, w, 3], in [0, 1].

    Raises:
      ValueError: If the image or the patch is none, a number is out of range, or a place and a key are given.

    References:
      Brown, Mané, Roy, Abadi, Gilmer. Adversarial Patch. NeurIPS Workshop 2017, section 2: the operator A.

    Example:
      >>> patch = jaxviz.attacks.Patch(np.ones((8, 8, 3)), np.ones((8, 8)))
      >>> image = jaxviz.attacks.paste(jnp.zeros((16, 24, 3)), patch, scale=0.5, place=(3.5, 7.5))
      >>> float(image.sum()) / 3, image[:8, 4:12].min().item()
      (64.0, 1.0)
    """
    x, checked = checked_image(image), checked_patch(patch)
    size = number(scale, "scale", 1e-3, 1)
    turn = number(angle, "angle", -360, 360)
    if place is not None and key is not None:
        raise ValueError("place and key are both given; take one: a key draws the place")
    if place is not None:
        middle = jnp.asarray(place, jnp.float32)
        if middle.shape != (2,):
            raise ValueError(f"place has shape {list(middle.shape)}; expected a row and a column")
    elif key is not None:
        middle = drawn_place(random_key(key), x.shape[:2], checked.mask, size, turn)
    else:
        middle = (jnp.asarray(x.shape[:2], jnp.float32) - 1) / 2
    found: Image = _pasted(x, checked, middle, size, turn)
    return found


_pasted = jax.jit(pasted)


def checked_patch(patch: Any) -> Patch:
    """Returns a patch as float32; raises ValueError unless it is a square picture with a mask of its size."""
    if not isinstance(patch, tuple | list) or len(patch) != 2:
        raise ValueError(f"patch is a {type(patch).__name__}; expected a Patch: pixels and mask")
    pixels, mask = checked_image(patch[0], "patch.pixels"), jnp.asarray(patch[1], jnp.float32)
    if pixels.shape[0] != pixels.shape[1] or mask.shape != pixels.shape[:2]:
        raise ValueError(
            f"patch has pixels of shape {list(pixels.shape)} and a mask of {list(mask.shape)}; "
            "expected [p, p, 3] and [p, p]"
        )
    if concrete(mask) and not bool(((mask >= 0) & (mask <= 1)).all()):
        raise ValueError("patch.mask has values outside [0, 1], from transparent to covering")
    return Patch(pixels, mask)


def checked_scale(scale: Any) -> tuple[Array, Array]:
    """Returns the smallest and the largest share of the side; raises ValueError unless there are two in order."""
    if np.shape(scale) != (2,):
        raise ValueError(f"scale is {scale}; expected two shares of the shorter side, such as (0.2, 0.5)")
    low, high = (number(value, "scale", 1e-3, 1) for value in scale)
    if concrete(low) and concrete(high) and float(low) > float(high):
        raise ValueError(f"scale is {tuple(map(float, scale))}; expected the smallest share first")
    return low, high
