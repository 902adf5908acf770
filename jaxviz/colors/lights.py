"""Light and color of a picture apart: luminance of YIQ, lightness of CIE L*a*b*, and the one with the other."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxviz._checks import image as checked_image
from jaxviz._checks import known
from jaxviz._typing import AnyImage

Picture = Float[Array, "_ _ 3"]
Plane = Float[Array, "_ _"]
LIGHTS = ("luminance", "lab")
LUMA = (0.299, 0.587, 0.114)
"""Red's, green's and blue's share of luminance, ITU-R BT.601."""
FLOOR = 1e-7
"""Variance that is given in addition: a grey or constant picture has none to divide by."""

# XYZ of linear sRGB, ITU-R BT.709 primaries and D65, over the XYZ of white, so that grey has no color at all.
_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
_XYZ = _XYZ / _XYZ.sum(1, keepdims=True)
_DELTA = 6 / 29
# Accelerators multiply float32 matrices in fewer bits unless told not to; colors would move by a grey level.
product = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)


def picture(value: AnyImage, name: str = "image") -> Picture:
    """Returns an image as float32; raises ValueError unless it is [h, w, 3] with finite values in [0, 1]."""
    return jnp.asarray(checked_image(value, name))


def luminance(image: AnyImage) -> Plane:
    r"""Returns the luminance, :math:`Y = 0.299 R + 0.587 G + 0.114 B`, [h, w], in [0, 1].

    It is the Y of YIQ and of YCbCr (ITU-R BT.601), of values as they are stored.

    Args:
      image: RGB, [h, w, 3], in [0, 1].

    Raises:
      ValueError: If it is no picture.

    Example:
      >>> print(luminance(jnp.array([[[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]])))
      [[0.299 1.   ]]
    """
    return _luminance(picture(image))


def _luminance(image: Array) -> Plane:
    return product(image, jnp.array(LUMA, jnp.float32))


def to_lab(image: AnyImage) -> Picture:
    r"""Returns lightness L*, in [0, 100], and the colors a* (green to red) and b* (blue to yellow) of CIE 1976.

    .. math:: L^* = 116 f(Y) - 16, \quad a^* = 500 (f(X) - f(Y)), \quad b^* = 200 (f(Y) - f(Z))

    with :math:`f(t) = \sqrt[3]{t}` for :math:`t > (6/29)^3`, else :math:`\frac{1}{3} (29/6)^2 t + \frac{4}{29}`,
    and X, Y, Z relative to white, so that grey has a* = b* = 0.

    Args:
      image: sRGB, [h, w, 3], in [0, 1].

    Returns:
      float32, [h, w, 3].

    Raises:
      ValueError: If it is no picture.

    References:
      IEC 61966-2-1:1999 (sRGB). ISO/CIE 11664-4 (L*a*b*).

    Example:
      >>> print(np.round(np.asarray(to_lab(jnp.array([[[1.0, 0.0, 0.0]]]))), 1))
      [[[53.2 80.1 67.2]]]
    """
    xyz = product(_linear(picture(image)), jnp.array(_XYZ.T, jnp.float32))
    # The branch that is not taken must have a finite derivative too.
    root = jnp.cbrt(jnp.maximum(xyz, _DELTA**3))
    f = jnp.where(xyz > _DELTA**3, root, xyz / (3 * _DELTA**2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return jnp.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def from_lab(lab: AnyImage) -> Picture:
    """Returns the sRGB picture of L*, a* and b*: the inverse of `to_lab`, to rounding.

    Args:
      lab: [h, w, 3].

    Returns:
      RGB, float32, [h, w, 3]; outside [0, 1] where no screen shows that color.

    Example:
      >>> jnp.round(from_lab(jnp.array([[[100.0, 0.0, 0.0]]])), 4).tolist()
      [[[1.0, 1.0, 1.0]]]
    """
    return _encoded(_linear_of_lab(jnp.asarray(lab, jnp.float32)))


def _linear_of_lab(lab: Array) -> Array:
    y = (lab[..., 0] + 16) / 116
    f = jnp.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], -1)
    xyz = jnp.where(f > _DELTA, f**3, 3 * _DELTA**2 * (f - 4 / 29))
    return product(xyz, jnp.array(np.linalg.inv(_XYZ).T, jnp.float32))


def _linear(image: Array) -> Array:
    curved = ((jnp.maximum(image, 0.04045) + 0.055) / 1.055) ** 2.4
    return jnp.where(image > 0.04045, curved, image / 12.92)


def _encoded(linear: Array) -> Array:
    curved = 1.055 * jnp.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return jnp.where(linear > 0.0031308, curved, 12.92 * linear)


