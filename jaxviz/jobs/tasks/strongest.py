"""How strongly channels answer to each picture at most, and where."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxviz._checks import known
from jaxviz.jobs.sizes import Square
from jaxviz.jobs.sources import Item
from jaxviz.jobs.tasks.base import Mapped, Result, Task, described
from jaxviz.networks import Network


def strongest(
    network: Network, layer: str, channels: Sequence[int] | None = None, *, size: int = 224
) -> Task:
    """Returns the task of finding where each channel of a layer answers most.

    Arrays of the run are "strength" [n, channels] and "place" [n, channels, 2], row and column in the layer.

    Args:
      network: Any.
      layer: A tap with positions.
      channels: Which, each once; None for all.
      size: Side of the square that is cut from each picture.

    Raises:
      KeyError: If the layer does not exist.
      ValueError: If it has no positions or no such channel, or channels are named twice.
    """
    known(layer, network.layers, f"layer of {network.name or 'this network'}")
    shape = network.shapes[layer]
    if len(shape) != 3:
        raise ValueError(f"layer {layer!r} has no positions, so no patches; take one with positions")
    wanted = tuple(range(shape[2]) if channels is None else channels)
    if missing := [c for c in wanted if not 0 <= c < shape[2]]:
        raise ValueError(f"layer {layer!r} has no channel {missing[0]}; it has {shape[2]}")
    if len(set(wanted)) != len(wanted) or not wanted:
        raise ValueError(f"channels are {list(wanted)}; name each once, and at least one")

    def told(item: Item, pixels: np.ndarray, found: Any) -> Result | str:
        strength, place = found
        if not np.isfinite(strength).all():
            return "the features are NaN or infinite"
        return Result({}, arrays={"strength": strength, "place": place})

    sizing = Square(size)
    settings = described("strongest", network, sizing, layer=layer, channels=list(wanted))
    return Mapped(network, _peaks(layer, wanted), told, sizing, {}, settings)


@functools.cache
def _peaks(layer: str, channels: tuple[int, ...]) -> Callable[..., Any]:
    def function(network: Network, image: Any, choice: Any, numbers: Any) -> Any:
        tap = network.features(image, [layer])[layer][..., jnp.asarray(channels)]
        flat = tap.reshape(-1, len(channels))
        place = jnp.stack(jnp.unravel_index(flat.argmax(0), tap.shape[:2]), -1)
        return flat.max(0).astype(jnp.float32), place.astype(jnp.int32)

    return function
