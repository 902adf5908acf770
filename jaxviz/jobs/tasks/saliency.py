"""Which pixels matter, by every method of the family."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxviz.drawing import maps
from jaxviz.jobs.sizes import Square
from jaxviz.jobs.sources import Item
from jaxviz.jobs.tasks.base import Mapped, Result, Task, checked_save, described, plain, split
from jaxviz.jobs.tasks.classes import CLASSES, classes, logits
from jaxviz.networks import Network
from jaxviz.objectives import Unit
from jaxviz.techniques import FAMILIES
from jaxviz.techniques.classes import checked_top


def saliency(
    network: Network,
    *,
    method: str = "gradient",
    label: int | None = None,
    top: int = 1,
    neuron: Unit | None = None,
    size: int = 224,
    save: str = "pictures",
    overlay: bool = False,
    **options: Any,
) -> Task:
    """Returns the task of drawing which pixels a class's score, or a neuron, depends on.

    Args:
      network: One with a classifier, unless a neuron is explained.
      method: Of `FAMILIES["saliency"]`.
      label: The class; None for each picture's best.
      top: Explain so many of each picture's best classes, at least 1; maps then have a leading axis.
      neuron: Explain this instead, from `objectives.unit`.
      size: Side of the square that is cut from each picture.
      save: "pictures" of the maps, "arrays" of them as they are, or "both".
      overlay: Whether maps are drawn over their pictures.
      options: The method's.

    Raises:
      KeyError, ValueError: If the method or an option does not exist, `top` is out of range or given with a
        `label` or a `neuron`, or the network has no classifier.
    """
    family = FAMILIES["saliency"]
    if neuron is None or top != 1:
        checked_top(network, top, chosen=label is not None or neuron is not None)
    fixed, varying = split(family, method, options)
    numbers = {"options": varying, "neuron": neuron}
    checked_save(save)
    function = _explained(method, fixed, top)
    shapes = jax.eval_shape(
        function,
        network,
        jax.ShapeDtypeStruct((size, size, 3), np.float32),
        np.int32(0),
        numbers,
    )[3]
    scalars = [name for name, shape in shapes.items() if shape.ndim == (top > 1)]
    drawn_as = family.method(method).result

    def told(item: Item, pixels: np.ndarray, found: Any) -> Result | str:
        scores, target, values, more = found
        if not (np.isfinite(scores).all() and np.isfinite(values).all()):
            return "the scores or the map are NaN or infinite"
        row = {k: more[k].tolist() for k in scalars}
        if network.classes is not None:
            row |= classes(network, scores) | {"target": None if neuron is not None else target.tolist()}
        under = pixels if overlay else None
        drawn = {}
        for k, one in enumerate(values if top > 1 else [values]):
            drawn[f"{method}-{k + 1}" if top > 1 else method] = maps.drawn(one, under, result=drawn_as)
        arrays = {"map": values} | {k: v for k, v in more.items() if k not in scalars}
        return Result(row, {} if save == "pictures" else arrays, {} if save == "arrays" else drawn)

    sizing = Square(size)
    chosen: dict[str, Any] = {"method": method, "label": label, "save": save, "overlay": overlay}
    if top > 1:
        chosen["top"] = top
    if neuron is not None:
        at = None if neuron.at is None else np.asarray(neuron.at).tolist()
        chosen["neuron"] = {"layer": neuron.layer, "channel": int(neuron.channel), "at": at}
    settings = described("saliency", network, sizing, **chosen)
    settings["options"] = plain(family.checked(method, options))
    plural = "s" if top > 1 else ""
    columns = {} if network.classes is None else {**CLASSES, "target": f"integer{plural}"}
    return Mapped(
        network,
        function,
        told,
        sizing,
        columns | dict.fromkeys(scalars, f"number{plural}"),
        settings,
        numbers,
        lambda item: -1 if label is None else label,
    )


@functools.cache
def _explained(method: str, fixed: tuple, top: int) -> Callable[..., Any]:
    chosen = FAMILIES["saliency"].method(method)

    def function(network: Network, image: Any, choice: Any, numbers: Any) -> Any:
        options, unit = numbers["options"], numbers["neuron"]
        scores = jnp.zeros(1) if network.classes is None else logits(network, image, choice, numbers)
        target = jnp.where(choice < 0, jnp.argmax(scores), choice)

        def explain(target: Any) -> Any:
            return chosen.told(network, image, target, **dict(fixed), **options)

        if unit is not None:
            return scores, target, *explain(unit)
        if top == 1:
            return scores, target, *explain(target)
        # One forward pass serves all: only what depends on the class is computed for each.
        targets = jax.lax.top_k(scores, top)[1]
        return scores, targets, *jax.vmap(explain)(targets)

    return function
