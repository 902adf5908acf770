"""Pictures found from their features at one layer or more."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import numpy as np
from jax.sharding import Mesh

from jaxviz.jobs.sizes import Longer, Sizing, Square
from jaxviz.jobs.sources import Item
from jaxviz.jobs.tasks.base import Result, Task, checked_save, described
from jaxviz.jobs.tasks.solved import filled, solved_at_once
from jaxviz.networks import Network
from jaxviz.techniques import FAMILIES
from jaxviz.techniques.inversion.posing import Layers, inverted_layers
from jaxviz.techniques.layers import head_taps
from jaxviz.techniques.solving import solve_many


@dataclasses.dataclass(frozen=True)
class _Inversion:
    network: Network
    options: Mapping[str, Any]
    save: str
    sizing: Sizing
    settings: Mapping[str, Any]
    columns: ClassVar = {"loss": "number", "loss_at_start": "number", "evaluations": "integer"}

    def at_once(self, shape: tuple[int, ...], memory: str | int | None, mesh: Mesh | None) -> int:
        """Returns how many pictures of a shape one call should get."""
        method = FAMILIES["inversion"].methods["inversion"]
        return solved_at_once(
            method, self.network, lambda: (np.zeros(shape, np.float32),), self.options, memory, mesh
        )

    def __call__(
        self, pixels: np.ndarray, items: Sequence[Item], size: int | None, mesh: Mesh | None
    ) -> Sequence[Result | str]:
        """Returns a result for each picture of a batch."""
        whole = filled(pixels)
        method = FAMILIES["inversion"].methods["inversion"]
        solution = solve_many(
            method, self.network, [(image,) for image in whole], [self.options] * len(whole), mesh=mesh
        )
        results: list[Result | str] = []
        for k in range(len(items)):
            found, losses = np.asarray(solution.value[k]), np.asarray(solution.losses[k])
            if not solution.finite[k]:
                results.append("the loss became NaN or infinite")
                continue
            row = {
                "loss": float(np.nanmin(losses, initial=np.inf)) if losses.size else None,
                "loss_at_start": float(losses[0]) if losses.size else None,
                "evaluations": int(solution.evaluations[k]),
            }
            drawn = {} if self.save == "arrays" else {"inversion": found}
            results.append(Result(row, {} if self.save == "pictures" else {"inversion": found}, drawn))
        return results


def inversion(
    network: Network,
    *,
    layer: Layers,
    preset: str = "default",
    size: int = 256,
    steps: int | None = None,
    optimizer: Any = None,
    algorithm: str | None = None,
    seed: int = 0,
    save: str = "pictures",
    **options: Any,
) -> Task:
    """Returns the task of finding pictures with the same features at one layer or more.

    Args:
      network: Any.
      layer: The tap to invert, or several, or weights by tap.
      preset: Of `FAMILIES["inversion"]`.
      size: Longer side; the other is rounded to a multiple of 32 by cutting. For a classifier's layers of VGGs and
        AlexNet the side of the square that it needs, 224, which is taken whatever is given.
      steps: Evaluations; None for the preset's.
      optimizer: None for the preset's.
      algorithm: The optimizer's name for the manifest, where one is given.
      seed: Seeds every picture's start.
      save: "pictures", "arrays", or "both".
      options: The method's.

    Raises:
      KeyError, ValueError: If the layer, the preset or an option does not exist.
    """
    family = FAMILIES["inversion"]
    weights = inverted_layers(network, layer)
    fixes = family.preset(preset).fixes()
    given = family.checked("inversion", {"layer": layer, **options})
    checked_save(save)
    dense = any(name in head_taps(network.architecture) for name in weights)
    sizing: Sizing = Square(224) if dense else Longer(size)
    settings = described("invert", network, sizing, preset=preset, seed=seed, save=save)
    settings["options"] = given
    settings["steps"] = fixes["steps"] if steps is None else steps
    settings["optimizer"] = fixes["optimizer"] if optimizer is None else algorithm or repr(optimizer)
    chosen = given | {"preset": preset, "steps": steps, "optimizer": optimizer, "key": jax.random.key(seed)}
    return _Inversion(network, chosen, save, sizing, settings)
