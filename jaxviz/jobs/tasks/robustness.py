"""What withstands an attack in balls of several sizes: rows alone, no pictures."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxviz.batching import batched
from jaxviz.jobs.sizes import Sizing
from jaxviz.jobs.sources import Item
from jaxviz.jobs.tasks.base import Mapped, Result
from jaxviz.jobs.tasks.classes import CLASSES, classes, logits


@dataclasses.dataclass(frozen=True)
class Robustness:
    """The attack that `mapped` makes, once for each radius, of those pictures that still withstand.

    Attributes:
      mapped: From `jobs.attack` with one radius; its rows and pictures are not made.
      epsilons: Radii, ascending.
      measure: The norm of a difference.
      reach: The target, or None.
    """

    mapped: Mapped
    epsilons: tuple[float, ...]
    measure: Callable[[Any], Any]
    reach: int | None
    columns: ClassVar = {
        **CLASSES,
        "class": "integer",
        "clean": "flag",
        "success": "flags",
        "margins": "numbers",
        "distances": "numbers",
        "queries": "integers",
    }

    @property
    def sizing(self) -> Sizing:
        """As of `mapped`."""
        return self.mapped.sizing

    @property
    def settings(self) -> Mapping[str, Any]:
        """As of `mapped`."""
        return self.mapped.settings

    def at_once(self, shape: tuple[int, ...], memory: str | int | None, mesh: Mesh | None) -> int:
        """Returns how many pictures of a shape one call should get."""
        return self.mapped.at_once(shape, memory, mesh)

    def __call__(
        self, pixels: np.ndarray, items: Sequence[Item], size: int | None, mesh: Mesh | None
    ) -> Sequence[Result | str]:
        """Returns a result for each picture of a batch."""
        network, axes = self.mapped.network, (None, 0, 0, None)
        scores, attack = (
            batched(f, in_axes=axes, size=size, mesh=mesh) for f in (logits, self.mapped.function)
        )
        choices = [self.mapped.choices(item) for item in items]
        given = np.array([c if isinstance(c, int) else -1 for c in choices], np.int32)
        before = np.asarray(scores(network, pixels, given, {}))
        leave = np.where(given < 0, before.argmax(-1), given).astype(np.int32)
        clean = before.argmax(-1) == leave
        failures = [
            self._failure(choice, *both) for choice, *both in zip(choices, before, leave, strict=True)
        ]
        shape = (len(items), len(self.epsilons))
        success = np.repeat(~clean[:, None], shape[1], 1)
        margins = np.repeat(self._margins(before, leave)[:, None], shape[1], 1)
        distances, queries = np.zeros(shape, np.float32), np.zeros(shape, np.int64)
        standing = clean & np.array([failure == "" for failure in failures], bool)
        for e, epsilon in enumerate(self.epsilons):
            chosen = np.flatnonzero(standing)
            if not len(chosen):
                break
            numbers = {**self.mapped.numbers, "epsilon": np.float32(epsilon)}
            _, _, attacked, after, asked = attack(network, pixels[chosen], leave[chosen], numbers)
            attacked, after = np.asarray(attacked), np.asarray(after)
            fooled = (
                after.argmax(-1) != leave[chosen] if self.reach is None else after.argmax(-1) == self.reach
            )
            # What was found in a ball lies in the larger ones too.
            success[chosen, e:] = fooled[:, None]
            margins[chosen, e:] = self._margins(after, leave[chosen])[:, None]
            far = [float(self.measure(jnp.asarray(d))) for d in attacked - pixels[chosen]]
            distances[chosen, e:] = np.asarray(far, np.float32)[:, None]
            queries[chosen, e] = np.asarray(asked)
            standing[chosen[fooled]] = False
        rows = {
            "class": leave, "clean": clean, "success": success, "margins": margins, "distances": distances,
            "queries": queries,
        }  # fmt: skip
        return [
            failure or Result(classes(network, before[k]) | {name: v[k].tolist() for name, v in rows.items()})
            for k, failure in enumerate(failures)
        ]

    def _failure(self, choice: int | str, before: np.ndarray, leave: np.integer) -> str:
        if isinstance(choice, str):
            return choice
        if not np.isfinite(before).all():
            return "the scores are NaN or infinite"
        return f"its class is the target, {self.reach}" if self.reach == leave else ""

    def _margins(self, scores: np.ndarray, leave: np.ndarray) -> np.ndarray:
        """Returns how far the attack is ahead: above 0 where another class, or the target, wins."""
        own = leave if self.reach is None else np.full(len(leave), self.reach)
        rows = np.arange(len(scores))
        others = scores.astype(np.float32).copy()
        others[rows, own] = -np.inf
        ahead = others.max(-1) - scores[rows, own]
        return ahead if self.reach is None else -ahead
