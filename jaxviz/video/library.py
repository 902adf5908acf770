"""PyAV, which is imported where it is used: it is an extra."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxviz.images import PictureError


class VideoError(PictureError):
    """A file that cannot be used as a video; the message names it, the cause and the remedy."""


def library(what: str) -> Any:
    """Returns PyAV.

    Args:
      what: What needs it, such as "reading videos needs".

    Raises:
      ImportError: If it is not installed; the message says what to install.
    """
    try:
        import av
    except ImportError as error:
        raise ImportError(f'{what} PyAV: pip install "jaxviz-vision[video]"') from error
    return av


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Yields the container of a file that is to be read.

    Raises:
      VideoError: If it does not exist, is a folder, is empty or of no kind that is known.
    """
    av = library("reading videos needs")
    if path.is_dir():
        raise VideoError(f"{path} is a directory; give the path of one video")
    if not path.exists():
        raise VideoError(f"{path} does not exist; check the path")
    if path.stat().st_size == 0:
        raise VideoError(f"{path} is empty; save it again or take another")
    try:
        container = av.open(str(path))
    except av.error.FFmpegError as error:
        raise VideoError(
            f"{path} is no video that can be read ({reason(error)}); expected a whole MP4, MOV, MKV, WebM, AVI, GIF"
        ) from error
    with container:
        yield container


def reason(error: Any) -> str:
    """Returns what FFmpeg says of an error, as the middle of a sentence."""
    text = str(error.strerror or error)
    return text[:1].lower() + text[1:]
