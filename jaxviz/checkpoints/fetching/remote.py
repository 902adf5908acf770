"""Safetensors files on a server: what is in them, without their arrays, and a part of them as a file of its own."""

import json
from collections.abc import Callable
from pathlib import Path

import flax.linen as nn
import numpy as np

from jaxviz.checkpoints import conversion
from jaxviz.checkpoints.fetching.transfer import Place, excerpt
from jaxviz.checkpoints.formats import Tensor, WeightFile
from jaxviz.checkpoints.formats.checks import byte_count, refusal, shown
from jaxviz.checkpoints.formats.safetensors import TYPES

MAX_HEADER = 2**20
"""Bytes of a header; those of our networks have some ten thousand."""

Spans = tuple[tuple[int, int], ...]


class Contents:
    """What a safetensors file on a server says that is in it.

    Attributes:
      etag: The server's tag of the file.
      start: Where its arrays begin.
      header: Tensor → its entry, in the file's order.
    """

    def __init__(self, place: Callable[[], Place], path: Path):
        self.path = path
        first, self.etag, size = excerpt(place, 0, 8)
        length = int.from_bytes(first, "little")
        if not 2 <= length <= MAX_HEADER:
            raise refusal(
                self.path, f"a safetensors header of at most {MAX_HEADER} bytes", f"one of {length}"
            )
        self.start = 8 + length
        text, _, _ = excerpt(place, 8, self.start)
        try:
            header = json.loads(text.decode())
            header.pop("__metadata__", None)
            self.header = dict(sorted(header.items(), key=lambda item: item[1]["data_offsets"][0]))
            self.tensors = {name: self._tensor(name, entry) for name, entry in self.header.items()}
        except (AttributeError, KeyError, TypeError, RecursionError, UnicodeDecodeError) as error:
            raise refusal(self.path, "a safetensors header", shown(repr(error))) from error
        except json.JSONDecodeError as error:
            raise refusal(self.path, "a safetensors header in JSON", shown(str(error))) from error
        if size is not None and size != self.start + self.size:
            raise refusal(self.path, f"{self.start + self.size} bytes, as its header says", f"{size}")

    def _tensor(self, name: str, entry: dict) -> Tensor:
        dtype, shape = TYPES[entry["dtype"]], tuple(entry["shape"])
        first, last = entry["data_offsets"]
        if type(first) is not int or first < 0 or last - first != byte_count(self.path, name, shape, dtype):
            raise refusal(self.path, f"the size of {shown(name)}", shown(str(entry)))
        # The values do not matter where names and shapes are compared.
        return Tensor(shape, dtype, lambda: np.broadcast_to(np.zeros((), dtype), shape))

    @property
    def size(self) -> int:
        """Bytes of all arrays."""
        return max((entry["data_offsets"][1] for entry in self.header.values()), default=0)

    def wanted(self, architecture: nn.Module) -> tuple[str, ...]:
        """Returns the tensors that an architecture takes from the file, in the file's order.

        Raises:
          WeightsError: If names or shapes are not this architecture's.
        """
        asked: set[str] = set()

        def noting(name: str, tensor: Tensor) -> Tensor:
            def read() -> np.ndarray:
                asked.add(name)
                return tensor.read()

            return Tensor(tensor.shape, tensor.dtype, read)

        tensors = {name: noting(name, tensor) for name, tensor in self.tensors.items()}
        plan = conversion.plan(WeightFile(self.path, "safetensors", tensors), architecture)
        for read in plan.readers.values():
            read()
        return tuple(name for name in self.header if name in asked)

    def part(self, names: tuple[str, ...]) -> tuple[bytes, Spans]:
        """Returns the beginning of a safetensors file of some tensors, and where the rest of it lies in this one.

        Neighbours are one span.
        """
        entries, spans, place = {}, list[tuple[int, int]](), 0
        for name in names:
            first, last = self.header[name]["data_offsets"]
            entries[name] = {**self.header[name], "data_offsets": [place, place + last - first]}
            place += last - first
            first, last = first + self.start, last + self.start
            if spans and spans[-1][1] == first:
                spans[-1] = (spans[-1][0], last)
            else:
                spans.append((first, last))
        text = json.dumps(entries, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text, tuple(spans)
