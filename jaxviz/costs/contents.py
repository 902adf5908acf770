"""What is in a StableHLO module: its products as often as they run, loops, types, constants and foreign calls."""

import collections
import dataclasses
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from jax.extend.mlir import ir
from jax.interpreters import mlir

from jaxviz.costs.products import Product, product, width

HOST = {"stablehlo.infeed", "stablehlo.outfeed", "stablehlo.send", "stablehlo.recv"}
"""Operations by which an accelerator speaks with Python."""
SAME = {"sdy.sharding_constraint", "stablehlo.convert"}
"""Operations whose result is the number that they are given."""


@dataclasses.dataclass(frozen=True)
class Loop:
    """A loop with products in it: how many rounds it makes, None where only a run tells."""

    rounds: int | None


@dataclasses.dataclass(frozen=True)
class Contents:
    """What `contents` finds.

    Attributes:
      products: Each product that something depends on → how often it runs. A function counts for each of its
        calls, the body of a loop for each round, or once where their number is not known, and of the branches of
        a condition the one with the most operations.
      loops: Each loop around products → how often it is entered.
      custom_calls: Name of what is called → how often it stands in the program.
      callbacks: What calls Python.
      kinds: Types of all elements, as StableHLO writes them.
      constants: Bytes of all arrays that are part of the program, of more than one value.
    """

    products: collections.Counter[Product]
    loops: collections.Counter[Loop]
    custom_calls: collections.Counter[str]
    callbacks: tuple[str, ...]
    kinds: tuple[str, ...]
    constants: int


def contents(text: str) -> Contents:
    """Returns what is in a StableHLO module.

    Args:
      text: Of the module, such as `Exported.mlir_module()`, with a function `main`.

    Example:
      >>> a, b = jnp.zeros((2, 3)), jnp.zeros((3, 5))
      >>> found = contents(jax.jit(jnp.matmul).lower(a, b).as_text())
      >>> [(each.flops, times) for each, times in found.products.items()]
      [(60, 1)]
    """
    with mlir.make_ir_context():
        module = ir.Module.parse(text)
        inside: list[Any] = [operation.operation for operation in module.body.operations]
        functions = {each.attributes["sym_name"].value: each for each in inside if each.name == "func.func"}
        main = functions["main"].regions[0].blocks[0]
        found = _in_block(main, range(len(_end(main).operands)), functions, {})
        calls: collections.Counter[str] = collections.Counter()
        kinds, hosts, constants = set(), [], 0
        for each in _within(module.operation):
            kinds |= {_kind(value) for value in (*each.operands, *each.results)}
            if each.name == "stablehlo.custom_call":
                calls[each.attributes["call_target_name"].value] += 1
            elif each.name == "stablehlo.constant":
                constants += _bytes(each)
            elif each.name in HOST:
                hosts.append(each.name)
    hosts += [name for name in calls if "callback" in name]
    products = {each: times for each, times in found.items() if isinstance(each, Product)}
    loops = {each: times for each, times in found.items() if isinstance(each, Loop)}
    return Contents(
        collections.Counter(products),
        collections.Counter(loops),
        calls,
        tuple(hosts),
        tuple(sorted(kinds - {""})),
        constants,
    )


Found = collections.Counter[Product | Loop]
Numbers = dict[Any, int]
"""Argument of a function or a loop → the integer that it always is."""


def total_flops(found: collections.Counter[Any]) -> int:
    """Returns the floating point operations of all products that were found."""
    return sum(each.flops * times for each, times in found.items() if isinstance(each, Product))


def _in_block(block: Any, outputs: Iterable[int], functions: dict[str, Any], numbers: Numbers) -> Found:
    """Returns the products that those of a block's results depend on that are asked for, by their places."""
    wanted = {_end(block).operands[i] for i in outputs}
    found: Found = collections.Counter()
    for each in reversed([operation.operation for operation in block.operations][:-1]):
        asked = [i for i, result in enumerate(each.results) if result in wanted]
        if asked:
            wanted.update(value for inner in _within(each) for value in inner.operands)
            found += _in_operation(each, asked, functions, numbers)
    return found


