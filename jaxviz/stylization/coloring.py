"""A picture in a style, and in its own colors."""

from typing import Any

from jaxviz import colors
from jaxviz._checks import known
from jaxviz._typing import Image, Number
from jaxviz.stylization.models import Bank, Stylizer, stylize


def recolored(
    model: Stylizer,
    image: Image,
    styles: Any,
    kind: str,
    *,
    weights: Any = None,
    alpha: Number = 1.0,
) -> Image:
    """Returns a picture in a style, or in a mixture of styles, and in its own colors.

    A model of any style is given the styles in the picture's colors, as `colors.before` makes them, so its strokes
    are mixed from them. A bank has learned its styles with their colors, so these are exchanged afterwards:
    "luminance" and "lab" lay the picture's color over the result's light, "cholesky", "pca" and "sqrt" give the
    result the mean and covariance of the picture's colors.

    Args:
      model: From `load`, or trained here.
      image: RGB, [h, w, 3], in [0, 1].
      styles: For a model of any style a sequence of pictures, [h, w, 3] of any size; for a bank codes, from
        `model.codes(names)`.
      kind: One of `colors.KEEP`.
      weights: As for `stylize`.
      alpha: As for `stylize`.

    Returns:
      A picture, [h, w, 3], in [0, 1].

    Raises:
      KeyError: If there is no such way to keep colors.
      ValueError: As for `stylize`.

    References:
      Gatys, Ecker, Bethge, Hertzmann, Shechtman. Controlling Perceptual Factors in Neural Style Transfer. CVPR
      2017, section 5.

    Example:
      >>> from jaxviz import stylization
      >>> model = stylization.initialize("transformer", jax.random.key(0), styles=("a", "b"), width=4, blocks=1)
      >>> grey = jnp.full((16, 16, 3), 0.5)
      >>> draw = jax.jit(stylization.recolored, static_argnames="kind")
      >>> found = draw(model, grey, model.codes(["b"]), kind="luminance")
      >>> bool((jnp.ptp(found, axis=-1) < 1e-5).all())
      True
    """
    known(kind, colors.KEEP, "way to keep colors")
    if not isinstance(model, Bank):
        styles = model.codes([colors.before(kind, image, style) for style in styles])
    drawn = stylize(model, image, styles, weights=weights, alpha=alpha)
    if isinstance(model, Bank) and kind in colors.ROOTS:
        # To match a painting's colors before, or a result's afterwards, is the same change.
        return colors.before(kind, image, drawn)
    return colors.after(kind, image, drawn)
