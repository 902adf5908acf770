"""manifest.json: what a run folder holds, and that a second run is of the same settings."""

import dataclasses
import hashlib
import importlib.metadata
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxviz import images
from jaxviz.networks import Network

NAME = "manifest.json"
FORMAT = 1


class RunError(ValueError):
    """A run folder that cannot be used, or a run that cannot be made; the message says why, and the remedy."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What decides the results of a run, and how it stands.

    Attributes:
      settings: Technique, method, options, network, hash of its weights, size.
      source: Kind, place, number and hash of the names.
      shard: Pictures in a shard.
      version: Of this library.
    """

    settings: Mapping[str, Any]
    source: Mapping[str, Any]
    shard: int
    version: str

    def decides(self) -> dict[str, Any]:
        """Returns what must be the same for two runs to give the same results, plain enough for JSON."""
        whole = {
            "settings": self.settings,
            "source": self.source,
            "shard": self.shard,
            "jaxviz": self.version,
        }
        return dict(json.loads(json.dumps(whole)))

    def write(self, folder: Path, **state: Any) -> None:
        """Writes the manifest with how the run stands; never a partial file."""
        device = str(jax.local_devices()[0])
        whole = {"format": FORMAT, **self.decides(), **software(), "device": device}
        with images.atomically(folder / NAME) as temporary:
            temporary.write_text(
                json.dumps(whole | state, indent=2, allow_nan=False) + "\n", encoding="utf-8"
            )

    def is_in(self, folder: Path) -> bool:
        """Returns whether a folder has a run, of any settings."""
        return (folder / NAME).exists()

    def check(self, folder: Path) -> None:
        """Checks that a folder has a run of these settings, or is empty, or does not exist.

        Raises:
          RunError: If it has another run, whose difference is named, or anything else.
        """
        path = folder / NAME
        if not path.exists():
            others = [] if not folder.is_dir() else [p.name for p in folder.iterdir() if p.name != ".lock"]
            if others:
                raise RunError(
                    f"{folder} is no run folder, and has {', '.join(sorted(others)[:3])}; choose an empty one"
                )
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            said = {key: found[key] for key in self.decides()}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path} is damaged ({error}); choose another folder") from error
        # What both have comes first: it is what the others follow from.
        if differences := sorted(_differences(said, self.decides()), key=lambda d: "null" in d):
            raise RunError(
                f"{folder} has a run of other settings: {'; '.join(differences[:4])}; choose another folder"
            )


def _differences(
    found: Any, expected: Any, where: str = "", between: tuple[str, str] = ("there", "here")
) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted({*found, *expected}):
            path = f"{where}.{key}" if where else str(key)
            yield from _differences(found.get(key), expected.get(key), path, between)
    elif found != expected:
        yield f"{where} is {_short(found)} {between[0]} and {_short(expected)} {between[1]}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def agreed(given: Sequence[Mapping[str, Any]]) -> None:
    """Checks that all processes of a run were given the same.

    Args:
      given: Of each process, in their order.

    Raises:
      RunError: If one differs from the first; the difference is named.
    """
    for k, other in enumerate(given):
        if differences := list(_differences(given[0], other, between=("in process 0", f"in process {k}"))):
            raise RunError(
                f"the processes differ: {'; '.join(differences[:4])}; give all the same options, weights, pictures "
                "and code"
            )


def shard_in(folder: Path) -> int | None:
    """Returns how many pictures the shards of a folder's run have; None where there is no run that says so."""
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))["shard"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, int) and found > 0 else None


def software() -> dict[str, Any]:
    """Returns the hash of this package's code, and the versions of what it computes with."""
    versions = {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "numpy", "pillow")}
    return {"code_sha256": code_hash(), "versions": versions}


def settings(folder: Path) -> dict[str, Any]:
    """Returns the settings of the run in a folder; raises RunError where there is none."""
    try:
        found: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{folder} has no run: its {NAME} cannot be read ({error})") from error
    return found


def code_hash() -> str:
    """Returns the SHA-256 of this package's Python files: paths and contents."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def weights_hash(network: Network) -> str:
    """Returns the SHA-256 of a network's weights: names, shapes, types and numbers."""
    return tree_hash(network.params)


def tree_hash(tree: Any) -> str:
    """Returns the SHA-256 of a tree of arrays: names, shapes, types and numbers."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        array = np.ascontiguousarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.shape} {array.dtype}".encode())
        digest.update(array.data)
    return digest.hexdigest()
