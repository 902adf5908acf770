"""Which pixels matter, by every method of the family."""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxviz.drawing import maps
from jaxviz.jobs.sizes import Square
from jaxviz.jobs.sources import Item
from jaxviz.jobs.tasks.base import Mapped, Result, Task, checked_save, described, split
from jaxviz.jobs.tasks.classes import CLASSES, classes, logits
from jaxviz.networks import Network
from jaxviz.techniques import FAMILIES
from jaxviz.techniques.classes import class_count


def saliency(
    network: Network,
    *,
    method: str = "gradient",
    label: int | None = None,
    size: int = 224,
    save: str = "pictures",
    overlay: bool = False,
    **options: Any,
) -> Task:
    """Returns the task of drawing which pixels a class's score depends on.

    Args:
      network: One with a classifier.
      method: Of `FAMILIES["saliency"]`.
      label: The class; None for each picture's best.
      size: Side of the square that is cut from each picture.
      save: "pictures" of the maps, "arrays" of them as they are, or "both".
      overlay: Whether maps are drawn over their pictures.
      options: The method's.

    Raises:
      KeyError, ValueError: If the method or an option does not exist, or the network has no classifier.
    """
    family = FAMILIES["saliency"]
    class_count(network)
    fixed, numbers = split(family, method, options)
    checked_save(save)

    def told(item: Item, pixels: np.ndarray, found: Any) -> Result | str:
        scores, target, values = found
        if not (np.isfinite(scores).all() and np.isfinite(values).all()):
            return "the scores or the map are NaN or infinite"
        row = classes(network, scores) | {"target": int(target)}
        drawn = {} if save == "arrays" else {method: maps.drawn(values, pixels if overlay else None)}
        return Result(row, {} if save == "pictures" else {"map": values}, drawn)

    sizing = Square(size)
    settings = described("saliency", network, sizing, method=method, label=label, save=save, overlay=overlay)
    settings["options"] = family.checked(method, options)
    return Mapped(
        network,
        _explained(method, fixed),
        told,
        sizing,
        {**CLASSES, "target": "integer"},
        settings,
        numbers,
        lambda item: -1 if label is None else label,
    )


@functools.cache
def _explained(method: str, fixed: tuple) -> Callable[..., Any]:
    explain = FAMILIES["saliency"].method(method).function

    def function(network: Network, image: Any, choice: Any, numbers: Any) -> Any:
        scores = logits(network, image, choice, numbers)
        target = jnp.where(choice < 0, jnp.argmax(scores), choice)
        return scores, target, explain(network, image, target, **dict(fixed), **numbers)

    return function
