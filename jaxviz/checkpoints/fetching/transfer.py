"""Files over HTTP: whole or in parts, continued where a connection broke off."""

import contextlib
import dataclasses
import http.client
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from jaxviz.checkpoints.fetching.partial import Partial
from jaxviz.checkpoints.formats import WeightsError

T = TypeVar("T")
Progress = Callable[[int, int | None], None]
"""Is told the bytes that are there, and of how many, if that is known."""
Room = Callable[[int], None]
"""Is told the bytes that are yet to come, before they do; raises where they have no place."""

ATTEMPTS = 4
PAUSE = 0.5
TIMEOUT = 30.0
CHUNK = 2**18
ENOUGH = 2**20
"""Bytes that show that a connection works, so that the count of attempts starts anew."""
LATER = (408, 425, 429, 500, 502, 503, 504)
"""What a server answers when the same question may be answered otherwise in a moment."""


class Unreachable(WeightsError):
    """A server that does not answer, or whose connections keep breaking."""


class RangesRefused(WeightsError):
    """A server that sends a whole file only."""


class Broken(Exception):
    """One attempt that failed, and that another may follow."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a file can be had: its URL, and what to send to its host alone."""

    url: str
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


def persistently(attempt: Callable[[], T], received: Callable[[], int] = lambda: 0) -> T:
    """Returns `attempt()`, tried again after pauses while it raises `Broken`.

    Raises:
      Unreachable: If it failed `ATTEMPTS` times with next to nothing received.
    """
    failures, seen = 0, received()
    while True:
        try:
            return attempt()
        except Broken as error:
            failures = 1 if received() - seen >= ENOUGH else failures + 1
            seen = received()
            if failures >= ATTEMPTS:
                raise Unreachable(f"{error}, {failures} times in a row") from error
            time.sleep(PAUSE * 2 ** (failures - 1))


def _answer(place: Place, first: int, last: int | None, etag: str | None) -> Any:
    """Returns the response to a request for bytes `first` to before `last`, to be closed."""
    request = urllib.request.Request(place.url, headers={"Accept-Encoding": "identity"})
    for name, value in place.headers.items():
        # A token is for this host, not for the one that it sends us on to.
        request.add_unredirected_header(name, value)
    if first or last is not None:
        request.add_header("Range", f"bytes={first}-{'' if last is None else last - 1}")
        if etag:
            request.add_header("If-Range", etag)
    with _broken(place.url):
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    if place.url.startswith("https:") and not response.url.startswith("https:"):
        response.close()
        raise WeightsError(f"{_shown(place.url)}: expected https, found that it leads to {response.url}")
    return response


@contextlib.contextmanager
def _broken(url: str) -> Iterator[None]:
    """Turns what a connection raises into `Broken`, and what a second attempt cannot change into WeightsError."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        said = f"{_shown(url)}: HTTP status {error.code} {error.reason}"
        raise Broken(said) if error.code in LATER else WeightsError(said) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise Broken(f"{_shown(url)}: {reason or type(error).__name__}") from error


def _shown(url: str) -> str:
    # The query of a signed URL is long, and a secret.
    return urllib.parse.urlsplit(url)._replace(query="").geturl()


def _tag(response: Any) -> str | None:
    """Returns the response's tag, if it is one that stands for the very bytes."""
    tag = response.headers.get("ETag")
    return None if tag is None or tag.startswith("W/") else tag


def _range(response: Any) -> tuple[int, int, int | None]:
    """Returns first, last + 1 and total of a partial response."""
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
    if response.status != 206 or not found:
        raise RangesRefused(f"{_shown(response.url)}: expected a part of the file, found all of it")
    return int(found[1]), int(found[2]) + 1, None if found[3] == "*" else int(found[3])


def excerpt(place: Callable[[], Place], first: int, last: int) -> tuple[bytes, str | None, int | None]:
    """Returns bytes `first` to before `last` of a file, its tag, and its size.

    Raises:
      RangesRefused: If the server would send the whole file.
      Unreachable: If the connection keeps breaking.
    """

    def attempt() -> tuple[bytes, str | None, int | None]:
        with _answer(place(), first, last, None) as response:
            found = _range(response)
            with _broken(response.url):
                data = response.read(last - first)
            if found[:2] != (first, last) or len(data) != last - first:
                raise Broken(f"{_shown(response.url)}: {len(data)} of {last - first} bytes")
            return data, _tag(response), found[2]

    return persistently(attempt)


def _copy(response: Any, partial: Partial, total: int | None, on_progress: Progress) -> None:
    """Writes a response at the end of the file."""
    with partial.path.open("ab") as file:
        while True:
            with _broken(response.url):
                chunk = response.read(CHUNK)
            if not chunk:
                return
            file.write(chunk)
            # After Ctrl-C all that was counted is there.
            file.flush()
            on_progress(file.tell() - len(partial.beginning), total)


def whole(place: Callable[[], Place], partial: Partial, room: Room, on_progress: Progress) -> None:
    """Receives the rest of a file, or all of it where the server does not send a rest.

    Raises:
      WeightsError: If there is no such file.
      Unreachable: If the connection keeps breaking; what was received is kept.
      OSError: If the file cannot be written.
    """

    def attempt() -> None:
        have = partial.received
        if partial.etag and have and have == partial.size:
            return
        if not partial.etag or not partial.size or have > partial.size:
            have = 0
        with _answer(place(), have, None, partial.etag) as response:
            if response.status == 206:
                first, _, size = _range(response)
                if first != have or size != partial.size:
                    partial.note(None, None)
                    raise Broken(f"{_shown(response.url)}: another part than the one asked for")
            else:
                length = response.headers.get("Content-Length")
                partial.restart()
                partial.note(_tag(response), None if length is None else int(length))
            if partial.size is not None:
                room(partial.size - partial.received)
            _copy(response, partial, partial.size, on_progress)
            if partial.size is not None and partial.received != partial.size:
                said = f"broke off after {partial.received:,} of {partial.size:,} bytes"
                raise Broken(f"{_shown(response.url)}: {said}")

    persistently(attempt, lambda: partial.received)


def parts(
    place: Callable[[], Place],
    partial: Partial,
    spans: Sequence[tuple[int, int]],
    room: Room,
    on_progress: Progress,
) -> None:
    """Receives the rest of what stands in `spans` of a file, one after another behind `partial.beginning`.

    Raises:
      RangesRefused: If the server would send the whole file, or the file changed.
      WeightsError, Unreachable, OSError: As `whole` does.
    """
    total = sum(last - first for first, last in spans)
    if partial.received > total:
        partial.restart()
    room(total - partial.received)

    def attempt() -> None:
        end = 0
        for first, last in spans:
            end += last - first
            if partial.received >= end:
                continue
            begin = last - (end - partial.received)
            with _answer(place(), begin, last, partial.etag) as response:
                if _range(response)[:2] != (begin, last):
                    raise RangesRefused(f"{_shown(response.url)}: expected the part asked for, found another")
                _copy(response, partial, total, on_progress)
                if partial.received != end:
                    said = f"broke off after {partial.received:,} of {total:,} bytes"
                    raise Broken(f"{_shown(response.url)}: {said}")

    persistently(attempt, lambda: partial.received)
