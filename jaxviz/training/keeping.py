"""A run of training on disk: what it is of, its checkpoints, its log."""

import csv
import importlib.metadata
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from jaxviz import images
from jaxviz.jobs.manifest import RunError

RECORD, LOG, CHECKPOINTS = "run.json", "log.csv", "checkpoints"
KEPT = 2
"""Checkpoints that are kept: the last one may be of a step whose loss was about to explode."""


class Kept:
    """The folder of a run.

    Args:
      folder: Made if it is not there.
      settings: All that decides the result, plain enough for JSON.
      resume: Whether to go on with a run that is there; where none is, one begins.

    Raises:
      RunError: If the folder has a run and `resume` is not said, has one of other settings, or other files.
      ImportError: If Orbax is not installed: `pip install "jaxviz-vision[train]"`.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, resume: bool):
        self.folder = folder
        self.settings = json.loads(json.dumps(settings))
        self._check(resume)
        folder.mkdir(parents=True, exist_ok=True)
        self.checkpoints = _manager(folder / CHECKPOINTS)

    def _check(self, resume: bool) -> None:
        path = self.folder / RECORD
        if not path.exists():
            there = sorted(p.name for p in self.folder.iterdir()) if self.folder.is_dir() else []
            if there and there != [CHECKPOINTS]:
                raise RunError(
                    f"{self.folder} is no run of training, and has {', '.join(there[:3])}; choose an empty one"
                )
            return
        if not resume:
            raise RunError(f"{self.folder} has a run; go on with it by --resume, or choose another folder")
        try:
            found = json.loads(path.read_text(encoding="utf-8"))["settings"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path} is damaged ({error}); choose another folder") from error
        # A run may be made longer.
        differing = [
            f"{name} is {found.get(name)!r} there and {self.settings.get(name)!r} here"
            for name in sorted({*found, *self.settings})
            if name != "steps" and found.get(name) != self.settings.get(name)
        ]
        if differing:
            raise RunError(
                f"{self.folder} has a run of other settings: {'; '.join(differing[:4])}; choose another folder"
            )

    def write(self, **state: Any) -> None:
        """Writes what the run is of, and how it stands; never a partial file."""
        versions = {
            name: importlib.metadata.version(name) for name in ("jax", "flax", "optax", "orbax-checkpoint")
        }
        whole = {
            "settings": self.settings,
            "versions": versions,
            "device": str(jax.local_devices()[0]),
            **state,
        }
        with images.atomically(self.folder / RECORD) as temporary:
            temporary.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")

    @property
    def last(self) -> int | None:
        """The step of the last checkpoint; None where there is none."""
        step: int | None = self.checkpoints.latest_step()
        return step

    def save(self, step: int, state: Any) -> None:
        """Writes a checkpoint; one that is not complete does not count."""
        import orbax.checkpoint as ocp

        if self.last != step:
            self.checkpoints.save(step, args=ocp.args.StandardSave(state))
            self.checkpoints.wait_until_finished()

    def restore(self, step: int, like: Any) -> Any:
        """Returns the state of a checkpoint, of the shapes and places of a tree.

        Raises:
          RunError: If it cannot be read.
        """
        import orbax.checkpoint as ocp

        try:
            return self.checkpoints.restore(step, args=ocp.args.StandardRestore(like))
        except Exception as error:  # of many kinds there
            line = " ".join(str(error).split())[:200]
            raise RunError(
                f"checkpoint {step} in {self.folder} cannot be read ({line}); start anew"
            ) from error

    def close(self) -> None:
        """Ends what Orbax has begun."""
        self.checkpoints.close()


class Log:
    """log.csv: a row of numbers for each step that is told; of a run that goes on, later rows are cut away."""

    def __init__(self, path: Path, step: int):
        self.path = path
        self.rows = [row for row in read_log(path) if row["step"] <= step] if path.exists() else []
        if path.exists():
            self._write(self.rows, "w")

    def add(self, row: Mapping[str, float | int]) -> None:
        """Adds a row."""
        self.rows.append(dict(row))
        self._write([row], "a")

    def _write(self, rows: Any, mode: str) -> None:
        with self.path.open(mode, newline="", encoding="utf-8") as file:
            if not rows:
                return
            writer = csv.DictWriter(file, list(rows[0]))
            if mode == "w" or file.tell() == 0:
                writer.writeheader()
            writer.writerows(rows)


def read_log(path: str | Path) -> list[dict[str, float]]:
    """Returns the rows of a run's log.csv: step, losses by name, images per second."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        # A row that was being written when the run was killed is not whole.
        return [
            {k: float(v) for k, v in row.items()} for row in csv.DictReader(file) if None not in row.values()
        ]


def _manager(folder: Path) -> Any:
    try:
        import orbax.checkpoint as ocp
    except ImportError as error:
        raise ImportError('training needs Orbax: pip install "jaxviz-vision[train]"') from error
    # It tells of each step of its work.
    logging.getLogger("absl").setLevel(logging.ERROR)
    options = ocp.CheckpointManagerOptions(max_to_keep=KEPT, create=True, enable_async_checkpointing=False)
    return ocp.CheckpointManager(folder.absolute(), options=options)
