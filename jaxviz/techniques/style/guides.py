"""Where which style goes: masks of the content picture at the size of each layer."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxviz._checks import concrete
from jaxviz._typing import Array


def checked(masks: Sequence[Any], styles: int, size: tuple[int, ...]) -> list[Array]:
    """Returns masks as float32 arrays.

    Args:
      masks: One for each style, [h, w], in [0, 1].
      styles: How many styles there are.
      size: h and w of the content.

    Raises:
      ValueError: If there is not one for each style, or one has another size, is out of range or zero everywhere.
    """
    if len(masks) != styles:
        raise ValueError(f"there are {len(masks)} masks for {styles} styles; give one for each")
    found = []
    for k, mask in enumerate(masks):
        if np.shape(mask) != tuple(size):
            raise ValueError(
                f"mask {k} has shape {list(np.shape(mask))}; expected the content's {list(size)}"
            )
        if concrete(mask):
            values = np.asarray(mask)
            if not (np.isfinite(values).all() and values.min() >= -1e-6 and values.max() <= 1 + 1e-6):
                raise ValueError(f"mask {k} has values that are not in [0, 1]")
            if not values.any():
                raise ValueError(f"mask {k} is zero everywhere, so its style goes nowhere")
        found.append(jnp.asarray(mask, jnp.float32))
    return found


def guides(mask: Array, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Returns a mask at the size of each layer: how much of what each position covers belongs to it.

    Where a region is so small that a layer would not see it, its brightest position there counts.

    Args:
      mask: [h, w], in [0, 1].
      shapes: Layer → [h', w', c].
    """
    found = {}
    for layer, (h, w, _) in shapes.items():
        small = jnp.clip(jax.image.resize(mask, (h, w), "linear", antialias=True), 0, 1)
        found[layer] = jnp.where(small.max() > 1e-3, small, (small == small.max()).astype(small.dtype))
    return found