def _in_operation(operation: Any, asked: list[int], functions: dict[str, Any], numbers: Numbers) -> Found:
    name = operation.name
    if name in ("stablehlo.convolution", "stablehlo.dot_general"):
        return collections.Counter([product(operation)])
    if name == "func.call":
        body = functions[operation.attributes["callee"].value].regions[0].blocks[0]
        given = _known(zip(body.arguments, operation.operands, strict=True), numbers)
        return _in_block(body, asked, functions, given)
    if name in ("stablehlo.case", "stablehlo.if"):
        branches = [_in_block(region.blocks[0], asked, functions, numbers) for region in operation.regions]
        return max(branches, key=total_flops)
    return _in_loop(operation, functions, numbers) if name == "stablehlo.while" else collections.Counter()


def _in_loop(loop: Any, functions: dict[str, Any], numbers: Numbers) -> Found:
    condition, body = (region.blocks[0] for region in loop.regions)
    same = [i for i, value in enumerate(_end(body).operands) if value == body.arguments[i]]
    kept = [(block.arguments[i], loop.operands[i]) for block in (condition, body) for i in same]
    numbers = numbers | _known(kept, numbers)
    found: Found = collections.Counter()
    for block in (condition, body):
        found += _in_block(block, range(len(_end(block).operands)), functions, numbers)
    if not found:
        return found
    rounds = _rounds(loop, numbers)
    repeated = {each: count * (1 if rounds is None else rounds) for each, count in found.items()}
    return collections.Counter(repeated) + collections.Counter([Loop(rounds)])


def _rounds(loop: Any, numbers: Numbers) -> int | None:
    """Returns how often a loop runs that counts from one number up to another; None for any other loop."""
    condition, body = (region.blocks[0] for region in loop.regions)
    test = _maker(_end(condition).operands[0])
    if test is None or test.name != "stablehlo.compare":
        return None
    if str(test.attributes["comparison_direction"]) != "#stablehlo<comparison_direction LT>":
        return None
    counter, limit = test.operands
    if not isinstance(counter, ir.BlockArgument) or counter.owner != condition:
        return None
    place = counter.arg_number
    step = _maker(_end(body).operands[place])
    if step is None or step.name != "stablehlo.add" or step.operands[0] != body.arguments[place]:
        return None
    first, last, pace = (_number(value, numbers) for value in (loop.operands[place], limit, step.operands[1]))
    if first is None or last is None or not pace:
        return None
    return max(0, -(-(last - first) // pace))


def _known(pairs: Iterable[tuple[Any, Any]], numbers: Numbers) -> Numbers:
    """Returns what of pairs of an argument and its value is always the same integer."""
    found = ((argument, _number(value, numbers)) for argument, value in pairs)
    return {argument: number for argument, number in found if number is not None}


def _number(value: Any, numbers: Numbers) -> int | None:
    """Returns the integer that a value always is; None where it may vary, or is no integer."""
    value = _seen_through(value)
    if isinstance(value, ir.BlockArgument):
        return numbers.get(value)
    maker = value.owner.operation
    if maker.name != "stablehlo.constant" or str(value.type) not in ("tensor<i32>", "tensor<i64>"):
        return None
    return int(np.array(maker.attributes["value"]).item())


def _maker(value: Any) -> Any:
    """Returns the operation that makes a value; None of an argument."""
    value = _seen_through(value)
    return None if isinstance(value, ir.BlockArgument) else value.owner.operation


def _seen_through(value: Any) -> Any:
    while not isinstance(value, ir.BlockArgument) and value.owner.operation.name in SAME:
        value = value.owner.operation.operands[0]
    return value


def _end(block: Any) -> Any:
    return list(block.operations)[-1].operation


def _within(operation: Any) -> Iterator[Any]:
    """Yields an operation and all inside it."""
    yield operation
    for region in operation.regions:
        for block in region.blocks:
            for inner in block.operations:
                yield from _within(inner.operation)


def _kind(value: Any) -> str:
    return str(value.type.element_type) if isinstance(value.type, ir.ShapedType) else ""


def _bytes(constant: Any) -> int:
    # One number that fills an array is written without brackets; JAX's bindings cannot be asked of complex ones.
    if not re.search(r'dense<\[|dense<"|dense_resource', str(constant)):
        return 0
    kind = ir.RankedTensorType(constant.results[0].type)
    return math.prod(kind.shape) * width(str(kind.element_type))