def replace_luminance(content: AnyImage, result: AnyImage) -> Picture:
    r"""Returns the result's luminance with the content's chroma, in YIQ or, which is the same, YCbCr.

    .. math:: x = p + Y(r) - Y(p)

    for each of red, green and blue. Where that is outside [0, 1] the color is faded towards grey until it fits, so
    that the luminance is always the result's.

    Args:
      content: p, RGB, [h, w, 3], in [0, 1].
      result: r, RGB, [h, w, 3], in [0, 1].

    Returns:
      RGB, float32, [h, w, 3], in [0, 1].

    Raises:
      ValueError: If a picture is not one, or the sizes differ.

    References:
      Gatys, Ecker, Bethge, Hertzmann, Shechtman. Controlling Perceptual Factors in Neural Style Transfer. CVPR
      2017, section 5.

    Example:
      >>> red = jnp.array([[[1.0, 0.0, 0.0]]])
      >>> print(jnp.round(replace_luminance(red, jnp.full((1, 1, 3), 0.5)), 2))
      [[[1.   0.29 0.29]]]
    """
    content, result = same_size(content, result)
    light = _luminance(result)[..., None]
    return _faded(content - _luminance(content)[..., None] + light, light)


def replace_lightness(content: AnyImage, result: AnyImage) -> Picture:
    """Returns the result's lightness L* with the content's a* and b*.

    Where no screen shows that color it is faded towards the grey of the same lightness until one does.

    Args:
      content: sRGB, [h, w, 3], in [0, 1].
      result: sRGB, [h, w, 3], in [0, 1].

    Returns:
      RGB, float32, [h, w, 3], in [0, 1].

    Raises:
      ValueError: If a picture is not one, or the sizes differ.

    Example:
      >>> red = jnp.array([[[1.0, 0.0, 0.0]]])
      >>> print(jnp.round(replace_lightness(red, jnp.full((1, 1, 3), 0.5)), 2))
      [[[1.   0.02 0.02]]]
    """
    content, result = same_size(content, result)
    mixed = to_lab(content).at[..., 0].set(to_lab(result)[..., 0])
    # L* depends on linear luminance alone, which a mixture of linear colors with their grey keeps.
    light = product(_linear(result), jnp.array(_XYZ[1], jnp.float32))[..., None]
    return jnp.clip(_encoded(_faded(_linear_of_lab(mixed), light)), 0, 1)


def _faded(colors: Array, grey: Array) -> Array:
    off = colors - grey
    room = jnp.where(off > 0, 1 - grey, grey)
    outside = jnp.abs(off) > room
    share = jnp.where(outside, room / jnp.where(outside, jnp.abs(off), 1), 1).min(-1, keepdims=True)
    return jnp.clip(grey + share * off, 0, 1)


def greys(content: AnyImage, style: AnyImage, *, kind: str = "luminance") -> tuple[Picture, Picture]:
    r"""Returns content and style in grey, the style's light matched to the content's: luminance-only transfer.

    .. math:: Y_s' = \frac{\sigma_c}{\sigma_s} (Y_s - \mu_s) + \mu_c

    Args:
      content: RGB, [h, w, 3], in [0, 1].
      style: RGB, of any size, in [0, 1].
      kind: "luminance" matches Y, "lab" L*.

    Returns:
      Two pictures of three equal channels, clipped to [0, 1].

    Raises:
      KeyError: If the kind is unknown.
      ValueError: If a picture is not one.

    References:
      Gatys, Ecker, Bethge, Hertzmann, Shechtman. Controlling Perceptual Factors in Neural Style Transfer. CVPR
      2017, section 5.1.

    Example:
      >>> content, style = greys(jnp.full((1, 1, 3), 0.5), jnp.full((1, 1, 3), 0.1))
      >>> print(jnp.round(style, 3))
      [[[0.5 0.5 0.5]]]
    """
    known(kind, LIGHTS, "measure of light")
    content, style = picture(content, "content"), picture(style, "style")
    c, s = (_luminance(x) if kind == "luminance" else to_lab(x)[..., 0] / 100 for x in (content, style))
    gain = jnp.sqrt((c.var() + FLOOR) / (s.var() + FLOOR))
    return _grey(c, kind), _grey(gain * (s - s.mean()) + c.mean(), kind)


def _grey(light: Array, kind: str) -> Array:
    light = jnp.clip(light, 0, 1)
    if kind == "luminance":
        return jnp.repeat(light[..., None], 3, -1)
    return jnp.clip(from_lab(light[..., None] * jnp.array([100.0, 0, 0])), 0, 1)


def same_size(content: AnyImage, result: AnyImage) -> tuple[Picture, Picture]:
    """Returns both as float32; raises ValueError unless they are pictures of one size."""
    content, result = picture(content, "content"), picture(result, "result")
    if content.shape != result.shape:
        raise ValueError(
            f"result has shape {list(result.shape)}; expected the content's {list(content.shape)}"
        )
    return content, result
