"""What layers answer."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxviz._checks import known
from jaxviz.jobs.sizes import Square
from jaxviz.jobs.sources import Item
from jaxviz.jobs.tasks.base import Mapped, Result, Task, described
from jaxviz.networks import Network
from jaxviz.objectives.parts import precise


def features(network: Network, layers: Sequence[str], *, size: int = 224, pool: bool = False) -> Task:
    """Returns the task of keeping what layers answer: whole as arrays, or averaged as columns.

    Args:
      network: Any.
      layers: Taps.
      size: Side of the square that is cut from each picture.
      pool: Whether channels are averaged over positions, [c] of [h, w, c]; then they are Parquet columns.

    Raises:
      KeyError: If a layer does not exist.
      ValueError: If there is none.
    """
    wanted = tuple(dict.fromkeys(layers))
    if not wanted:
        raise ValueError("layers is empty; give at least one tap")
    for layer in wanted:
        known(layer, network.layers, f"layer of {network.name or 'this network'}")

    def told(item: Item, pixels: np.ndarray, taps: Mapping[str, np.ndarray]) -> Result | str:
        if not all(np.isfinite(tap).all() for tap in taps.values()):
            return "the features are NaN or infinite"
        return Result(dict(taps)) if pool else Result({}, arrays=taps)

    sizing = Square(size)
    settings = described("features", network, sizing, layers=list(wanted), pool=pool)
    columns = dict.fromkeys(wanted, "numbers") if pool else {}
    return Mapped(network, _taps(wanted, pool), told, sizing, columns, settings)


def averaged(tap: Any) -> Any:
    """Returns the mean over positions of one picture's tap, which may have none, in float32 at least."""
    return precise(tap).mean((0, 1)) if tap.ndim == 3 else precise(tap)


@functools.cache
def _taps(layers: tuple[str, ...], pool: bool) -> Callable[..., Any]:
    def function(network: Network, image: Any, choice: Any, numbers: Any) -> Any:
        taps = network.features(image, layers)
        return {layer: averaged(tap) if pool else precise(tap) for layer, tap in taps.items()}

    return function
