"""What a technique's program asks of a platform: work, memory, padding, precision; read off it, not measured."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

from jaxviz.costs.contents import Contents, contents, total_flops
from jaxviz.costs.lowering import lowered
from jaxviz.costs.products import Product, Tensor
from jaxviz.costs.programs import SIZE, program
from jaxviz.networks import Network


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What `explain` finds.

    Attributes:
      technique: The method's name.
      platform: For which its program was lowered.
      size: Side of the picture in pixels.
      unit: What one call makes: a "picture" or an "evaluation".
      contents: Products, loops, custom calls, types and constants of the program.
      arguments: Bytes of the arguments that the program reads, weights included.
      results: Bytes of what it returns.
    """

    technique: str
    platform: str
    size: int
    unit: str
    contents: Contents
    arguments: int
    results: int

    @property
    def flops(self) -> int:
        """Multiplications and additions of all products."""
        return total_flops(self.contents.products)

    @property
    def bytes(self) -> int:
        """What the products read and write, each by itself: none is fused with another operation."""
        return sum(product.bytes * times for product, times in self.contents.products.items())

    @property
    def intensity(self) -> float:
        """Operations for each byte that the products read and write."""
        return self.flops / max(1, self.bytes)

    @property
    def intensity_at_most(self) -> float:
        """Operations for each byte of arguments and results: as if all else never left the processor."""
        return self.flops / max(1, self.arguments + self.results)

    @property
    def padding(self) -> float:
        """Share of the memory of the products' operands and results that is padding on a TPU, in [0, 1]."""
        found = [(each, n) for product, n in self.contents.products.items() for each in product.tensors]
        return 1 - sum(each.size * n for each, n in found) / max(1, sum(each.padded * n for each, n in found))

    @property
    def ordered(self) -> list[tuple[Product, int]]:
        """The products and how often each runs, the most work first."""
        return sorted(self.contents.products.items(), key=lambda pair: -pair[0].flops * pair[1])

    def record(self) -> dict[str, Any]:
        """Returns all that was found as numbers, texts, lists and dictionaries, as JSON has them."""
        held = self.contents
        return {
            "technique": self.technique,
            "platform": self.platform,
            "size": self.size,
            "unit": self.unit,
            "flops": self.flops,
            "bytes": self.bytes,
            "intensity": self.intensity,
            "intensity_at_most": self.intensity_at_most,
            "padding": self.padding,
            "arguments": self.arguments,
            "results": self.results,
            "products": [_of_product(product, times) for product, times in self.ordered],
            "loops": [{"rounds": loop.rounds, "times": times} for loop, times in held.loops.items()],
            "custom_calls": dict(held.custom_calls),
            "callbacks": list(held.callbacks),
            "kinds": list(held.kinds),
            "constants": held.constants,
        }


def explain(
    technique: str,
    *,
    platform: str = "tpu",
    size: int = SIZE,
    precision: str = "float32",
    network: Network | None = None,
) -> Explanation:
    """Returns what a technique's program asks of a platform, which need not be here.

    The program is lowered to StableHLO, with the platform's own derivative rules, and read. Nothing is compiled:
    what XLA fuses, lays out otherwise or leaves away is not seen, and what is no product is not counted.

    Padding is that of arrays as they are stored: the last axis, of features their channels, lies in the 128 columns
    of a TPU's tiles, and the one before, of features their width, in the 8 rows, 16 of bfloat16. XLA may choose
    another order, and flatter tiles for short axes.

    Args:
      technique: One of `TECHNIQUES`.
      platform: One of `PLATFORMS`.
      size: Side of the picture in pixels.
      precision: Of a network of the family's: "float32", "tf32" or "bfloat16".
      network: Φ; None for the family's own.

    Raises:
      KeyError: If there is no such technique, platform or precision.
      ValueError: If the size is below 1.

    Example:
      >>> from jaxviz import costs
      >>> found = costs.explain("gradient", size=64)
      >>> found.flops, {product.precision for product in found.contents.products}
      (57307904, {'HIGHEST'})
    """
    made = program(technique, network=network, size=size, precision=precision)
    exported = lowered(made, platform)
    read = [exported.in_avals[i] for i in exported.module_kept_var_idx]
    return Explanation(
        made.technique,
        platform,
        size,
        made.unit,
        contents(exported.mlir_module()),
        _bytes(read),
        _bytes(exported.out_avals),
    )


def _bytes(shapes: Iterable[Any]) -> int:
    return sum(math.prod(each.shape) * each.dtype.itemsize for each in shapes)


def _of_product(product: Product, times: int) -> dict[str, Any]:
    return {
        "operation": product.operation,
        "times": times,
        "operands": [_of_tensor(each) for each in product.operands],
        "result": _of_tensor(product.result),
        "flops": product.flops,
        "bytes": product.bytes,
        "intensity": product.intensity,
        "padding": product.padding,
        "precision": product.precision,
    }


def _of_tensor(tensor: Tensor) -> dict[str, Any]:
    return {
        "shape": list(tensor.shape),
        "kind": tensor.kind,
        "size": tensor.size,
        "padded": tensor.padded,
    }
