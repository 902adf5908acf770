"""Runs that survive a kill: the state of the loop in one file, written again and again, to go on from.

A snapshot is an `.npz` with every leaf of the state, the losses, and a header that says of which problem,
start, optimizer and key it is, leaf by leaf. A snapshot of anything else is refused, and the difference named.
"""

import dataclasses
import hashlib
import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxviz import images, optimization
from jaxviz.solution import Solution

FORMAT = 1
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class SnapshotError(ValueError):
    """A snapshot that cannot be gone on from, or written; the message says why, and the remedy."""


def minimize(
    problem: Any,
    z: Any,
    *,
    path: str | Path,
    steps: int,
    every: int = 100,
    resume: bool = False,
    key: Any = None,
    optimizer: Any = None,
    batch_axes: Any = None,
    mesh: Mesh | None = None,
    on_chunk: Callable[[Solution], None] | None = None,
) -> Solution:
    """Returns what `jaxviz.minimize` does, to the same bits, also if it was killed on the way and resumed.

    Args:
      problem: As for `jaxviz.minimize`.
      z: The start.
      path: File of the snapshot; it is replaced as a whole, so a kill at any moment leaves the former one.
      steps: Evaluations from the very beginning. A finished run can be resumed with more.
      every: Evaluations between two snapshots; one more is written at the end, after Ctrl-C too.
      resume: Whether to go on from the file where it exists. Without it the run begins anew and replaces it.
      key: As for `jaxviz.minimize`.
      optimizer: As for `jaxviz.minimize`.
      batch_axes: As for `jaxviz.minimize`.
      mesh: As for `jaxviz.minimize`; may have other devices than the run that was killed, whose numbers then
        differ in the last bits.
      on_chunk: As for `jaxviz.minimize`.

    Returns:
      The solution, of all evaluations; its seconds are those of this process.

    Raises:
      SnapshotError: If the file is damaged, of other settings, of more evaluations, or cannot be written.
      ValueError: As `jaxviz.minimize` does.
      Interrupted: On Ctrl-C, when the snapshot is written.

    Example:
      >>> import tempfile
      >>> problem, z = jaxviz.inversion.problem(jaxviz.load("vgg16"), jnp.zeros((16, 16, 3)), layer="relu1_1")
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = f"{folder}/run.npz"
      ...     first = jaxviz.snapshots.minimize(problem, z, path=path, steps=2)
      ...     more = jaxviz.snapshots.minimize(problem, z, path=path, steps=3, resume=True)
      >>> bool((more.losses[:2] == first.losses).all()), int(more.evaluations)
      (True, 3)
    """
    optimizer, key = optimization.settled(optimizer, key)
    marks = fingerprint(problem=problem, z=z, optimizer=optimizer, key=key, batch_axes=batch_axes)
    check_writable(path)
    state = None
    if resume and Path(path).exists():
        saved = load(path)
        saved.check(marks)
        like = optimization.state_shapes(problem, z, optimizer=optimizer, key=key, batch_axes=batch_axes)
        state = saved.state(like), saved.losses
        made = int(np.max(state[0].evaluations, initial=0))
        if made > steps:
            raise SnapshotError(f"{path} has made {made} evaluations; expected at most steps, {steps}")
    return optimization.minimize(
        problem,
        z,
        steps=steps,
        key=key,
        optimizer=optimizer,
        batch_axes=batch_axes,
        mesh=mesh,
        on_chunk=on_chunk,
        state=state,
        on_state=lambda state, losses: save(path, state, losses, marks),
        every=every,
    )


@dataclasses.dataclass(frozen=True)
class Saved:
    """What `load` found in a file.

    Attributes:
      path: The file.
      leaves: Those of the state, in its tree's order.
      losses: Of all evaluations.
      fingerprint: Of what the run is.
      arrays: What else was saved, by name.
      about: The same, of what JSON can hold.
    """

    path: Path
    leaves: list[Any]
    losses: np.ndarray
    fingerprint: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    about: Mapping[str, Any]

    def check(self, fingerprint: Mapping[str, Any]) -> None:
        """Raises SnapshotError, which names what differs, unless the fingerprint is the same."""
        if differences := list(_differences(self.fingerprint, json.loads(json.dumps(fingerprint)))):
            raise SnapshotError(
                f"{self.path} is of a run with other settings: {'; '.join(differences[:4])}; "
                "choose another file, or begin anew without resume"
            )

    def state(self, like: Any) -> Any:
        """Returns the leaves as a tree like `like`; raises SnapshotError where they do not fit."""
        wanted, structure = jax.tree.flatten(like)
        there = [(np.shape(leaf), str(leaf.dtype)) for leaf in self.leaves]
        if there != [(leaf.shape, str(leaf.dtype)) for leaf in wanted]:
            raise SnapshotError(
                f"{self.path} was written by another version of jaxviz; begin anew without resume"
            )
        return jax.tree.unflatten(structure, self.leaves)


