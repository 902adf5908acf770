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
    """Returns the task of changing pictures so that a network errs.

    The class to leave is `label`, else the item's own label, else the network's best.

    Args:
      network: One with a classifier.
      method: Of `FAMILIES["attacks"]`.
      label: The class to leave, for all pictures.
      size: Side of the square that is cut from each picture.
      save: "pictures" (rounded to 8 bits), "arrays" of them as they are, or "both".
      options: The method's.

    Raises:
      KeyError, ValueError: If the method or an option does not exist, or the network has no classifier.
    """
    family = FAMILIES["attacks"]
    class_count(network)
    declared = family.method(method)
    fixed, numbers = split(family, method, options)
    checked_save(save)
    reach, norm = numbers.get("target"), NORMS[dict(fixed).get("norm", "linf")]

    def told(item: Item, pixels: np.ndarray, found: Any) -> Result | str:
        before, leave, attacked, after = found
        if not (np.isfinite(before).all() and np.isfinite(attacked).all()):
            return "the scores or the attacked picture are NaN or infinite"
        if reach is not None and int(leave) == int(reach):
            return f"its class is the target, {int(reach)}"
        now = int(np.argmax(after))
        row = classes(network, before) | classes(network, after, "_after")
        row["class"] = int(leave)
        row["success"] = now != leave if reach is None else now == reach
        row["distance"] = float(norm.measure(jnp.asarray(attacked - pixels)))
        drawn = {} if save == "arrays" else {method: attacked}
        return Result(row, {} if save == "pictures" else {"attacked": attacked}, drawn)

    sizing = Square(size)
    settings = described("attack", network, sizing, method=method, label=label, save=save)
    settings["options"] = family.checked(method, options)
    after = {f"{name}_after": kind for name, kind in CLASSES.items()}
    columns = {**CLASSES, **after, "class": "integer", "success": "flag", "distance": "number"}
    one = declared.problem is None
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
    return mapped if one else _SolvedAttack(mapped, method, dict(fixed) | numbers)


@functools.cache
def _attacked(method: str, fixed: tuple) -> Callable[..., Any]:
    change = FAMILIES["attacks"].method(method).function

    def function(network: Network, image: Any, choice: Any, numbers: Any) -> Any:
        before = logits(network, image, choice, numbers)
        leave = jnp.where(choice < 0, jnp.argmax(before), choice)
        attacked = change(network, image, leave, **dict(fixed), **numbers)
        return before, leave, attacked, logits(network, attacked, choice, numbers)

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
        attacked = np.asarray(solution.value)[: len(items)]
        after = np.asarray(scores(mapped.network, attacked, nothing, {}))
        return [
            choice
            if isinstance(choice, str)
            else mapped.told(item, pixels[k], (before[k], leave[k], attacked[k], after[k]))
            for k, (item, choice) in enumerate(zip(items, choices, strict=True))
        ]
