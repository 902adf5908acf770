"""Where many pictures come from: a folder, a glob, a list, TensorFlow Datasets."""

import collections
import csv
import dataclasses
import functools
import glob
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from jaxviz import images
from jaxviz.images import PictureError, Pixels

SUFFIXES = (*images.PICTURE_SUFFIXES, ".npy")
LISTS = (".txt", ".lst")
TFDS = "tfds:"
METADATA = "metadata.csv"


@dataclasses.dataclass(frozen=True)
class Item:
    """One picture of a source.

    Attributes:
      name: Unique in its source and the same in every run: a path with "/", or the place in a data set.
      label: Its class, by index or by name; None where none is known.
      read: From the most pixels allowed to the picture, floats in [0, 1] or bytes; raises PictureError where
        there is none.
    """

    name: str
    label: int | str | None
    read: Callable[[int], Pixels]


@runtime_checkable
class Source(Protocol):
    """Pictures by number, which may be read by several threads."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Item: ...

    def describe(self) -> dict[str, Any]:
        """Returns kind, place, count and a hash of all names, for the manifest."""


class Files:
    """Pictures that are files."""

    def __init__(self, kind: str, where: str, entries: Sequence[tuple[str, Path, str | None]]):
        if not entries:
            raise PictureError(f"{where} has no picture; expected files that end with {', '.join(SUFFIXES)}")
        names = [name for name, _, _ in entries]
        if doubles := [name for name, count in collections.Counter(names).items() if count > 1]:
            double = doubles[0]
            raise PictureError(f"{where} names {double} twice; name each picture once")
        self.kind, self.where, self.entries = kind, where, entries

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Item:
        name, path, label = self.entries[index]
        return Item(name, label, functools.partial(_read, path))

    def describe(self) -> dict[str, Any]:
        """Returns kind, place, count and a hash of all names and labels, for the manifest."""
        return described(self.kind, self.where, [(name, label) for name, _, label in self.entries])


def described(kind: str, where: str, names: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Returns what a manifest says of a source."""
    text = "\n".join(f"{name}\t{'' if label is None else label}" for name, label in names)
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    return {"kind": kind, "where": where, "count": len(names), "sha256": digest}


def _read(path: Path, max_pixels: int) -> Pixels:
    return images.decode(path, max_pixels=max_pixels)


def is_many(text: str) -> bool:
    """Returns whether a command's source means many pictures: a folder, a glob, a list, a data set.

    Example:
      >>> is_many("tfds:coco"), is_many("cat.png"), is_many("photos/*.jpg")
      (True, False, True)
    """
    if text.startswith(TFDS):
        return True
    path = Path(text)
    is_glob = any(letter in text for letter in "*?[") and not path.exists()
    return path.is_dir() or is_glob or path.suffix.lower() in LISTS


def open_source(text: str | Path) -> Source:
    """Returns the pictures that a text names.

    Args:
      text: A folder (with `metadata.csv` in the layout of Hugging Face's ImageFolder, if it has labels), a
        glob, a `.txt` file of paths, each with a label after a tab if it has one, one picture, or
        `tfds:NAME[:SPLIT]`.

    Raises:
      PictureError: If there is no picture, or a folder, list or data set is missing or damaged.
      ImportError: If a package for data sets is not installed: `pip install "jaxviz-vision[tfds]"`.
    """
    text = str(text)
    if text.startswith(TFDS):
        from jaxviz.jobs.tfds import open_examples

        return open_examples(text.removeprefix(TFDS))
    path = Path(text)
    if path.is_dir():
        return _with_metadata(path) if (path / METADATA).is_file() else _folder(path)
    if not path.exists() and any(letter in text for letter in "*?["):
        found = sorted(match for match in glob.glob(text, recursive=True) if Path(match).is_file())
        if not found:
            raise PictureError(f"{text} matches no file; check the pattern, and quote it")
        return Files("glob", text, [(Path(match).as_posix(), Path(match), None) for match in found])
    if not path.exists():
        raise PictureError(f"{text} does not exist; check the path")
    if path.suffix.lower() in LISTS:
        return _list(path)
    return Files("picture", text, [(path.name, path, None)])


def _folder(path: Path) -> Files:
    found = [
        one
        for one in path.rglob("*")
        if one.suffix.lower() in SUFFIXES
        and one.is_file()
        and not any(part.startswith(".") for part in one.relative_to(path).parts)
    ]
    entries = [(one.relative_to(path).as_posix(), one, None) for one in sorted(found)]
    return Files("folder", str(path), entries)


def _list(path: Path) -> Files:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PictureError(f"{path} is no list of paths that can be read ({error})") from error
    entries = []
    for line in lines:
        if line.strip() and not line.lstrip().startswith("#"):
            name, _, label = line.partition("\t")
            name = name.strip()
            entries.append((Path(name).as_posix(), path.parent / name, label.strip() or None))
    return Files("list", str(path), entries)


def _with_metadata(path: Path) -> Files:
    table = path / METADATA
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            if "file_name" not in columns:
                raise PictureError(
                    f"{table} has the columns {', '.join(columns) or 'none'}; expected file_name, and label"
                )
            records = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PictureError(f"{table} cannot be read ({error}); save it again") from error
    for number, row in enumerate(records, 1):
        if not row["file_name"]:
            raise PictureError(f"{table} has no file_name in row {number}; complete the row, or remove it")
    entries = [(row["file_name"], path / row["file_name"], row.get("label") or None) for row in records]
    return Files("metadata", str(path), entries)
