"""t: random changes of an image, over which a loss is averaged: what survives them is no luck of single pixels.

Each is a record (key, image) → image whose numbers may vary without compiling. Sizes are those of the input,
except for `jitter` and `padded`, which say what they make.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._checks import concrete, number, whole
from jaxviz._typing import AnyImage, Key, Number, Transform, static, symbol


@symbol
class Jitter:
    """Made by `jitter`."""

    pixels: int = static()

    def __call__(self, key: Key, image: AnyImage) -> AnyImage:
        """Returns a part of the image."""
        h, w = (size - self.pixels for size in image.shape[:2])
        if min(h, w) < 1:
            raise ValueError(
                f"jitter by {self.pixels} pixels leaves nothing of {image.shape[0]}×{image.shape[1]}"
            )
        top, left = jax.random.randint(key, (2,), 0, self.pixels + 1)
        return jax.lax.dynamic_slice(jnp.asarray(image), (top, left, jnp.zeros_like(top)), (h, w, 3))


@symbol
class Roll:
    """Made by `roll`."""

    pixels: int = static()

    def __call__(self, key: Key, image: AnyImage) -> AnyImage:
        """Returns the shifted image."""
        shift = jax.random.randint(key, (2,), -self.pixels, self.pixels + 1)
        return jnp.roll(image, shift, (0, 1))


@symbol
class Padded:
    """Made by `padded`."""

    value: Array
    pixels: int = static()

    def __call__(self, key: Key, image: AnyImage) -> AnyImage:
        """Returns the larger image."""
        wide = ((self.pixels, self.pixels), (self.pixels, self.pixels), (0, 0))
        return jnp.pad(jnp.asarray(image), wide, constant_values=self.value)


@symbol
class Affine:
    """Made by `scale` and `rotate`."""

    low: Array
    high: Array
    kind: str = static()

    def __call__(self, key: Key, image: AnyImage) -> AnyImage:
        """Returns the image as it is seen, bilinearly."""
        drawn = jax.random.uniform(key, (), jnp.float32, self.low, self.high)
        if self.kind == "scale":
            return _seen(image, jnp.eye(2) / drawn)
        turn = jnp.deg2rad(drawn)
        cos, sin = jnp.cos(turn), jnp.sin(turn)
        return _seen(image, jnp.array([[cos, sin], [-sin, cos]]))


@symbol
class Shrunk:
    """Made by `shrunk`."""

    low: Array
    probability: Array

    def __call__(self, key: Key, image: AnyImage) -> AnyImage:
        """Returns the image as it is, or smaller on black."""
        size, place, whether = jax.random.split(key, 3)
        factor = jax.random.uniform(size, (), jnp.float32, self.low, 1.0)
        sides = jnp.array(image.shape[:2], jnp.float32)
        corner = jax.random.uniform(place, (2,)) * (1 - factor) * sides
        image = jnp.asarray(image)
        smaller = jax.image.scale_and_translate(
            image, image.shape, (0, 1), jnp.stack([factor, factor]), corner, "linear", antialias=False
        )
        return jnp.where(jax.random.bernoulli(whether, self.probability), smaller, image)


@symbol
class ResizedCrop:
    """Made by `resized_crop`."""

    low: Array
    high: Array
    ratio: Array

    def __call__(self, key: Key, image: AnyImage) -> AnyImage:
        """Returns a part of the image, in the image's size."""
        size, shape, place = jax.random.split(key, 3)
        area = jax.random.uniform(size, (), jnp.float32, self.low, self.high)
        turned = jnp.exp(jnp.log(self.ratio) * jax.random.uniform(shape, (), minval=-1.0, maxval=1.0))
        sides = jnp.minimum(jnp.sqrt(jnp.stack([area / turned, area * turned])), 1)
        whole = jnp.array(image.shape[:2], jnp.float32)
        corner = jax.random.uniform(place, (2,)) * (1 - sides) * whole
        image = jnp.asarray(image)
        return jax.image.scale_and_translate(
            image, image.shape, (0, 1), 1 / sides, -corner / sides, "linear", antialias=False
        )


@symbol
class Composed:
    """Made by `compose`."""

    transforms: tuple[Transform, ...]

    def __call__(self, key: Key, image: AnyImage) -> AnyImage:
        """Returns what all make of the image, one after the other."""
        for k, transform in enumerate(self.transforms):
            image = transform(jax.random.fold_in(key, k), image)
        return image


def _seen(image: AnyImage, inverse: Float[Array, "2 2"]) -> AnyImage:
    """Returns an image under a linear map around its middle; beyond the border its last pixels go on."""
    middle = jnp.array([(size - 1) / 2 for size in image.shape[:2]], jnp.float32)
    rows, columns = (jnp.arange(size, dtype=jnp.float32) for size in image.shape[:2])
    place = jnp.stack(jnp.meshgrid(rows, columns, indexing="ij"), -1) - middle
    place = jnp.einsum("ij,hwj->ihw", inverse, place, precision="highest") + middle[:, None, None]

    def channel(values: Array) -> Array:
        return jax.scipy.ndimage.map_coordinates(values, list(place), 1, mode="nearest")

    return jax.vmap(channel, 2, 2)(jnp.asarray(image))


