"""How many additions and multiplications a program makes in products of matrices and convolutions.

The compiler's own count takes the body of a loop once, however often it runs. This one reads the traced program,
where the length of most loops is known.
"""

import math
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

PRODUCTS = ("dot_general", "conv_general_dilated")


def operations(jaxpr: Any) -> tuple[float, int]:
    """Returns the operations of a traced program, and how many loops of unknown length with products are in it.

    A product that adds up k terms counts 2k for each of its results; of a convolution those terms alone that have a
    pixel, not a zero around the image or between pixels. The body of a loop of unknown length counts once, of
    branches the one of this platform, or of most operations.

    Args:
      jaxpr: As `jax.make_jaxpr(function)(*arguments)` has it.

    Example:
      >>> from jaxviz.costs.operations import operations
      >>> x = jnp.ones((4, 5))
      >>> operations(jax.make_jaxpr(lambda x: x @ x.T)(x))
      (160.0, 0)
      >>> operations(jax.make_jaxpr(lambda x: jax.lax.map(lambda row: x @ row, x))(x))
      (160.0, 0)
    """
    total, unknown = 0.0, 0
    for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        name = equation.primitive.name
        if name in PRODUCTS:
            total += _product(equation)
            continue
        inner = [operations(each) for each in _inside(_chosen(equation.params))]
        if not inner:
            continue
        if name == "cond":
            made, loops = max(inner)
        else:
            made, loops = sum(each[0] for each in inner), sum(each[1] for each in inner)
        if name == "scan":
            made *= equation.params["length"]
        total += made
        unknown += loops + (name == "while" and made > 0)
    return total, unknown


def _chosen(parameters: dict[str, Any]) -> dict[str, Any]:
    """Returns the parameters with the one branch that this platform takes, where platforms have one each."""
    platform = jax.devices()[0].platform
    for branch, platforms in enumerate(parameters.get("branches_platforms") or ()):
        if platforms is None or platform in platforms:
            return {"branches": parameters["branches"][branch]}
    return parameters


def _inside(parameters: dict[str, Any]) -> Iterator[Any]:
    for value in parameters.values():
        for each in value if isinstance(value, tuple | list) else (value,):
            if hasattr(each, "jaxpr") or hasattr(each, "eqns"):
                yield each


def _product(equation: Any) -> float:
    given = equation.params
    left, right = (operand.aval.shape for operand in equation.invars)
    results = equation.outvars[0].aval.shape
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = given["dimension_numbers"]
        return 2.0 * math.prod(results) * math.prod(left[axis] for axis in contracted)
    images, kernels, made = given["dimension_numbers"]
    total = 2.0 * results[made[0]] * results[made[1]] * right[kernels[1]]
    for axis, (image, kernel, result) in enumerate(zip(images[2:], kernels[2:], made[2:], strict=True)):
        spread = given["lhs_dilation"][axis]
        window = np.arange(right[kernel]) * given["rhs_dilation"][axis] - given["padding"][axis][0]
        places = np.arange(results[result])[:, None] * given["window_strides"][axis] + window
        pixels = (places >= 0) & (places <= (left[image] - 1) * spread) & (places % spread == 0)
        total *= int(pixels.sum())
    return total
