"""Codes of the last paintings, against which the next ones are told apart: a ring, as a tree of arrays."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxviz._checks import whole
from jaxviz._typing import Key, symbol
from jaxviz.stylization.projector import unit

NOBODY = -1
"""The painting of a code that was drawn at random."""


@symbol
class Queue:
    """The last codes of paintings, and whose they are; made by `queue`.

    Attributes:
      codes: Layer → [k, d], of unit length.
      owners: The number of the painting of each, [k]; `NOBODY` before there was one.
      place: Where the next code goes, in [0, k).
    """

    codes: Mapping[str, Float[Array, "k d"]]
    owners: Int[Array, " k"]
    place: Int[Array, ""]

    def others(self, number: Int[Array, ""]) -> Bool[Array, " k"]:
        """Returns which codes are those of other paintings than the one of a number."""
        return self.owners != number


def queue(key: Key, layers: Sequence[str], size: int, room: int) -> Queue:
    """Returns a queue of random codes, all directions alike.

    Args:
      key: Seeds them.
      layers: Of which there are codes.
      size: Numbers of a code.
      room: k, how many codes it has of each layer.

    Raises:
      ValueError: If a number is below 1.
    """
    keys = jax.random.split(key, len(layers))
    shape = whole(room, "queue"), whole(size, "code_size")
    codes = {layer: unit(jax.random.normal(one, shape)) for layer, one in zip(layers, keys, strict=True)}
    return Queue(codes, jnp.full(room, NOBODY, jnp.int32), jnp.int32(0))


def enqueued(queue: Queue, codes: Mapping[str, Float[Array, "n d"]], owners: Int[Array, " n"]) -> Queue:
    """Returns the queue with new codes in the place of the oldest.

    Raises:
      ValueError: If there are more of them than it has room for.
    """
    count, room = owners.shape[0], queue.owners.shape[0]
    if count > room:
        raise ValueError(f"the queue has room for {room} codes, and a batch has {count}; take a longer queue")
    places = (queue.place + jnp.arange(count)) % room
    kept = {layer: ring.at[places].set(codes[layer]) for layer, ring in queue.codes.items()}
    return Queue(kept, queue.owners.at[places].set(owners), (queue.place + count) % room)
