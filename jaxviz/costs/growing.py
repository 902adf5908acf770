"""How the cost of a technique grows with the size of the picture, the number of pictures, and of evaluations."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxviz import zoo
from jaxviz._checks import known
from jaxviz.costs.programs import TECHNIQUES, program
from jaxviz.costs.timing import spread, timed, together, traced
from jaxviz.drawing import plots

SIZES, BATCHES, STEPS = (64, 96, 128, 192, 256), (1, 2, 4, 8), (1, 2, 4, 8)
KINDS = ("size", "batch", "steps")
SIZE = 128
"""Side of the picture of which batches and steps are varied."""


def growth(
    technique: str = "style",
    *,
    sizes: Sequence[int] = SIZES,
    batches: Sequence[int] = BATCHES,
    steps: Sequence[int] = STEPS,
    size: int = SIZE,
    precision: str = "float32",
    seconds: float | int = 1.0,
    on_point: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    r"""Returns the seconds and the memory of a technique over size, batch and steps, each with its exponent.

    .. math:: cost = c \, x^a

    by least squares on the logarithms. Batches are one program, by `jax.vmap`; `jaxviz.batched` cuts large ones up.
    Steps are evaluations in one call of the loop, of a technique that minimizes.

    Args:
      technique: One of `TECHNIQUES`.
      sizes: Sides of the picture in pixels.
      batches: Numbers of pictures; left out where the technique makes one result of many.
      steps: Numbers of evaluations; left out where the technique makes none.
      size: Side of the picture while batches and steps vary.
      precision: Of the network.
      seconds: For how long each is repeated, at least twice.
      on_point: Called with what is measured next, in words.

    Returns:
      "size", "batch", "steps" → `points`, each with `at`, `median_s`, `memory_bytes`, and `exponents`: "seconds"
      and "memory" → a; None where fewer than two points are there.

    Raises:
      KeyError: If there is no such technique.
      ValueError: If a number is below 1.

    Example:
      >>> from jaxviz import costs
      >>> found = costs.growth("activations", sizes=(32, 64), batches=(), steps=(), seconds=0)
      >>> [point["at"] for point in found["size"]["points"]]
      [32, 64]
    """
    family, method = TECHNIQUES[known(technique, TECHNIQUES, "technique")]
    batches = () if method.of_many else batches
    steps = () if method.problem is None else steps
    network = zoo.load(family.network, precision=precision)
    tell = on_point or (lambda text: None)

    def measured(side: int, batch: int, evaluations: Sequence[int] = (1,)) -> list[dict[str, Any]]:
        made = program(technique, network=network, size=side)
        made = made if batch == 1 else together(made, batch)
        arguments = jax.device_put(made.make())
        compiled = traced(made, arguments).compiled()
        found = []
        for n in evaluations:
            given = (*arguments[:-1], np.int32(n)) if made.unit == "evaluation" else arguments
            times = timed(functools.partial(compiled.call, *given), seconds)
            found.append({"memory_bytes": compiled.memory_bytes} | spread(times))
        return found

    points: dict[str, list[dict[str, Any]]] = {name: [] for name in KINDS}
    for side in sizes:
        tell(f"{side}×{side} pixels")
        points["size"].append({"at": side} | measured(side, 1)[0])
    for batch in batches:
        tell(f"{batch} at once")
        points["batch"].append({"at": batch} | measured(size, batch)[0])
    if steps:
        tell("steps")
        found = zip(steps, measured(size, 1, steps), strict=True)
        points["steps"] = [{"at": n} | point for n, point in found]
    record = {name: {"points": each, "exponents": exponents(each)} for name, each in points.items()}
    return {"technique": technique, "precision": precision, "at_size": size} | record


def exponents(points: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Returns the exponents of "seconds" and "memory" over `at`, by least squares on the logarithms.

    None where there are fewer than two points, or one has no such number.

    Example:
      >>> from jaxviz.costs.growing import exponents
      >>> found = exponents([{"at": x, "median_s": 3.0 * x**2, "memory_bytes": 5 * x} for x in (1, 2, 4)])
      >>> round(found["seconds"], 6), round(found["memory"], 6)
      (2.0, 1.0)
    """
    found: dict[str, float | None] = {}
    for said, name in (("seconds", "median_s"), ("memory", "memory_bytes")):
        values = [point[name] for point in points]
        found[said] = None
        if len({point["at"] for point in points}) > 1 and all(values):
            slope, _ = np.polyfit(np.log([point["at"] for point in points]), np.log(values), 1)
            found[said] = float(slope)
    return found


def drawn(found: Mapping[str, Any]) -> np.ndarray:
    """Returns the seconds of what `growth` returned as curves on logarithmic axes, a picture in [0, 1]."""
    curves = {}
    for name in KINDS:
        if found[name]["points"]:
            points, exponent = found[name]["points"], found[name]["exponents"]["seconds"]
            label = name if exponent is None else f"{name}, exponent {exponent:.2f}"
            curves[label] = [(point["at"] / points[0]["at"], point["median_s"]) for point in points]
    title = f"{found['technique']}: what a call takes"
    return plots.power_plot(curves, across="÷ the smallest", up="seconds", title=title) / np.float32(255)