def save(
    path: str | Path,
    state: Any,
    losses: np.ndarray,
    fingerprint: Mapping[str, Any],
    *,
    arrays: Mapping[str, np.ndarray] | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Writes a snapshot; whoever reads the file finds the former one or this one, never a part.

    Args:
      path: The file; any suffix.
      state: A tree of arrays and keys.
      losses: Of all evaluations.
      fingerprint: From `fingerprint`.
      arrays: What else to keep, by name.
      about: The same, of what JSON can hold.

    Raises:
      SnapshotError: If the file cannot be written.
    """
    leaves = jax.tree.leaves(state)
    header = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "about": dict(about or {}),
        # NumPy would give the numbers of JAX's smaller types back as bare bytes.
        "leaves": [str(jax.random.key_impl(leaf)) if _is_key(leaf) else str(leaf.dtype) for leaf in leaves],
        "keys": [i for i, leaf in enumerate(leaves) if _is_key(leaf)],
    }
    whole = {
        "header": np.frombuffer(json.dumps(header).encode(), np.uint8),
        "losses": np.asarray(losses),
        **{f"leaf {i}": _data(leaf) for i, leaf in enumerate(leaves)},
        **{f"array {name}": np.asarray(value) for name, value in (arrays or {}).items()},
    }
    try:
        with images.atomically(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **whole)
            file.flush()
            os.fsync(file.fileno())
    except images.PictureError as error:
        raise SnapshotError(str(error)) from error


def load(path: str | Path) -> Saved:
    """Returns what `save` wrote.

    Raises:
      SnapshotError: If the file does not exist, is damaged, or is no snapshot.
    """
    path = Path(path)
    if not path.is_file():
        raise SnapshotError(f"{path} does not exist, or is no file")
    try:
        # NumPy leaves a file that is no archive open when it has opened it itself.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            header = json.loads(file["header"].tobytes())
            if header["format"] != FORMAT:
                raise ValueError(f"its format is {header['format']}, not {FORMAT}")
            leaves: list[Any] = []
            for i, kind in enumerate(header["leaves"]):
                array = file[f"leaf {i}"]
                leaves.append(
                    jax.random.wrap_key_data(array, impl=kind)
                    if i in header["keys"]
                    else array.view(jnp.dtype(kind))
                )
            arrays = {name[6:]: file[name] for name in file.files if name.startswith("array ")}
            return Saved(path, leaves, file["losses"], header["fingerprint"], arrays, header["about"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error) or type(error).__name__
        raise SnapshotError(
            f"{path} is damaged, or no snapshot ({reason}); remove it, or begin anew without resume"
        ) from error


def check_writable(path: str | Path) -> None:
    """Raises SnapshotError unless `path` can be written: to be known before the work, not after."""
    try:
        images.temporary_beside(path).unlink()
    except images.PictureError as error:
        raise SnapshotError(str(error)) from error


def fingerprint(**parts: Any) -> dict[str, Any]:
    """Returns what a run is: of each part its structure, and of each leaf shape, type and SHA-256.

    Example:
      >>> fingerprint(z=np.zeros(2))["z"]["shape"]
      [2]
    """
    found: dict[str, Any] = {}
    for name, part in parts.items():
        leaves, structure = jax.tree_util.tree_flatten_with_path(part)
        # Where a function lies in memory differs from process to process.
        text = ADDRESS.sub("", str(structure))
        found[f"{name}, kind"] = {"sha256": hashlib.sha256(text.encode()).hexdigest()}
        for path, leaf in leaves:
            array = np.ascontiguousarray(_data(leaf))
            about = {"shape": list(np.shape(leaf)), "dtype": str(jnp.asarray(leaf).dtype)}
            about["sha256"] = hashlib.sha256(array.reshape(-1).view(np.uint8).data).hexdigest()
            if array.size == 1 and not _is_key(leaf):
                about["value"] = f"{array.reshape(()):.6g}"
            found[name + jax.tree_util.keystr(path)] = about
    return found


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    kinds = [name for name in here if name.endswith(", kind") and there.get(name) != here[name]]
    for name in kinds:
        yield f"{name.removesuffix(', kind')} is of another kind or structure"
    for name in sorted({*there, *here} - set(kinds)):
        one, other = there.get(name), here.get(name)
        if one == other:
            continue
        if one is None or other is None:
            yield f"{name} is only {'here' if one is None else 'there'}"
        elif (one["shape"], one["dtype"]) != (other["shape"], other["dtype"]):
            sides = [f"{about['dtype']}{about['shape']}" for about in (one, other)]
            yield f"{name} is {sides[0]} there and {sides[1]} here"
        elif "value" in one and one["value"] != other["value"]:
            yield f"{name} is {one['value']} there and {other['value']} here"
        else:
            yield f"{name} has other numbers"


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(getattr(leaf, "dtype", np.float32), jax.dtypes.prng_key)


def _data(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


__all__ = ["Saved", "SnapshotError", "check_writable", "fingerprint", "load", "minimize", "save"]
