"""Convolutions and products of matrices, as StableHLO states them: how much work, of what, and how exactly."""

import dataclasses
import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from jax.extend.mlir import ir
from jax.extend.mlir.dialects import stablehlo

SUBLANES, LANES = 8, 128
"""Rows and columns of a tile of 4-byte numbers in a TPU's memory; of narrower numbers it has as many rows more."""


Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An operand of a product, or its result.

    Attributes:
      shape: As in the program.
      kind: Type of its elements as StableHLO writes it, such as "f32" or "bf16".
    """

    shape: Shape
    kind: str

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """What it takes in memory without padding."""
        return self.size * width(self.kind)

    @property
    def padded(self) -> int:
        """Number of elements of whole tiles: the last axis lies in their columns, the one before in their rows."""
        *others, rows, columns = (1, 1, *self.shape)
        tall = SUBLANES * 4 // min(4, width(self.kind)) if len(self.shape) > 1 else 1
        return math.prod(others) * _filled(rows, tall) * _filled(columns, LANES)


@dataclasses.dataclass(frozen=True)
class Product:
    """One convolution or product of matrices.

    Attributes:
      operation: "convolution" or "dot_general".
      operands: Left and right; of a convolution images and kernel.
      result: What it makes.
      flops: Multiplications and additions of one execution. Those of a convolution with zeros that it puts around
        images, or between their pixels, are not counted.
      precision: What XLA is asked for: "DEFAULT", "HIGH" or "HIGHEST", of both operands where they differ.
    """

    operation: str
    operands: tuple[Tensor, Tensor]
    result: Tensor
    flops: int
    precision: str

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Operands and result."""
        return (*self.operands, self.result)

    @property
    def bytes(self) -> int:
        """What is read and written once."""
        return sum(tensor.bytes for tensor in self.tensors)

    @property
    def intensity(self) -> float:
        """Floating point operations for each byte."""
        return self.flops / max(1, self.bytes)

    @property
    def padding(self) -> float:
        """Share of its tensors' memory that is padding on a TPU, in [0, 1]."""
        return 1 - sum(each.size for each in self.tensors) / max(1, sum(each.padded for each in self.tensors))


def width(kind: str) -> int:
    """Returns the bytes of one element of a type as StableHLO writes it."""
    bits = int(re.findall(r"\d+", kind)[0])
    return max(1, bits // 8) * (2 if kind.startswith("complex") else 1)


def product(operation: Any) -> Product:
    """Returns what a `stablehlo.convolution` or `stablehlo.dot_general` is."""
    convolves = operation.name == "stablehlo.convolution"
    types = [ir.RankedTensorType(value.type) for value in (*operation.operands, *operation.results)]
    shapes = [tuple(each.shape) for each in types]
    flops = (_of_convolution if convolves else _of_matrices)(operation, *shapes)
    left, right, result = (
        Tensor(shape, str(each.element_type)) for shape, each in zip(shapes, types, strict=True)
    )
    asked: Iterable[Any] = ()
    if "precision_config" in operation.attributes:
        asked = operation.attributes["precision_config"]
    precisions = dict.fromkeys(stablehlo.PrecisionAttr(each).value for each in asked)
    name = operation.name.removeprefix("stablehlo.")
    return Product(name, (left, right), result, flops, "/".join(precisions) or "DEFAULT")


def _of_matrices(operation: Any, left: Shape, right: Shape, result: Shape) -> int:
    numbers = stablehlo.DotDimensionNumbers(operation.attributes["dot_dimension_numbers"])
    return 2 * math.prod(result) * math.prod(left[axis] for axis in numbers.lhs_contracting_dimensions)


def _of_convolution(operation: Any, images: Shape, kernel: Shape, result: Shape) -> int:
    numbers = stablehlo.ConvDimensionNumbers(operation.attributes["dimension_numbers"])
    axes = list(
        zip(
            numbers.input_spatial_dimensions,
            numbers.kernel_spatial_dimensions,
            numbers.output_spatial_dimensions,
            strict=True,
        )
    )
    ones, unpadded = [1] * len(axes), [(0, 0)] * len(axes)
    strides, margins = _given(operation, "window_strides", ones), _given(operation, "padding", unpadded)
    spread, apart = _given(operation, "lhs_dilation", ones), _given(operation, "rhs_dilation", ones)
    # The kernel has the channels of one group already, and the result the pictures of one.
    flops = 2 * result[numbers.output_batch_dimension] * result[numbers.output_feature_dimension]
    flops *= kernel[numbers.kernel_input_feature_dimension]
    for i, (x, k, y) in enumerate(axes):
        flops *= _meetings(images[x], kernel[k], result[y], strides[i], margins[i][0], spread[i], apart[i])
    return flops


def _meetings(
    size: int, window: int, positions: int, stride: int, before: int, spread: int, apart: int
) -> int:
    """Returns how many pairs of a position and a place in the window meet a pixel, along one axis."""
    met = np.arange(positions)[:, None] * stride + np.arange(window) * apart - before
    return int(np.sum((met >= 0) & (met < size * spread) & (met % spread == 0)))


def _given(operation: Any, name: str, usual: list[Any]) -> list[Any]:
    if name not in operation.attributes:
        return usual
    return np.array(operation.attributes[name]).tolist()


def _filled(size: int, tile: int) -> int:
    return -(-size // tile) * tile
