"""How a network is built: of each tap its shape, the module that makes it, and what it sees; by tracing alone."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict

from jaxviz.networks.fields import ReceptiveField, fields
from jaxviz.networks.network import parameter_shapes, plain

Path: TypeAlias = tuple[str, ...]
STATISTICS = ("mean", "variance")
"""What normalization keeps beside its parameters; it is measured, not learned."""


@dataclasses.dataclass(frozen=True)
class Part:
    """One tap of a 224×224 picture.

    Attributes:
      shape: [h, w, c], or [c] for a tap without positions.
      module: Path of the innermost module that returns it; None where it is made by a function, as a ReLU is.
      parameters: Numbers that this module has learned.
      field: What its units see.
    """

    shape: tuple[int, ...]
    module: Path | None
    parameters: int
    field: ReceptiveField


@dataclasses.dataclass(frozen=True)
class Structure:
    """A whole network.

    Attributes:
      parts: By tap, in the order of computation.
      convolutions: Name → path of the module that has the kernel, in the order of computation. Names are those of
        the taps that are made by one convolution, and of the modules.
      parameters: Numbers that the network has learned.
    """

    parts: Mapping[str, Part]
    convolutions: Mapping[str, Path]
    parameters: int


def structure(architecture: nn.Module) -> Structure:
    """Returns how an architecture is built.

    Args:
      architecture: A Linen module that returns taps.

    Raises:
      ValueError: If it contains an operation whose receptive field is not known.
    """
    return _structure(plain(architecture))


@functools.cache
def _structure(architecture: nn.Module) -> Structure:
    params = parameter_shapes(architecture)
    made: list[tuple[Any, Path]] = []  # in the order in which calls end: an inner one before the outer
    shapes: dict[str, tuple[int, ...]] = {}
    makers: dict[str, Path | None] = {}

    def noted(call: Any, arguments: Any, keywords: Any, context: nn.module.InterceptorContext) -> Any:
        result = call(*arguments, **keywords)
        if context.method_name == "__call__":
            made.append((result, context.module.path))
        return result

    def run(params: Any, x: Any) -> Any:
        with nn.intercept_methods(noted):
            taps: Any = architecture.apply({"params": params}, x)
        innermost = {id(result): path for result, path in reversed(made)}
        for name, value in taps.items():
            shapes[name] = value.shape[1:]
            makers[name] = innermost.get(id(value))
        return list(taps.values())

    program = jax.make_jaxpr(run)(params, jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)).jaxpr
    learned: dict[Path, int] = {}
    for (*path, kind), leaf in flatten_dict(params).items():
        size = 0 if kind in STATISTICS else math.prod(leaf.shape)
        learned[tuple(path)] = learned.get(tuple(path), 0) + size
    seen = fields(program, len(program.invars) - 1)
    parts = {}
    for (name, shape), field in zip(shapes.items(), seen, strict=True):
        if field is None:
            raise ValueError(f"tap {name!r} does not depend on the picture")
        parts[name] = Part(shape, makers[name], learned.get(makers[name] or (), 0), field)
    paths = [path for _, path in made]
    return Structure(parts, _convolutions(params, parts, paths), sum(learned.values()))


def _convolutions(params: Any, parts: Mapping[str, Part], order: list[Path]) -> dict[str, Path]:
    kernels = {
        path[:-1] for path, leaf in flatten_dict(params).items() if path[-1] == "kernel" and leaf.ndim == 4
    }
    names: dict[str, Path] = {}
    for name, part in parts.items():
        if part.module is not None:
            inside = [path for path in kernels if path[: len(part.module)] == part.module]
            if len(inside) == 1:
                names[name] = inside[0]
    for path in kernels:
        names.setdefault("/".join(path), path)
    position = {path: k for k, path in enumerate(order)}
    return dict(sorted(names.items(), key=lambda item: position.get(item[1], len(order))))
