"""Receptive fields, read off a network's traced program: no arithmetic runs, and no architecture is special.

Along one axis of the picture, unit i of a layer sees pixels from `start + i·step` to `stop + i·step`. A
convolution, a pooling, a slice or a padding changes these three numbers; a sum or a concatenation takes the union.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias


@dataclasses.dataclass(frozen=True)
class ReceptiveField:
    """What part of the picture the units of a layer can see, vertically and horizontally.

    Pixel k covers [k, k+1), so a picture of h rows reaches from 0 to h, and the centre of its first pixel is 0.5.
    A field may reach over the border, where there is padding.

    Attributes:
      size: Height and width in pixels.
      stride: Pixels from one unit's field to the next one's, down and to the right; (0, 0) where a layer has no
        positions.
      center: Of the first unit's field, the upper left one's.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    center: tuple[float, float]

    def box(self, row: int, column: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Returns the pixels that a unit sees: ((top, bottom), (left, right)), the second of each not included."""
        sides = []
        for i, size, stride, center in zip((row, column), self.size, self.stride, self.center, strict=True):
            start = round(center - size / 2) + i * stride
            sides.append((start, start + size))
        return sides[0], sides[1]


class _Span(NamedTuple):
    """One axis of the picture as an array sees it: along the array's `axis`, or through no axis if None."""

    axis: int | None
    start: int
    stop: int
    step: int


_Spans: TypeAlias = tuple[_Span, ...]
CALLS = ("jit", "closed_call", "core_call", "checkpoint", "custom_jvp_call", "custom_vjp_call")
MIXING = (
    "rev",
    "sort",
    "cumsum",
    "cumprod",
    "cummax",
    "cummin",
    "cumlogsumexp",
    "scan",
    "while",
    "cond",
    "fft",
)
"""Operations that mix positions though they keep the shape."""


def fields(jaxpr: Any, picture: int) -> list[ReceptiveField | None]:
    """Returns the fields of all results of a program; None for what does not depend on the picture.

    Args:
      jaxpr: A `jax.core.Jaxpr` whose argument number `picture` is [n, h, w, c].
      picture: A number of an argument.

    Raises:
      ValueError: If an operation is not understood; it is named.

    References:
      Araujo, Norris, Sim. Computing Receptive Fields of Convolutional Neural Networks. Distill 2019.
    """
    _, *extent, _ = jaxpr.invars[picture].aval.shape
    arguments: list[_Spans | None] = [None] * len(jaxpr.invars)
    arguments[picture] = tuple(_Span(1 + k, 0, 1, 1) for k in range(2))
    results = _run(jaxpr, arguments, tuple(extent))
    return [None if spans is None else _record(spans) for spans in results]


def _record(spans: _Spans) -> ReceptiveField:
    y, x = spans
    return ReceptiveField(
        (y.stop - y.start, x.stop - x.start),
        (y.step, x.step),
        ((y.start + y.stop) / 2, (x.start + x.stop) / 2),
    )


def _run(jaxpr: Any, arguments: Sequence[_Spans | None], extent: tuple[int, ...]) -> list[_Spans | None]:
    known = dict(zip(jaxpr.invars, arguments, strict=True))

    def look(atom: Any) -> _Spans | None:
        return None if hasattr(atom, "val") else known.get(atom)  # literals have a value, and no hash

    for equation in jaxpr.eqns:
        given = [look(atom) for atom in equation.invars]
        if any(given):
            known.update(zip(equation.outvars, _equation(equation, given, extent), strict=True))
    return [look(atom) for atom in jaxpr.outvars]


def _equation(equation: Any, given: list[_Spans | None], extent: tuple[int, ...]) -> list[_Spans | None]:
    name, options = equation.primitive.name, equation.params
    if name in CALLS:
        inner = options["call_jaxpr"] if "call_jaxpr" in options else options["jaxpr"]
        return _run(getattr(inner, "jaxpr", inner), given, extent)
    if name == "cond" and options.get("branches_platforms"):  # the last branch is for no special platform
        return _run(options["branches"][-1].jaxpr, given[1:], extent)
    seen = [
        tuple(_moved(equation, k, span, limit) for span, limit in zip(spans, extent, strict=True))
        for k, spans in enumerate(given)
        if spans is not None
    ]
    shape = equation.outvars[0].aval.shape
    joined = seen[0]
    for other in seen[1:]:
        joined = tuple(_union(a, b, shape, limit) for a, b, limit in zip(joined, other, extent, strict=True))
    return [joined] * len(equation.outvars)


def _collapsed(span: _Span, shape: Sequence[int], limit: int) -> _Span:
    """Returns what all units together see, within the picture."""
    last = 0 if span.axis is None else (shape[span.axis] - 1) * span.step
    return _Span(None, max(0, span.start), min(limit, span.stop + last), 0)


def _union(a: _Span, b: _Span, shape: Sequence[int], limit: int) -> _Span:
    if a.step != b.step:
        if a.step and b.step:
            raise ValueError(
                f"features of steps {a.step} and {b.step} pixels are joined; they are not aligned"
            )
        a, b = _collapsed(a, shape, limit), _collapsed(b, shape, limit)
    return _Span(a.axis, min(a.start, b.start), max(a.stop, b.stop), a.step)


def _moved(equation: Any, operand: int, span: _Span, limit: int) -> _Span:
    """Returns what an operation makes of the span of one of its operands."""
    if span.axis is None:
        return span
    shape, out = equation.invars[operand].aval.shape, equation.outvars[0].aval.shape
    name, options, axis = equation.primitive.name, equation.params, span.axis
    to: int | None = axis
    if name == "conv_general_dilated":
        return _convolved(options, span, equation.invars[1].aval.shape)
    if name.startswith("reduce_window"):
        reach = (options["window_dimensions"][axis] - 1) * options["window_dilation"][axis]
        return _windowed(span, axis, reach, options["window_strides"][axis], options["padding"][axis][0])
    if name == "slice":
        stride = 1 if options["strides"] is None else options["strides"][axis]
        return _windowed(span, axis, 0, stride, -options["start_indices"][axis])
    if name == "pad" and options["padding_config"][axis][2] == 0:
        return _windowed(span, axis, 0, 1, int(options["padding_config"][axis][0]))
    if name == "dot_general":
        to = _multiplied(options["dimension_numbers"], operand, axis, equation.invars)
    elif name.startswith(("reduce_", "arg")) and "axes" in options:
        to = _without(options["axes"], axis)
    elif name == "squeeze":
        to = _without(options["dimensions"], axis)
    elif name == "transpose":
        to = options["permutation"].index(axis)
    elif name == "broadcast_in_dim":
        to = options["broadcast_dimensions"][axis]
        to = to if out[to] == shape[axis] else None
    elif name == "reshape":
        same = (k for k in range(len(out)) if math.prod(out[:k]) == math.prod(shape[:axis]))
        to = next((k for k in same if out[k] == shape[axis]), None)
    elif name == "concatenate" and options["dimension"] != axis:
        to = axis
    elif name in MIXING or shape != out:
        raise ValueError(f"what {name!r} does to receptive fields is not known")
    return _collapsed(span, shape, limit) if to is None else span._replace(axis=to)


def _windowed(span: _Span, axis: int, reach: int, stride: int, padding: int) -> _Span:
    start = span.start - padding * span.step
    return _Span(axis, start, span.stop + (reach - padding) * span.step, span.step * stride)


def _convolved(options: Mapping[str, Any], span: _Span, kernel: Sequence[int]) -> _Span:
    numbers = options["dimension_numbers"]
    k = numbers.lhs_spec[2:].index(span.axis)
    if options["lhs_dilation"][k] != 1:
        raise ValueError("units of a transposed convolution have no receptive field of one size")
    reach = (kernel[numbers.rhs_spec[2 + k]] - 1) * options["rhs_dilation"][k]
    stride, padding = options["window_strides"][k], options["padding"][k][0]
    return _windowed(span, numbers.out_spec[2 + k], reach, stride, padding)


def _multiplied(numbers: Any, operand: int, axis: int, operands: Sequence[Any]) -> int | None:
    """Returns where an axis is in a product, whose axes are batch, then free of the first, then of the second."""
    contracted, batch = numbers
    if axis in contracted[operand]:
        return None
    if axis in batch[operand]:
        return tuple(batch[operand]).index(axis)
    bound = [{*contracted[k], *batch[k]} for k in (0, 1)]
    before = len(operands[0].aval.shape) - len(bound[0]) if operand else 0
    return len(batch[0]) + before + sum(k not in bound[operand] for k in range(axis))


def _without(gone: Sequence[int], axis: int) -> int | None:
    return None if axis in gone else axis - sum(k < axis for k in gone)