def jitter(pixels: int) -> Jitter:
    """Returns the transform that cuts a part at a random place, so many pixels smaller, down and across.

    Args:
      pixels: At least 0, below the image's sides.

    Raises:
      ValueError: If `pixels` is negative; when called, if nothing is left of the image.

    References:
      Olah, Mordvintsev, Schubert. Feature Visualization. Distill 2017, on transformation robustness.

    Example:
      >>> jitter(3)(jax.random.key(0), jnp.zeros((8, 9, 3))).shape
      (5, 6, 3)
    """
    return Jitter(whole(pixels, "pixels", 0))


def roll(pixels: int) -> Roll:
    """Returns the transform that shifts an image at random; what leaves at a border comes in at the other.

    Args:
      pixels: The longest shift, down and across, at least 0.

    Raises:
      ValueError: If `pixels` is negative.

    References:
      Mordvintsev, Olah, Tyka. Inceptionism: Going Deeper into Neural Networks. Google Research 2015.

    Example:
      >>> float(roll(3)(jax.random.key(0), jnp.eye(8)[..., None] * jnp.ones(3)).sum())
      24.0
    """
    return Roll(whole(pixels, "pixels", 0))


def padded(pixels: int, value: Number = 0.5) -> Padded:
    """Returns the transform that puts a frame of one grey around an image.

    Args:
      pixels: Width of the frame, at least 0.
      value: Its grey, in [0, 1].

    Raises:
      ValueError: If a number is out of range.

    Example:
      >>> padded(2)(jax.random.key(0), jnp.zeros((4, 4, 3))).shape
      (8, 8, 3)
    """
    return Padded(number(value, "value", 0, 1), whole(pixels, "pixels", 0))


def scale(low: Number, high: Number) -> Affine:
    """Returns the transform that enlarges an image around its middle by a random factor, and keeps its size.

    Args:
      low: The smallest factor, above 0.
      high: The largest, at least `low`.

    Raises:
      ValueError: If a factor is out of range.

    Example:
      >>> scale(0.9, 1.1)(jax.random.key(0), jnp.full((4, 4, 3), 0.5)).shape
      (4, 4, 3)
    """
    return _affine(number(low, "low", 1e-3, 1e3), number(high, "high", 1e-3, 1e3), "scale")


def rotate(low: Number, high: Number) -> Affine:
    """Returns the transform that turns an image around its middle by a random angle, and keeps its size.

    Args:
      low: The smallest angle in degrees, counterclockwise.
      high: The largest, at least `low`.

    Raises:
      ValueError: If an angle is not finite, or `high` is below `low`.

    Example:
      >>> rotate(-10, 10)(jax.random.key(0), jnp.full((4, 4, 3), 0.5)).shape
      (4, 4, 3)
    """
    return _affine(number(low, "low", -360, 360), number(high, "high", -360, 360), "rotate")


def _affine(low: Array, high: Array, kind: str) -> Affine:
    _ordered(low, high)
    return Affine(low, high, kind)


def _ordered(low: Array, high: Array) -> None:
    if concrete(low) and concrete(high) and float(low) > float(high):
        raise ValueError(f"low is {float(low):g}, above high, {float(high):g}")


def shrunk(low: Number = 0.9, probability: Number = 0.5) -> Shrunk:
    """Returns the transform that puts a smaller copy of an image at a random place on black, or leaves it alone.

    Args:
      low: The smallest factor of its sides, in (0, 1]; the largest is 1.
      probability: How often it does so, in [0, 1].

    Raises:
      ValueError: If a number is out of range.

    Note:
      [1] enlarges pictures of 299 pixels to 330 instead, which needs a network of any size.

    References:
      [1] Xie, Zhang, Zhou, Bai, Wang, Ren, Yuille. Improving Transferability of Adversarial Examples with Input
          Diversity. CVPR 2019, section 3.3.

    Example:
      >>> shrunk()(jax.random.key(0), jnp.full((4, 4, 3), 0.5)).shape
      (4, 4, 3)
    """
    return Shrunk(number(low, "low", 1e-3, 1), number(probability, "probability", 0, 1))


def resized_crop(low: Number = 0.8, high: Number = 1.0, ratio: Number = 4 / 3) -> ResizedCrop:
    """Returns the transform that cuts out a part at a random place and enlarges it to the image's size.

    Args:
      low: The smallest share of the image's area, in (0, 1].
      high: The largest, at least `low`.
      ratio: At least 1: how much wider or higher than the image's a part's shape may be. A side longer than the
        image's is cut to it.

    Raises:
      ValueError: If a number is out of range.

    References:
      Szegedy et al. Going Deeper with Convolutions. CVPR 2015, section 6, with an area of 0.08 to 1.

    Example:
      >>> resized_crop()(jax.random.key(0), jnp.full((4, 6, 3), 0.5)).shape
      (4, 6, 3)
    """
    shares = number(low, "low", 1e-3, 1), number(high, "high", 1e-3, 1)
    _ordered(*shares)
    return ResizedCrop(*shares, number(ratio, "ratio", 1, 1e3))


def compose(*transforms: Transform) -> Composed:
    """Returns the transform that applies others one after the other, each with a key of its own.

    Example:
      >>> both = compose(padded(2), jitter(4))
      >>> both(jax.random.key(0), jnp.zeros((8, 8, 3))).shape
      (8, 8, 3)
    """
    return Composed(tuple(transforms))
