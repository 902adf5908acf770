"""What style each picture has, as the projector of a stylizing network sees it."""

from typing import Any

import numpy as np

from jaxviz.jobs.manifest import tree_hash
from jaxviz.jobs.sizes import Square
from jaxviz.jobs.sources import Item
from jaxviz.jobs.tasks.base import Mapped, Result, Task
from jaxviz.stylization.files import facts
from jaxviz.stylization.models import LEAST


def style_codes(model: Any, *, size: int = 224) -> Task:
    """Returns the task of keeping the codes of styles, those of all layers as one vector, in the column `style`.

    Args:
      model: From `stylization.load`, one that was trained with a projector.
      size: Side of the square that is cut from each picture, at least 16.

    Raises:
      ValueError: If the model has no projector, or the size is too small.
    """
    if size < LEAST:
        raise ValueError(f"size is {size}; expected at least {LEAST}")
    coder = getattr(model, "projector", None)
    if coder is None:
        raise ValueError(
            f"{model.name or 'this model'} has no projector of styles; take one that `jaxviz train cast` made"
        )

    def told(item: Item, pixels: np.ndarray, code: np.ndarray) -> Result | str:
        return Result({"style": code}) if np.isfinite(code).all() else "the code is NaN or infinite"

    sizing = Square(size)
    settings = {
        "technique": "style_codes",
        "model": facts(model) | {"weights_sha256": tree_hash(coder)},
        "size": sizing.settings(),
    }
    return Mapped(coder, _code, told, sizing, {"style": "numbers"}, settings)


def _code(coder: Any, image: Any, choice: Any, numbers: Any) -> Any:
    return coder.code(image)
