"""What was received of a file until now, and what must not change until the rest is there."""

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any


@dataclasses.dataclass
class Partial:
    """A file that is not complete, and what must not change until it is.

    Attributes:
      path: The file.
      key: What it is a copy of; with another key it is begun anew.
      beginning: The bytes with which it begins, that come from elsewhere.
      etag: The server's tag for the contents, by which it tells whether they changed.
      size: Of the whole.
    """

    path: Path
    key: str
    beginning: bytes = b""
    etag: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        said: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            said = dict(json.loads(self.notes.read_text()))
        # Without a tag nobody could say that the rest belongs to what is there.
        same = said.get("key") == self.key and said.get("etag") and self.path.is_file()
        if same and self.path.stat().st_size >= len(self.beginning):
            self.etag, self.size = said["etag"], said.get("size")
        else:
            self.restart()

    def restart(self) -> None:
        """Throws away what was received."""
        self.path.write_bytes(self.beginning)

    @property
    def notes(self) -> Path:
        """The file beside it that keeps key, tag and size."""
        return self.path.with_suffix(".json")

    @property
    def received(self) -> int:
        """Bytes that are there, without `beginning`."""
        return self.path.stat().st_size - len(self.beginning)

    def note(self, etag: str | None, size: int | None) -> None:
        """Keeps what the server says of the file."""
        self.etag, self.size = etag, size
        self.notes.write_text(json.dumps({"key": self.key, "etag": etag, "size": size}))

    def remove(self) -> None:
        """Removes the file and its notes."""
        self.path.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)
