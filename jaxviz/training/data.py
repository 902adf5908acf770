"""Pictures for training: decoded, resized, cut at random and shuffled by Grain, the same in every run of a seed."""

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import UInt8

from jaxviz import images
from jaxviz.images import MAX_PIXELS, PictureError
from jaxviz.jobs.reading import grain_module
from jaxviz.jobs.sources import Source

MARGIN = 1.125
"""Of the shorter side of a picture before it is cut, to that of what is cut out: 286 for 256, in round numbers."""
FOREVER = 2**40
"""Pictures after which a stream ends: Grain's own endless one cannot be begun in the middle."""
AHEAD = 4
"""Batches that wait for the device."""


@dataclasses.dataclass
class Crop:
    """Reads a picture of a source and cuts a random square from it; one that cannot be read gives way to the next.

    Attributes:
      source: Where pictures come from.
      size: Side of the square.
      margin: How much larger the shorter side is made.
      failures: Name → why it could not be read.
    """

    source: Source
    size: int
    margin: float = MARGIN
    failures: dict[str, str] = dataclasses.field(default_factory=dict)

    def __call__(self, index: int, random: np.random.Generator) -> UInt8[np.ndarray, "n n 3"]:
        """Returns a square, mirrored half of the time."""
        return self.numbered(index, random)["pictures"]

    def numbered(self, index: int, random: np.random.Generator) -> dict[str, Any]:
        """Returns a square as "pictures", and as "numbers" which picture of the source it is from."""
        places = random.random(3)
        for k in range(len(self.source)):
            number = (int(index) + k) % len(self.source)
            item = self.source[number]
            try:
                picture = images.to_bytes(self._resized(item.read(MAX_PIXELS)))
            except (PictureError, OSError, ValueError) as error:
                self.failures[item.name] = " ".join(str(error).split())
                continue
            top = int(places[0] * (picture.shape[0] - self.size + 1))
            left = int(places[1] * (picture.shape[1] - self.size + 1))
            square = picture[top : top + self.size, left : left + self.size]
            square = np.ascontiguousarray(square[:, ::-1] if places[2] < 0.5 else square)
            return {"pictures": square, "numbers": np.int32(number)}
        name, cause = next(iter(self.failures.items()))
        raise PictureError(f"none of {len(self.source)} pictures can be read; {name}: {cause}")

    def _resized(self, picture: Any) -> Any:
        h, w = picture.shape[:2]
        scale = round(self.size * self.margin) / min(h, w)
        return images.resize(picture, max(self.size, round(h * scale)), max(self.size, round(w * scale)))


def first_squares(source: Source, count: int, size: int = 128) -> list[images.Picture]:
    """Returns a square from each of some pictures of a source, evenly far apart, the same in every run.

    Raises:
      PictureError: If no picture can be read.
    """
    crop = Crop(source, size)
    chosen = [k * len(source) // count for k in range(count)]
    return [images.to_floats(crop(k, np.random.default_rng(k))) for k in chosen]


def batches(
    crop: Crop, *, batch: int, seed: int, start: int = 0, workers: int | None = None
) -> Iterator[dict[str, np.ndarray]]:
    """Yields batches for ever, "pictures" [b, n, n, 3] and "numbers" [b], read before they are asked for.

    Which pictures a batch has, and how they are cut, depends on the seed and its number alone: a run that goes on
    at a number gets what an unbroken one would have got.

    Args:
      crop: Reads and cuts.
      batch: Pictures in each.
      seed: Of the order and of the cuts.
      start: The number of the first batch.
      workers: Threads; None for one for each core.
    """
    grain: Any = grain_module()
    data = (
        grain.MapDataset.source(range(len(crop.source)))
        .seed(seed)
        .shuffle()
        .repeat(FOREVER // len(crop.source))
    )
    data = data.random_map(crop.numbered).batch(batch)
    threads = workers or os.cpu_count() or 1
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=AHEAD)
    yield from data[start:].to_iter_dataset(options)
