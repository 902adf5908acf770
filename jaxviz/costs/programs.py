"""The program of each technique: the function that is compiled, and arguments of its usual shapes.

It is made from what the method declares, so a new one has its program by its entry.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import jaxviz
from jaxviz import objectives
from jaxviz._checks import known, whole
from jaxviz.networks import Network
from jaxviz.stepping import advance, init
from jaxviz.techniques import FAMILIES, Family, Method
from jaxviz.techniques.solving import taken

SIZE = 224
LABEL, OTHER = 285, 859
"""Classes of ImageNet's that are asked for: a cat's, and one that is none."""
LAYER = "relu4_2"
"""What is visualized in a network without a classifier."""


def _computes(family: Family, method: Method) -> bool:
    return family.name != "features" or method.result == "activations"


TECHNIQUES: dict[str, tuple[Family, Method]] = {
    name: (family, method)
    for family in FAMILIES.values()
    for name, method in family.methods.items()
    if _computes(family, method)
}
"""Name of a method → its family and what it declares, of all that compute anything."""


@dataclasses.dataclass(frozen=True)
class Program:
    """What a technique compiles.

    Attributes:
      technique: The method's name.
      family: Its family's.
      size: Side of the picture in pixels.
      unit: What one call makes: a "picture", or of a method that minimizes an "evaluation" of value and gradient.
      function: Of arrays alone; pure.
      make: Returns its arguments: networks, pictures, problems and states, none of them inside the function.
      of_many: Whether one result is sought for many pictures.
    """

    technique: str
    family: str
    size: int
    unit: str
    function: Callable[..., Any]
    make: Callable[[], tuple[Any, ...]]
    of_many: bool = False

    @property
    def shapes(self) -> tuple[Any, ...]:
        """The arguments as shapes and types: nothing is computed but of many pictures, which are looked at."""
        if not self.of_many:
            return tuple(jax.eval_shape(self.make))
        return tuple(jax.eval_shape(lambda made: made, self.make()))


def program(
    technique: str, *, network: Network | None = None, size: int = SIZE, precision: str = "float32"
) -> Program:
    """Returns the program of a technique, for a picture of the usual size, with the options that it has by itself.

    Args:
      technique: One of `TECHNIQUES`, such as "style", "integrated-gradients" or "pgd".
      network: Φ; None for the family's own.
      size: Side of the picture in pixels.
      precision: Of a network of the family's: "float32", "tf32" or "bfloat16".

    Raises:
      KeyError: If there is no such technique.
      ValueError: If the size is below 1.

    Example:
      >>> from jaxviz import costs
      >>> found = costs.program("grad-cam", size=64)
      >>> found.unit, jax.eval_shape(found.function, *found.shapes).shape
      ('picture', (64, 64))
    """
    family, method = TECHNIQUES[known(technique, TECHNIQUES, "technique")]
    whole(size, "size")
    if network is None:
        network = jaxviz.load(family.network, precision=precision)
    inputs = _inputs(family, method, network, size)
    options: dict[str, Any] = {
        name: said.usual for name, said in method.options.items() if said.usual is not None
    }
    options |= {name: OTHER for name in method.options if method.required(name) and name == "target"}
    if "size" in method.options and family.name == "visualization":
        options["size"] = size
    if method.result == "activations":
        options["layer"] = network.layers[len(network.layers) // 2]

    def one(network: Network, *inputs: Any) -> Any:
        return method.function(network, *inputs, **options)

    def solving() -> tuple[Any, ...]:
        return _started(method, network, inputs, options)

    function: Callable[..., Any] = one
    unit, make = "picture", lambda: (network, *inputs)
    if method.problem is not None:
        unit, function, make = "evaluation", advance, solving
    return Program(technique, family.name, size, unit, function, make, method.of_many)


def _started(
    method: Method, network: Network, inputs: tuple[Any, ...], options: dict[str, Any]
) -> tuple[Any, ...]:
    made: Any = method
    problem, z = made.problem(network, *inputs, **taken(made.problem, options))
    _, optimizer = made.schedule(z, **taken(made.schedule, options))
    return problem, init(problem, z, optimizer, jax.random.key(0)), np.int32(1)


def _inputs(family: Family, method: Method, network: Network, size: int) -> tuple[Any, ...]:
    picture = drawn(size)
    if method.of_many:
        return np.stack([picture, picture[::-1]]), np.array([LABEL, LABEL], np.int32)
    if family.name in ("saliency", "attacks"):
        return picture, np.int32(LABEL)
    if family.name == "visualization":
        layer, unit = ("logits", LABEL) if network.classes else (LAYER, 0)
        return (objectives.unit(layer, unit),)
    return (picture, [picture[::-1].copy()]) if family.name == "style" else (picture,)


def drawn(size: int) -> np.ndarray:
    """Returns a picture with structure at all scales, [size, size, 3], in [0, 1], the same in each process."""
    generator = np.random.default_rng(0)
    total = np.zeros((size, size, 3), np.float32)
    side = 1
    while side < 2 * size:
        blocks = generator.standard_normal((side, side, 3)).astype(np.float32)
        rows = np.arange(size) * side // size
        total += blocks[rows][:, rows]
        side *= 2
    return 1 / (1 + np.exp(-total / 2))
