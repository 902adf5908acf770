"""What `--keep-colors` names: a picture's own colors, kept before or after its style changes."""

import jax.numpy as jnp

from jaxviz._checks import known
from jaxviz._typing import AnyImage
from jaxviz.colors.lights import Picture, greys, replace_lightness, replace_luminance, same_size
from jaxviz.colors.matching import ROOTS, match_colors

KEEP = ("luminance", "cholesky", "pca", "sqrt", "lab")
FLOOR = 1e-5
"""Variance below which a style's colors are noise, near that of rounding to 8 bits, and not to be amplified."""


def before(kind: str, content: AnyImage, style: AnyImage) -> Picture:
    """Returns the style as it is to be given to the transfer, so that the result has the content's colors.

    With "cholesky", "pca" and "sqrt" that is the style in the content's colors (`match_colors`), unless it has
    hardly any of its own, and nothing is to be done after the transfer. With "luminance" and "lab" it is a grey
    picture whose light has the mean and deviation of the content's (`greys`), and `after` must follow; the content
    may be given in color, or in grey as `greys` returns it.

    Args:
      kind: One of `KEEP`. "luminance" is the safest: each pixel has the content's color, but strokes have
        none of their own. "lab" is the same for light as the eye measures it, truer in dark and saturated colors.
        The others keep the content's palette, not the color of each pixel: strokes remain colored, and a color may
        move to another place. "sqrt" changes the style's colors least, "pca" nearly as little, "cholesky" more.
      content: RGB, [h, w, 3], in [0, 1].
      style: RGB, of any size, in [0, 1].

    Returns:
      A picture of the style's size, clipped to [0, 1].

    Raises:
      KeyError: If the kind is unknown.
      ValueError: If a picture is not one.

    References:
      Gatys, Bethge, Hertzmann, Shechtman. Preserving Color in Neural Artistic Style Transfer. arXiv 2016.

    Example:
      >>> content, style = jnp.full((4, 4, 3), 0.25), jnp.full((2, 2, 3), 0.75)
      >>> jnp.round(before("pca", content, style)[0, 0], 3).tolist()
      [0.25, 0.25, 0.25]
    """
    if known(kind, KEEP, "way to keep colors") in ROOTS:
        return jnp.clip(match_colors(style, content, root=kind, floor=FLOOR), 0, 1)
    return greys(content, style, kind=kind)[1]


def after(kind: str, content: AnyImage, result: AnyImage) -> Picture:
    """Returns the result of a transfer with the content's colors: the other half of `before`.

    With "luminance" (`replace_luminance`) and "lab" (`replace_lightness`) the content's color is laid over the
    result's light; grey content gives a grey result. With the others the result is returned as it is.

    Args:
      kind: One of `KEEP`; see `before`.
      content: RGB, [h, w, 3], in [0, 1].
      result: RGB, of the content's size, in [0, 1].

    Returns:
      A picture, [h, w, 3], in [0, 1].

    Raises:
      KeyError: If the kind is unknown.
      ValueError: If a picture is not one, or the sizes differ.

    Example:
      >>> orange, dark = jnp.array([[[0.8, 0.5, 0.2]]]), jnp.full((1, 1, 3), 0.4)
      >>> print(jnp.round(after("luminance", orange, dark), 2))
      [[[0.64 0.34 0.04]]]
    """
    if known(kind, KEEP, "way to keep colors") in ROOTS:
        return same_size(content, result)[1]
    replace = {"luminance": replace_luminance, "lab": replace_lightness}[kind]
    return replace(content, result)
