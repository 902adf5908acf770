"""What a task is, and the form that most have: a function of one picture, over many."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jax.sharding import Mesh

from jaxviz._checks import known
from jaxviz.batching import batched, chunk_size
from jaxviz.jobs.manifest import weights_hash
from jaxviz.jobs.sizes import Sizing
from jaxviz.jobs.sources import Item
from jaxviz.networks import Network
from jaxviz.techniques import Family

SAVED = ("pictures", "arrays", "both")
AT_ONCE = 16
"""Pictures of one call, where a technique is one derivative: the device gets them a few at a time."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What one picture gave.

    Attributes:
      row: Column → value, of the task's columns.
      arrays: Name → array.
      pictures: Kind → [h, w, 3] or [h, w], in [0, 1].
    """

    row: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    pictures: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


@runtime_checkable
class Task(Protocol):
    """What `run` and `iterate` need of a technique."""

    @property
    def sizing(self) -> Sizing:
        """What a picture is made."""

    @property
    def columns(self) -> Mapping[str, str]:
        """Column → "text", "integer", "number", "flag", or the plural of one."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that decides the results, plain enough for JSON."""

    def at_once(self, shape: tuple[int, ...], memory: str | int | None, mesh: Mesh | None) -> int:
        """Returns how many pictures of a shape one call should get."""

    def __call__(
        self, pixels: np.ndarray, items: Sequence[Item], size: int | None, mesh: Mesh | None
    ) -> Sequence[Result | str]:
        """Returns a result for each picture of a batch [n, h, w, 3], or why there is none."""


@dataclasses.dataclass(frozen=True)
class Mapped:
    """A function of one picture over many; made by `classify`, `features`, `saliency` and `attack`.

    Attributes:
      network: Φ, or another model: a tree of arrays.
      function: (network, image, choice, numbers) → tree of arrays; compiled.
      numbers: What may vary without compiling, shared by all pictures.
      choices: From an item to an integer for its picture, such as the class to leave; -1 for the network's own.
      told: From an item, its picture and the arrays to the result.
    """

    network: Any
    function: Callable[..., Any]
    told: Callable[[Item, np.ndarray, Any], Result | str]
    sizing: Sizing
    columns: Mapping[str, str]
    settings: Mapping[str, Any]
    numbers: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    choices: Callable[[Item], int | str] = lambda item: -1

    def at_once(self, shape: tuple[int, ...], memory: str | int | None, mesh: Mesh | None) -> int:
        """Returns how many pictures of a shape one call should get."""
        devices = 1 if mesh is None else mesh.size
        if memory is None:
            return AT_ONCE * devices
        stacked = jax.ShapeDtypeStruct((devices, *shape), np.float32)
        choices = jax.ShapeDtypeStruct((devices,), np.int32)
        arguments = (self.network, stacked, choices, self.numbers)
        size = chunk_size(self.function, *arguments, in_axes=(None, 0, 0, None), memory=memory, mesh=mesh)
        return size * devices

    def __call__(
        self, pixels: np.ndarray, items: Sequence[Item], size: int | None, mesh: Mesh | None
    ) -> Sequence[Result | str]:
        """Returns a result for each picture of a batch."""
        choices = [self.choices(item) for item in items]
        indices = np.array([choice if isinstance(choice, int) else -1 for choice in choices], np.int32)
        mapped = batched(self.function, in_axes=(None, 0, 0, None), size=size, mesh=mesh)
        found = jax.tree.map(np.asarray, mapped(self.network, pixels, indices, self.numbers))
        results: list[Result | str] = []
        for k, (item, choice) in enumerate(zip(items, choices, strict=True)):
            one = jax.tree.map(lambda leaf, k=k: leaf[k], found)
            results.append(choice if isinstance(choice, str) else self.told(item, pixels[k], one))
        return results


def described(technique: str, network: Network, sizing: Sizing, **more: Any) -> dict[str, Any]:
    """Returns the settings of a task: technique, network, hash of its weights, size, and what else decides."""
    facts = {
        "name": network.name,
        "weights_sha256": weights_hash(network),
        "pooling": getattr(network.architecture, "pooling", "max"),
        "precision": getattr(network.architecture, "precision", "float32"),
        "preprocessing": dataclasses.asdict(network.preprocessing),
    }
    return {"technique": technique, "network": facts, "size": sizing.settings(), **more}


def split(family: Family, method: str, options: Mapping[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """Returns a method's options as those that choose code, hashable, and the numbers that may vary."""
    chosen = family.checked(method, options)
    declared = family.method(method).options
    varies = ("number", "fraction", "class", "pictures", "layers")
    numbers = {k: v for k, v in chosen.items() if declared[k].kind in varies and not declared[k].shapes}
    kinds = {k: np.int32 if declared[k].kind == "class" else np.float32 for k in numbers}
    fixed = tuple(sorted((k, v) for k, v in chosen.items() if k not in numbers))
    # Weights of layers are a number each.
    return fixed, {k: jax.tree.map(kinds[k], v) for k, v in numbers.items()}


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns options for the manifest: arrays by their hash."""
    return {k: sha256(v) if getattr(v, "ndim", 0) else v for k, v in options.items()}


def sha256(values: Any) -> str:
    """Returns the hash of an array of numbers."""
    return hashlib.sha256(np.ascontiguousarray(values, np.float32).data).hexdigest()


def checked_save(save: str) -> str:
    """Returns a way to save results; raises KeyError for an unknown one."""
    return known(save, SAVED, "way to save")
