"""What a weight file is to the rest of the library, whoever wrote it: named arrays that wait to be read."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np


class WeightsError(ValueError):
    """A weight file that is missing, damaged, or of another network; says file, expected and found."""


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One array of a weight file.

    Attributes:
      shape: Its shape, in the layout of the file.
      dtype: Its type in the file; bfloat16 is `ml_dtypes.bfloat16`.
      read: Returns the array, of that shape and type; raises WeightsError if the file is damaged there.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]


@dataclasses.dataclass(frozen=True)
class WeightFile:
    """The contents of a weight file; shapes are known, arrays are read one at a time, when asked for.

    Attributes:
      path: Where it is.
      format: "safetensors", "pytorch", "keras", "npz" or "onnx".
      tensors: Name → array, in the file's order.
      metadata: What the file says of itself, as text.
    """

    path: Path
    format: str
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
