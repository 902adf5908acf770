"""One method over grids: pictures × weights × seeds, many in one compiled program."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxviz.networks import Network
from jaxviz.optimization import Solution
from jaxviz.techniques import solving
from jaxviz.techniques.registry import Method
from jaxviz.techniques.solving import solve_many, taken

MOST = 1024
"""Results of a grid, at most: who wants more names the number."""


def grid(
    method: Method,
    network: Network,
    inputs: Sequence[tuple[Any, ...]],
    over: Mapping[str, Sequence[float | int]],
    *,
    seeds: Sequence[int] = (0,),
    at_once: int | None = None,
    most: int = MOST,
    mesh: Any = None,
    on_part: Callable[[int, int], None] | None = None,
    **options: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what a method that minimizes finds for every input, every value of some numbers, and every seed.

    All inputs have the same shapes, so one program serves the whole grid, some problems at a time; what a problem
    gives does not depend on the others.

    Args:
      method: Of a family, such as `jaxviz.techniques.FAMILIES["style"].methods["style"]`.
      network: Φ.
      inputs: Of each what the method's problem takes after the network, such as (content, [style]).
      over: Option → its values; options of the problem that are numbers.
      seeds: Of the starts.
      at_once: Problems in one program; None for 4 on a CPU and 16 elsewhere, times the devices of a mesh.
      most: Results above which the grid is refused.
      mesh: Devices to share the problems among, from `sharding.mesh`.
      on_part: Called with the number of results that are made, and of all.
      options: Keywords that all share: of the problem, and `steps` and `optimizer`.

    Returns:
      Pictures [inputs, values of the first option, …, seeds, h, w, 3], and the lowest loss of each,
      [inputs, …, seeds].

    Raises:
      ValueError: If there is nothing to do, there are more results than `most`, an option is none of the
        problem's numbers, or the inputs differ in their shapes.

    Example:
      >>> from jaxviz.techniques import FAMILIES, grids
      >>> picture, style = jnp.full((16, 24, 3), 0.5), jnp.full((16, 16, 3), 0.2)
      >>> layers = {"content_weights": {"relu1_2": 1}, "style_weights": {"relu1_1": 1}}
      >>> found, losses = grids.grid(
      ...     FAMILIES["style"].methods["style"], jaxviz.load("vgg16"), [(picture, [style])],
      ...     {"style_weight": [0.1, 1.0]}, steps=1, **layers)
      >>> found.shape, losses.shape
      ((1, 2, 1, 16, 24, 3), (1, 2, 1))
    """
    axes: list[list[Any]] = [list(inputs), *(list(values) for values in over.values()), list(seeds)]
    shape = tuple(map(len, axes))
    count = int(np.prod(shape))
    if count == 0:
        raise ValueError(f"the grid has {' × '.join(map(str, shape))} results; expected at least one")
    if count > most:
        raise ValueError(
            f"the grid has {' × '.join(map(str, shape))} = {count:,} results; at most {most:,} are made"
        )
    if method.problem is None or method.schedule is None:
        raise ValueError(f"{method.title} minimizes nothing; a grid is of problems")
    for name in over:
        said = method.options.get(name)
        if said is None or said.kind not in ("number", "fraction"):
            numbers = [n for n, other in method.options.items() if other.kind in ("number", "fraction")]
            raise ValueError(f"a grid cannot go over {name}; over numbers it can: {', '.join(numbers)}")
        if name not in taken(method.problem, {name: None}):
            raise ValueError(f"a grid cannot go over {name}, which is no number of the problem")
    own = {**taken(method.problem, options), **taken(method.schedule, options)}
    if foreign := [name for name in options if name not in own]:
        raise ValueError(f"a grid takes no {', '.join(foreign)}, only options of the problem and its steps")
    if at_once is None:
        at_once = solving.at_once() * (1 if mesh is None else mesh.size)
    points = list(itertools.product(*axes))
    pictures: list[np.ndarray] = []
    losses: list[float] = []
    for first in range(0, count, at_once):
        part = points[first : first + at_once]
        # Filled up, so that one number of problems is one program, with the same bits whatever else is asked.
        whole = [*part, *[part[-1]] * (at_once - len(part))]
        found = solve_many(
            method,
            network,
            [point[0] for point in whole],
            [{**options, **_numbers(over, point), "key": jax.random.key(point[-1])} for point in whole],
            mesh=mesh,
        )
        pictures += list(np.asarray(found.value)[: len(part)])
        losses += _lowest(found)[: len(part)]
        if on_part is not None:
            on_part(len(pictures), count)
    stacked = np.stack(pictures)
    return stacked.reshape(*shape, *stacked.shape[1:]), np.asarray(losses, np.float32).reshape(shape)


def _numbers(over: Mapping[str, Any], point: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(over, point[1:-1], strict=True))


def _lowest(found: Solution) -> list[float]:
    return [float(np.fmin.reduce(row, initial=np.inf)) for row in np.asarray(found.losses)]
