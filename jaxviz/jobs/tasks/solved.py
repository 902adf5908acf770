"""How many problems are minimized in one program."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxviz.batching import bytes_of
from jaxviz.networks import Network
from jaxviz.techniques import Method
from jaxviz.techniques.solving import at_once, memory_of_many


def solved_at_once(
    method: Method,
    network: Network,
    given: Callable[[], tuple[Any, ...]],
    options: Mapping[str, Any],
    memory: str | int | None,
    mesh: Mesh | None,
) -> int:
    """Returns how many pictures are minimized in one program: for each device a power of two.

    That is the number that is fastest on the platform, or fewer where the compiled loop would exceed the budget.

    Args:
      method: One that minimizes.
      network: Φ.
      given: Returns what the method's problem takes of one picture after the network, each time anew: what
        several problems have in common is not stacked.
      options: The method's.
      memory: Budget of a device, in bytes or as text such as "4GB"; None for none.
      mesh: Devices to share the problems among.

    Raises:
      ValueError: If one picture needs more, or `memory` is no amount.
    """
    devices = 1 if mesh is None else mesh.size
    size = at_once()
    if memory is None:
        return size * devices
    budget = bytes_of(memory)
    shared = sum(np.size(leaf) * leaf.dtype.itemsize for leaf in jax.tree.leaves(network))
    while True:
        count = size * devices
        inputs = [given() for _ in range(count)]
        need = memory_of_many(method, network, inputs, [options] * count, mesh=mesh)
        if need is None or need <= budget:
            return count
        if size == 1:
            raise ValueError(f"memory is {budget:,} bytes, but one image needs {need:,}; give more")
        # Compiling takes seconds: what cannot fit is not tried.
        fitting = max(1, int((budget - shared) / max(1, (need - shared) / size)))
        size = min(size // 2, 1 << (fitting.bit_length() - 1))


def filled(pixels: np.ndarray) -> np.ndarray:
    """Returns a batch filled up to a power of two by repeating its last picture: few lengths, few programs."""
    missing = (1 << (len(pixels) - 1).bit_length()) - len(pixels)
    return np.concatenate([pixels, np.repeat(pixels[-1:], missing, axis=0)]) if missing else pixels
