"""Dreams of every picture."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxviz._typing import AnyImage
from jaxviz.jobs.sizes import Longer
from jaxviz.jobs.sources import Item
from jaxviz.jobs.tasks.base import Mapped, Result, Task, checked_save, described, sha256, split
from jaxviz.networks import Network
from jaxviz.techniques import FAMILIES
from jaxviz.techniques.dream import dream as change
from jaxviz.techniques.layers import layer_weights


def dream(
    network: Network,
    *,
    preset: str = "default",
    guide: AnyImage | None = None,
    size: int = 384,
    save: str = "pictures",
    **options: Any,
) -> Task:
    """Returns the task of making more of what layers see a little of.

    Args:
      network: Any.
      preset: Of `jaxviz.dream.PRESETS`.
      guide: A picture whose features are made more.
      size: Longer side; the other is rounded to a multiple of 32 by cutting.
      save: "pictures", "arrays", or "both".
      options: The method's.

    Raises:
      KeyError, ValueError: If a preset, layer or option does not exist.
    """
    family = FAMILIES["dream"]
    family.preset(preset)
    fixed, numbers = split(family, family.usual, options)
    checked_save(save)
    if "layers" in options:
        layer_weights(network, options["layers"], {})

    def told(item: Item, pixels: np.ndarray, found: np.ndarray) -> Result | str:
        if not np.isfinite(found).all():
            return "the picture is NaN or infinite"
        drawn = {} if save == "arrays" else {"dream": found}
        return Result({}, {} if save == "pictures" else {"dream": found}, drawn)

    sizing = Longer(size)
    seen = None if guide is None else sha256(guide)
    settings = described("dream", network, sizing, preset=preset, save=save, guide_sha256=seen)
    settings["options"] = family.checked(family.usual, options)
    return Mapped(network, _dreamt(preset, fixed), told, sizing, {}, settings, numbers | {"guide": guide})


@functools.cache
def _dreamt(preset: str, fixed: tuple) -> Callable[..., Any]:
    def function(network: Network, image: Any, choice: Any, numbers: Any) -> Any:
        return change(network, image, preset=preset, **dict(fixed), **numbers)

    return function
