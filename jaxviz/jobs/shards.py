"""The files of a run: shards of rows as Parquet, their arrays as .npz, their pictures as files.

A shard's Parquet file is written last, when all else of it lies on the disk: it is the mark that the shard is
complete. Whatever a torn shard left is written anew.
"""

import errno
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from jaxviz import images
from jaxviz.jobs.manifest import RunError
from jaxviz.jobs.reading import Loaded
from jaxviz.jobs.tasks import Result, Task

PICTURES = "pictures"
TEMPORARY = ".jaxviz-*"
ARRAYS = b"jaxviz.arrays"
"""Metadata of a Parquet file: whether its shard has arrays beside it."""


def arrow() -> Any:
    """Returns PyArrow; raises ImportError, saying what to install, where it is not there."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            'runs over many pictures need PyArrow: pip install "jaxviz-vision[jobs]"'
        ) from error
    return pyarrow


def schema(task: Task) -> Any:
    """Returns the columns of a run's Parquet files, which are the same for all shards."""
    pa = arrow()
    types = {
        "text": pa.string(),
        "integer": pa.int64(),
        "number": pa.float32(),
        "flag": pa.bool_(),
        "texts": pa.list_(pa.string()),
        "integers": pa.list_(pa.int64()),
        "numbers": pa.list_(pa.float32()),
        "flags": pa.list_(pa.bool_()),
    }
    fixed = {"index": "integer", "name": "text", "label": "text", "failure": "text"}
    return pa.schema([(name, types[kind]) for name, kind in {**fixed, **task.columns}.items()])


def results_path(folder: Path, shard: int) -> Path:
    """Returns where the rows of a shard lie."""
    return folder / f"results-{shard:05d}.parquet"


def arrays_path(folder: Path, shard: int) -> Path:
    """Returns where the arrays of a shard lie."""
    return folder / f"arrays-{shard:05d}.npz"


def picture_path(folder: Path, name: str, kind: str) -> Path:
    """Returns where a picture that was made of the item `name` lies: below the folder, and no other item's."""
    parts = [part for part in PurePosixPath(name).parts if part not in ("..", "/", "//", "")]
    stem = PurePosixPath(*parts) if parts else PurePosixPath("picture")
    if str(stem) != name:
        # Without its "..", ../a.png would be a.png, which may be another item.
        digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
        stem = stem.with_name(f"{digest[:12]}-{stem.name}")
    # The suffix stays: a.png and a.jpg are two pictures.
    return folder / PICTURES / stem.parent / f"{stem.name}.{kind}.png"


def write(folder: Path, shard: int, task: Task, rows: Sequence[tuple[Loaded, Result | None, str]]) -> None:
    """Writes a whole shard, the Parquet file last.

    Raises:
      RunError: If there is no room, or the folder cannot be written to.
    """
    try:
        for loaded, result, _ in rows:
            for kind, picture in (result.pictures if result else {}).items():
                path = picture_path(folder, loaded.item.name, kind)
                path.parent.mkdir(parents=True, exist_ok=True)
                images.write(path, picture)
                _sync(path)
        if arrays := _stacked([(loaded.index, result) for loaded, result, _ in rows if result]):
            with images.atomically(arrays_path(folder, shard)) as temporary:
                np.savez(temporary, allow_pickle=False, **arrays)
                _sync(temporary)
        columns = schema(task).with_metadata({ARRAYS: b"1" if arrays else b"0"})
        table = arrow().Table.from_pylist([_row(*row) for row in rows], schema=columns)
        with images.atomically(results_path(folder, shard)) as temporary:
            arrow().parquet.write_table(table, temporary)
            _sync(temporary)
    except (OSError, images.PictureError) as error:
        raise _explained(folder, error) from error


def _explained(folder: Path, error: Exception) -> RunError:
    cause = error if isinstance(error, OSError) else error.__cause__
    if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunError(f"{folder}: no room is left on the disk; free some, and run the same again to go on")
    return RunError(f"{error}; nothing is lost: run the same again to go on")


def _row(loaded: Loaded, result: Result | None, failure: str) -> dict[str, Any]:
    label = loaded.item.label
    fixed = {"index": loaded.index, "name": loaded.item.name, "label": None if label is None else str(label)}
    return fixed | {"failure": failure or None} | dict(result.row if result else {})


def _stacked(results: Sequence[tuple[int, Result]]) -> dict[str, np.ndarray]:
    """Returns arrays of equal shape stacked under their name, beside `index`; others under name/index."""
    kinds = list(dict.fromkeys(kind for _, result in results for kind in result.arrays))
    found: dict[str, np.ndarray] = {}
    for kind in kinds:
        arrays = {
            index: np.asarray(result.arrays[kind]) for index, result in results if kind in result.arrays
        }
        if len({array.shape for array in arrays.values()}) == 1:
            found[kind] = np.stack(list(arrays.values()))
        else:
            found |= {f"{kind}/{index}": array for index, array in arrays.items()}
    return found | {"index": np.array([index for index, _ in results])} if found else {}


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def complete(folder: Path, count: int, shard: int) -> set[int]:
    """Returns the shards of a run that are complete."""
    return {k for k in range(-(-count // shard)) if _is_complete(folder, k)}


def _is_complete(folder: Path, shard: int) -> bool:
    """Returns whether a shard's rows can be read, and its arrays are there if it has any."""
    path = results_path(folder, shard)
    if not path.is_file():
        return False
    try:
        said = arrow().parquet.read_schema(path).metadata or {}
    except (OSError, ValueError):  # of a disk's damage; Arrow's own errors are ValueErrors
        return False
    return said.get(ARRAYS) != b"1" or arrays_path(folder, shard).is_file()


def clean(folder: Path) -> None:
    """Removes what a killed run left half-written."""
    for path in folder.rglob(TEMPORARY):
        path.unlink(missing_ok=True)


def failures(folder: Path) -> list[tuple[str, str]]:
    """Returns name and cause of every picture of a run that failed."""
    found = []
    for path in sorted(folder.glob("results-*.parquet")):
        columns: Mapping[str, list] = (
            arrow().parquet.read_table(path, columns=["name", "failure"]).to_pydict()
        )
        found += [(n, f) for n, f in zip(columns["name"], columns["failure"], strict=True) if f]
    return found
