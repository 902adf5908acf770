"""Dreams of every picture."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxviz._typing import AnyImage, Number
from jaxviz.jobs.sizes import Longer
from jaxviz.jobs.sources import Item
from jaxviz.jobs.tasks.base import Mapped, Result, Task, checked_save, described, sha256, split
from jaxviz.networks import Network
from jaxviz.techniques import FAMILIES
from jaxviz.techniques.layers import layer_weights


def dream(
    network: Network,
    *,
    method: str = "dream",
    layers: Mapping[str, Number] | None = None,
    guide: AnyImage | None = None,
    size: int = 384,
    save: str = "pictures",
    **options: Any,
) -> Task:
    """Returns the task of making more of what layers see a little of.

    Args:
      network: Any.
      method: Of `FAMILIES["dream"]`.
      layers: Weights per layer; None for the method's.
      guide: A picture whose features are made more.
      size: Longer side; the other is rounded to a multiple of 32 by cutting.
      save: "pictures", "arrays", or "both".
      options: The method's.

    Raises:
      KeyError, ValueError: If a method, layer or option does not exist.
    """
    family = FAMILIES["dream"]
    fixed, numbers = split(family, method, options)
    if "ratio" in numbers:  # it decides shapes
        fixed, numbers = (
            (*fixed, ("ratio", float(numbers["ratio"]))),
            {k: v for k, v in numbers.items() if k != "ratio"},
        )
    checked_save(save)
    if layers is not None:
        layer_weights(network, layers, {})
        numbers = numbers | {"layers": {name: np.float32(weight) for name, weight in layers.items()}}

    def told(item: Item, pixels: np.ndarray, found: np.ndarray) -> Result | str:
        if not np.isfinite(found).all():
            return "the picture is NaN or infinite"
        drawn = {} if save == "arrays" else {method: found}
        return Result({}, {} if save == "pictures" else {"dream": found}, drawn)

    sizing = Longer(size)
    seen = None if guide is None else sha256(guide)
    settings = described("dream", network, sizing, method=method, save=save, guide_sha256=seen)
    settings["options"] = family.checked(method, options)
    settings["layers"] = None if layers is None else {name: float(weight) for name, weight in layers.items()}
    numbers = numbers | {"guide": guide}
    return Mapped(network, _dreamt(method, fixed), told, sizing, {}, settings, numbers)


@functools.cache
def _dreamt(method: str, fixed: tuple) -> Callable[..., Any]:
    change = FAMILIES["dream"].method(method).function

    def function(network: Network, image: Any, choice: Any, numbers: Any) -> Any:
        return change(network, image, **dict(fixed), **numbers)

    return function
