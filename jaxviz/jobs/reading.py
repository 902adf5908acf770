"""Pictures read, decoded and resized by threads, ahead of the device and in order."""

import contextlib
import dataclasses
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from jaxviz.images import PictureError
from jaxviz.jobs.sizes import Sizing
from jaxviz.jobs.sources import Item, Source

T = TypeVar("T")
AHEAD = 32
"""Pictures that wait for the device, beside those that are being read."""


@dataclasses.dataclass(frozen=True)
class Loaded:
    """One picture of a source.

    Attributes:
      index: Its place in the source.
      item: Its name and label.
      pixels: [h, w, 3], in [0, 1] or bytes; None where it could not be read.
      failure: Why it could not; empty where it could.
    """

    index: int
    item: Item
    pixels: np.ndarray | None
    failure: str = ""


class Reader:
    """Reads one picture; a plain object, so that it may travel to workers."""

    def __init__(self, source: Source, sizing: Sizing, max_pixels: int):
        self.source, self.sizing, self.max_pixels = source, sizing, max_pixels

    def __call__(self, index: int) -> Loaded:
        """Returns the picture, or why there is none."""
        item = self.source[int(index)]
        try:
            return Loaded(int(index), item, self.sizing(item.read(self.max_pixels)))
        except (PictureError, OSError, ValueError) as error:
            return Loaded(int(index), item, None, " ".join(str(error).split()))


def read(
    source: Source,
    indices: Sequence[int],
    sizing: Sizing,
    *,
    max_pixels: int,
    workers: int | None = None,
) -> Iterator[Loaded]:
    """Yields pictures of a source in the order of `indices`, read by threads before they are asked for.

    Args:
      source: Where they come from.
      indices: Which ones.
      sizing: What each is made.
      max_pixels: Larger pictures are failures.
      workers: Threads, at least 1; None for one for each core.

    Raises:
      ImportError: If Grain is not installed: `pip install "jaxviz-vision[jobs]"`.
    """
    grain: Any = grain_module()
    reader = Reader(source, sizing, max_pixels)
    if not len(indices):
        return
    threads = workers or os.cpu_count() or 1
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=max(AHEAD, threads))
    data = grain.MapDataset.source(list(indices)).map(reader)
    yield from data.to_iter_dataset(options)


@contextlib.contextmanager
def ahead(items: Iterator[T]) -> Iterator[Iterator[T]]:
    """Yields an iterator of the same items, of which the next is made by a thread while one is worked on."""
    waiting: queue.Queue[tuple[bool, Any]] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def put(entry: tuple[bool, Any]) -> bool:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put(entry, timeout=0.1)
                return True
        return False

    def fill() -> None:
        try:
            for item in items:
                if not put((True, item)):
                    return
            put((False, None))
        except BaseException as error:
            put((False, error))

    def taken() -> Iterator[T]:
        while True:
            more, item = waiting.get()
            if more:
                yield item
            elif item is None:
                return
            else:
                raise item

    thread = threading.Thread(target=fill, name="jaxviz-reading", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        stopped.set()
        thread.join()


def grain_module() -> Any:
    """Returns Grain; raises ImportError, saying what to install, where it is not there."""
    try:
        import grain
    except ImportError as error:
        raise ImportError('runs over many pictures need Grain: pip install "jaxviz-vision[jobs]"') from error
    return grain
