"""Every picture in a style, by a stylizing network."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxviz import colors
from jaxviz._checks import known, number, shares
from jaxviz._typing import Number
from jaxviz.jobs.manifest import tree_hash
from jaxviz.jobs.sizes import Longer
from jaxviz.jobs.sources import Item
from jaxviz.jobs.tasks.base import Mapped, Result, Task, checked_save, sha256
from jaxviz.stylization import Bank, recolored
from jaxviz.stylization import stylize as draw
from jaxviz.stylization.files import facts
from jaxviz.stylization.models import LEAST


def stylize(
    model: Any,
    styles: Sequence[Any] = (),
    *,
    weights: Sequence[Number] | None = None,
    alpha: Number = 1.0,
    keep_colors: str | None = None,
    size: int = 512,
    save: str = "pictures",
) -> Task:
    """Returns the task of drawing in a style, or in a mixture of styles.

    Args:
      model: From `stylization.load`.
      styles: As `model.codes` takes them: names of a bank's styles, none for all; else pictures.
      weights: How much of each style; None for equal ones.
      alpha: How much of the style, in [0, 1].
      keep_colors: One of `colors.KEEP`, as for `stylization.recolored`; None for the styles' colors.
      size: Longer side, at least 16; the other is rounded to a multiple of 32 by cutting.
      save: "pictures", "arrays", or "both".

    Raises:
      KeyError: If there is no such style, way to keep colors, or way to save.
      ValueError: If a style is no picture where the model needs one, or a number is out of range.
    """
    if size < LEAST:
        raise ValueError(f"size is {size}; expected at least {LEAST}")
    if keep_colors is not None:
        known(keep_colors, colors.KEEP, "way to keep colors")
    checked_save(save)
    codes = model.codes(styles)
    bank = isinstance(model, Bank)
    names = list(styles or model.styles) if bank else [sha256(style) for style in styles]
    numbers: dict[str, Any] = {
        # A model of any style sees the styles in each picture's colors.
        "styles": codes if bank or keep_colors is None else list(styles),
        "weights": shares(weights, len(names), "style"),
        "alpha": number(alpha, "alpha", 0, 1),
    }

    def told(item: Item, pixels: np.ndarray, found: np.ndarray) -> Result | str:
        if not np.isfinite(found).all():
            return "the picture is NaN or infinite"
        drawn = {} if save == "arrays" else {"stylized": found}
        return Result({}, {} if save == "pictures" else {"stylized": found}, drawn)

    sizing = Longer(size)
    settings = {
        "technique": "stylize",
        "model": facts(model)
        | {"precision": model.architecture.precision, "weights_sha256": tree_hash(model)},
        "styles" if bank else "styles_sha256": names,
        "weights": np.asarray(numbers["weights"]).tolist(),
        "alpha": float(numbers["alpha"]),
        "keep_colors": keep_colors,
        "size": sizing.settings(),
        "save": save,
    }
    return Mapped(model, _drawn(keep_colors), told, sizing, {}, settings, numbers)


@functools.cache
def _drawn(kind: str | None) -> Callable[..., Any]:
    def function(model: Any, image: Any, choice: Any, numbers: Any) -> Any:
        more = {"weights": numbers["weights"], "alpha": numbers["alpha"]}
        if kind is None:
            return draw(model, image, numbers["styles"], **more)
        return recolored(model, image, numbers["styles"], kind, **more)

    return function
