"""The user's folder of fetched weights: our files, each with a record of where it came from."""

import contextlib
import datetime
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import platformdirs

from jaxviz.checkpoints.formats import WeightsError

VARIABLE = "JAXVIZ_WEIGHTS"
"""The environment variable that names another folder."""


def folder() -> Path:
    """Returns the folder of fetched weights, which need not exist."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else Path(platformdirs.user_cache_dir("jaxviz")) / "weights"


def record_path(name: str, where: Path | None = None) -> Path:
    """Returns where the record of a network lies, if it was fetched."""
    return (where or folder()) / f"{name}.json"


def record(name: str, where: Path | None = None) -> dict[str, Any] | None:
    """Returns what was recorded when a network was fetched, or None where it was not.

    Raises:
      WeightsError: If the record is damaged.
    """
    path = record_path(name, where)
    if not path.is_file():
        return None
    try:
        said = dict(json.loads(path.read_text(encoding="utf-8")))
        if Path(said["file"]).name != said["file"] or not isinstance(said["sha256"], str):
            raise ValueError(f"file {said['file']!r}")
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path}: expected the record of a fetched file, found another ({error}); "
            f"delete it, or run `jaxviz weights fetch {name} --force`"
        ) from error
    return said


def by_hand(name: str, where: Path | None = None) -> Path:
    """Returns where a file that was converted by hand is looked for."""
    return (where or folder()) / f"{name}.safetensors"


def find(name: str, where: Path | None = None) -> tuple[Path, str | None] | None:
    """Returns the fetched file of a network and its SHA-256; None in its place for one put there by hand."""
    if said := record(name, where):
        return (where or folder()) / said["file"], said["sha256"]
    path = by_hand(name, where)
    return (path, None) if path.is_file() else None


def keep(name: str, temporary: Path, sha256: str, said: Mapping[str, Any]) -> Path:
    """Makes a complete file in the folder the one of its network, and returns where it now is.

    Its name has the beginning of its hash, and the record is replaced as a whole: at no moment does a record
    stand beside another file than its own.
    """
    where = temporary.parent
    before = None
    with contextlib.suppress(WeightsError):
        before = record(name, where)
    path = where / f"{name}-{sha256[:8]}.safetensors"
    size = temporary.stat().st_size
    temporary.replace(path)
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    whole = {"network": name, "file": path.name, "sha256": sha256, "bytes": size, "date": date, **said}
    with temporary_path(record_path(name, where)) as written:
        written.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
        written.replace(record_path(name, where))
    if before and before["file"] != path.name:
        (where / before["file"]).unlink(missing_ok=True)
    return path


@contextlib.contextmanager
def temporary_path(path: Path) -> Iterator[Path]:
    """Yields an unused path beside `path`; what is there at the end is removed."""
    temporary = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:12]}{path.suffix}")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lets one process at a time run its block; the system frees the lock of one that died."""
    with path.open("a+b") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        except ImportError:
            import msvcrt

            file.seek(0)
            # Windows gives up after ten seconds; a download takes longer.
            while True:
                try:
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined]
                    break
                except OSError:
                    continue
        yield
