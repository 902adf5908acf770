"""Pictures changed so that a network errs, by every method of the family."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxviz.batching import batched
from jaxviz.jobs.sizes import Sizing, Square
from jaxviz.jobs.sources import Item
from jaxviz.jobs.tasks.base import Mapped, Result, Task, checked_save, described, split
from jaxviz.jobs.tasks.classes import CLASSES, class_of, classes, logits
from jaxviz.jobs.tasks.robustness import Robustness
from jaxviz.jobs.tasks.solved import filled, solved_at_once
from jaxviz.networks import Network
from jaxviz.norms import NORMS
from jaxviz.techniques import FAMILIES
from jaxviz.techniques.classes import class_count
from jaxviz.techniques.solving import solve_many


def attack(
    network: Network,
    *,
    method: str = "fgsm",
    label: int | None = None,
    size: int = 224,
    save: str = "pictures",
    **options: Any,
) -> Task:
    """Returns the task of changing pictures so that a network errs, or of counting which withstand.

    The class to leave is `label`, else the item's own label, else the network's best. With one `epsilon`, or a
    method without, every picture is attacked. With several, as in `epsilon=[1/255, 2/255]`, no picture is kept:
    those that the network is wrong about already are not attacked, and one that is fooled in a ball is in all
    larger ones. `jobs.read_robustness` tells what share withstands.

    Args:
      network: One with a classifier.
      method: Of `FAMILIES["attacks"]`.
      label: The class to leave, for all pictures.
      size: Side of the square that is cut from each picture.
      save: "pictures" (rounded to 8 bits), "arrays" of them as they are, or "both".
      options: The method's; `epsilon` may be several.

    Raises:
      KeyError, ValueError: If the method or an option does not exist, or the network has no classifier.
    """
    family = FAMILIES["attacks"]
    class_count(network)
    radii = options.get("epsilon")
    several = isinstance(radii, list | tuple)
    if several:
        if not radii:
            raise ValueError("epsilon is empty; give at least one radius")
        options["epsilon"] = radii[0]
    declared = family.method(method)
    if declared.of_many:
        raise ValueError(
            f"{method} is one result for many pictures; call jaxviz.attacks.{method} with all of them"
        )
    if several and declared.problem is not None:
        raise ValueError(f"{method} takes one epsilon; pgd with restarts=0 takes the same steps and several")
    fixed, numbers = split(family, method, options)
    checked_save(save)
    usual = declared.default("norm") if "norm" in declared.options else "linf"
    reach, norm = numbers.get("target"), NORMS[dict(fixed).get("norm", usual)]

    def told(item: Item, pixels: np.ndarray, found: Any) -> Result | str:
        before, leave, attacked, after, queries = found
        if not (np.isfinite(before).all() and np.isfinite(attacked).all()):
            return "the scores or the attacked picture are NaN or infinite"
        if reach is not None and int(leave) == int(reach):
            return f"its class is the target, {int(reach)}"
        now = int(np.argmax(after))
        row = classes(network, before) | classes(network, after, "_after")
        row["class"] = int(leave)
        row["clean"] = bool(np.argmax(before) == leave)
        row["queries"] = int(queries)
        row["success"] = now != leave if reach is None else now == reach
        row["distance"] = float(norm.measure(jnp.asarray(attacked - pixels)))
        drawn = {} if save == "arrays" else {method: attacked}
        return Result(row, {} if save == "pictures" else {"attacked": attacked}, drawn)

    sizing = Square(size)
    settings = described("attack", network, sizing, method=method, label=label, save=save)
    settings["options"] = family.checked(method, options)
    after = {f"{name}_after": kind for name, kind in CLASSES.items()}
    facts = {
        "class": "integer",
        "clean": "flag",
        "queries": "integer",
        "success": "flag",
        "distance": "number",
    }
    columns = {**CLASSES, **after, **facts}
    one = declared.problem is None or several
    mapped = Mapped(
        network,
        _attacked(method, fixed) if one else logits,
        told,
        sizing,
        columns,
        settings,
        numbers if one else {},
        lambda item: class_of(network, item) if label is None else label,
    )
    if isinstance(radii, list | tuple):
        ascending = tuple(sorted({float(radius) for radius in radii}))
        settings["options"]["epsilon"] = list(ascending)
        return Robustness(mapped, ascending, norm.measure, None if reach is None else int(reach))
    return mapped if one else _SolvedAttack(mapped, method, dict(fixed) | numbers)


@functools.cache
def _attacked(method: str, fixed: tuple) -> Callable[..., Any]:
    declared = FAMILIES["attacks"].method(method)

    def function(network: Network, image: Any, choice: Any, numbers: Any) -> Any:
        before = logits(network, image, choice, numbers)
        leave = jnp.where(choice < 0, jnp.argmax(before), choice)
        attacked, more = declared.told(network, image, leave, **dict(fixed), **numbers)
        return before, leave, attacked, logits(network, attacked, choice, numbers), more["queries"]

    return function


@dataclasses.dataclass(frozen=True)
class _SolvedAttack:
    """An attack that minimizes: classes before and after are `mapped`, what is between is one batch of problems."""

    mapped: Mapped
    method: str
    options: Mapping[str, Any]

    @property
    def sizing(self) -> Sizing:
        """As of `mapped`."""
        return self.mapped.sizing

    @property
    def columns(self) -> Mapping[str, str]:
        """As of `mapped`."""
        return self.mapped.columns

    @property
    def settings(self) -> Mapping[str, Any]:
        """As of `mapped`."""
        return self.mapped.settings

    def at_once(self, shape: tuple[int, ...], memory: str | int | None, mesh: Mesh | None) -> int:
        """Returns how many pictures of a shape one call should get."""
        method, network = FAMILIES["attacks"].method(self.method), self.mapped.network
        solved = solved_at_once(
            method, network, lambda: (np.zeros(shape, np.float32), 0), self.options, memory, mesh
        )
        return solved if memory is None else min(solved, self.mapped.at_once(shape, memory, mesh))

    def __call__(
        self, pixels: np.ndarray, items: Sequence[Item], size: int | None, mesh: Mesh | None
    ) -> Sequence[Result | str]:
        """Returns a result for each picture of a batch."""
        mapped = self.mapped
        scores = batched(mapped.function, in_axes=(None, 0, 0, None), size=size, mesh=mesh)
        nothing = np.zeros(len(items), np.int32)
        before = np.asarray(scores(mapped.network, pixels, nothing, {}))
        choices = [mapped.choices(item) for item in items]
        own = before.argmax(-1)
        leave = [c if isinstance(c, int) and c >= 0 else int(own[k]) for k, c in enumerate(choices)]
        whole = filled(pixels)
        # A picture of the target's class, which is told below, is posed as one of another.
        posed = [(c + 1) % before.shape[-1] if c == self.options.get("target") else c for c in leave]
        classes = [*posed, *[posed[-1]] * (len(whole) - len(posed))]
        inputs = [(image, label) for image, label in zip(whole, classes, strict=True)]
        method = FAMILIES["attacks"].method(self.method)
        solution = solve_many(method, mapped.network, inputs, [self.options] * len(whole), mesh=mesh)
        attacked, asked = np.asarray(solution.value)[: len(items)], solution.evaluations
        after = np.asarray(scores(mapped.network, attacked, nothing, {}))
        return [
            choice
            if isinstance(choice, str)
            else mapped.told(item, pixels[k], (before[k], leave[k], attacked[k], after[k], asked[k]))
            for k, (item, choice) in enumerate(zip(items, choices, strict=True))
        ]
