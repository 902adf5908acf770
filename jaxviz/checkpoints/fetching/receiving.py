"""A network's published file, or the part of it that is wanted, brought here and held to what is known of it."""

import dataclasses
import hashlib
import shutil
from pathlib import Path
from typing import Any

from jaxviz.checkpoints.fetching import transfer
from jaxviz.checkpoints.fetching.hub import Location
from jaxviz.checkpoints.fetching.partial import Partial
from jaxviz.checkpoints.fetching.remote import Contents
from jaxviz.checkpoints.fetching.sources import Hub, Source
from jaxviz.checkpoints.fetching.transfer import Place, Progress
from jaxviz.checkpoints.formats import WeightsError
from jaxviz.networks import NETWORKS


@dataclasses.dataclass(frozen=True)
class Job:
    """What is to be fetched, from where, and to which folder."""

    name: str
    source: Source
    where: Path
    on_progress: Progress

    @property
    def path(self) -> Path:
        """The file for what is received."""
        return self.where / "partial" / f"{self.name}.part"

    def room(self, coming: int) -> None:
        """Raises WeightsError where bytes to come, and our file made of them, have no place."""
        needed = coming + self.source.megabytes * 1e6
        if shutil.disk_usage(self.where).free < needed:
            raise full(self.where, self.name, needed)


@dataclasses.dataclass(frozen=True)
class Received:
    """A file that arrived, what of it was compared with what, and what to write down of its origin."""

    partial: Partial
    checks: list[str]
    source: dict[str, Any]


def full(where: Path, name: str, needed: float) -> WeightsError:
    """Returns the error that says how much is needed, and how much there is."""
    free = shutil.disk_usage(next(p for p in (where, *where.absolute().parents) if p.exists())).free
    return WeightsError(
        f"{where}: no space left for {name}, which needs {needed / 1e6:,.1f} MB where {free / 1e6:,.1f} MB "
        f"are free; make room (what was received is in {where / 'partial'}), or name another folder in "
        "$JAXVIZ_WEIGHTS"
    )


def from_mirror(job: Job) -> Received:
    """Returns the file as its authors published it.

    Raises:
      WeightsError, OSError: As `transfer.whole` does, or if it has another hash than they say.
    """
    source = job.source
    partial = Partial(job.path, source.mirror)
    transfer.whole(lambda: Place(source.mirror), partial, job.room, job.on_progress)
    said: dict[str, Any] = {"url": source.mirror, "etag": partial.etag}
    if source.md5 is not None:
        check = "md5 of the whole file as its publisher says"
        _hash(partial, "md5", source.md5, source.mirror)
    elif source.digits is not None:
        check = f"sha256 of the whole file begins as its name ends, {source.digits}"
    else:
        check = "no hash from the server"
    said["sha256"] = _hash(partial, "sha256", source.digits, source.mirror)
    return Received(partial, [check], said | {"received": partial.received})


def from_hub(job: Job, hub: Hub, endpoint: str | None, before: dict[str, Any] | None) -> Received:
    """Returns the hub's file, or of a network without classifier the part that it needs.

    Args:
      job: What is wanted.
      hub: The file.
      endpoint: URL of the hub, instead of huggingface.co.
      before: The record of an earlier fetch, to whose commit and hash this one is held.

    Raises:
      WeightsError, OSError: As `transfer.whole` does, or if it is not what hub or record say.
    """
    was = (before or {}).get("source", {})
    pinned = was.get("revision") if was.get("repository") == hub.repo else None
    found = Location(hub, endpoint, hub.revision or pinned)
    said: dict[str, Any] = {"url": found.url, "repository": hub.repo, "revision": found.commit}
    if getattr(NETWORKS[job.name].architecture, "classes", None) is None:
        try:
            received = _part(job, found, said)
        except transfer.RangesRefused:
            received = _whole(job, found, said)
            received.checks.append("the server sends no parts, so all of the file was received")
    else:
        received = _whole(job, found, said)
    if was.get("revision") == found.commit:
        for kind in ("sha256", "sha256_of_part"):
            old, new = was.get(kind), received.source.get(kind)
            if old and new and old != new:
                received.partial.remove()
                raise WeightsError(f"{found.url}: expected {kind} {old}, as at the first fetch, found {new}")
    return received


def _whole(job: Job, found: Location, said: dict[str, Any]) -> Received:
    partial = Partial(job.path, f"{found.url} {found.sha256}")
    transfer.whole(found.place, partial, job.room, job.on_progress)
    sha256 = _hash(partial, "sha256", found.sha256, found.url)
    check = "sha256 of the whole file as the hub says" if found.sha256 else "no hash from the hub"
    return Received(partial, [check], said | {"sha256": sha256, "received": partial.received})


def _part(job: Job, found: Location, said: dict[str, Any]) -> Received:
    contents = Contents(found.place, Path(found.hub.repo) / found.hub.file)
    beginning, spans = contents.part(contents.wanted(NETWORKS[job.name].architecture))
    partial = Partial(job.path, f"{found.url} {contents.etag} {spans}", beginning)
    partial.note(contents.etag, None)
    transfer.parts(found.place, partial, spans, job.room, job.on_progress)
    checks = [
        "names and shapes before any data travelled",
        f"the hub has no hash of a part: commit {found.commit[:12]} and our own sha256 from now on",
    ]
    said = said | {"sha256_of_part": _hash(partial, "sha256", None, found.url), "etag": contents.etag}
    return Received(partial, checks, said | {"received": contents.start + partial.received})


def _hash(partial: Partial, kind: str, expected: str | None, url: str) -> str:
    """Returns the hash of what was received; where it should begin otherwise, nothing of it is kept."""
    with partial.path.open("rb") as file:
        found = hashlib.file_digest(file, kind).hexdigest()
    if expected is not None and not found.startswith(expected):
        partial.remove()
        more = "…" if len(expected) < len(found) else ""
        raise WeightsError(
            f"{url}: expected {kind} {expected}{more}, found {found}; the file was damaged on its way or "
            "exchanged, and nothing of it is kept"
        )
    return found
