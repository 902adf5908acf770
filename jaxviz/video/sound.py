"""Sound of one file for the pictures of another."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

from jaxviz.video.library import library, opened

COPIED = ("aac", "mp3", "ac3", "eac3", "opus", "flac", "alac")
"""Kinds of sound that players of MP4 know."""
USUAL_RATE = 48_000
EARLY = 0.1
"""Seconds before the first picture from which on sound is kept: encoders begin with some that is not heard."""


class Sound:
    """The sound of a file, put into a container as far as its pictures go.

    Attributes:
      how: "copied", "encoded as AAC", or "" where the file has none.

    Args:
      path: A video, or sound alone.
      container: Where to put it; nothing must have been written there yet.

    Raises:
      VideoError: If the file cannot be read.
    """

    def __init__(self, path: Path, container: Any) -> None:
        self._container = container
        self.how = ""
        self._waiting: tuple[Fraction, Any] | None = None
        self._pieces: Iterator[tuple[Fraction, Any]] = iter(())
        with contextlib.ExitStack() as stack:
            self._begin(stack.enter_context(opened(path)))
            self._open = stack.pop_all()

    def _begin(self, source: Any) -> None:
        container = self._container
        if not source.streams.audio:
            return
        stream = source.streams.audio[0]
        pictures = source.streams.video
        begins = pictures and pictures[0].start_time is not None
        start = pictures[0].start_time * pictures[0].time_base if begins else Fraction(0)
        if stream.codec_context.codec.canonical_name in COPIED:
            self.how, self._target = "copied", container.add_stream_from_template(stream)
            self._pieces = self._packets(source, stream, start)
        else:
            rates = stream.codec_context.rate, USUAL_RATE
            known = library("sound needs").Codec("aac", "w").audio_rates or rates
            rate = next(rate for rate in rates if rate in known)
            self.how = "encoded as AAC"
            self._target = container.add_stream("aac", rate=rate, layout=stream.layout.name)
            self._pieces = self._samples(source, stream, start)

    def __enter__(self) -> "Sound":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def until(self, seconds: Fraction) -> None:
        """Writes what is heard before a time, counted from the first picture."""
        while True:
            self._waiting = self._waiting or next(self._pieces, None)
            if self._waiting is None or self._waiting[0] >= seconds:
                return
            self._put(self._waiting[1])
            self._waiting = None

    def finish(self) -> None:
        """Writes what an encoder still holds back."""
        if self.how.startswith("encoded"):
            self._container.mux(self._target.encode(None))

    def _put(self, piece: Any) -> None:
        if self.how == "copied":
            piece.stream = self._target
            self._container.mux(piece)
        else:
            self._container.mux(self._target.encode(piece))

    def _packets(self, source: Any, stream: Any, start: Fraction) -> Iterator[tuple[Fraction, Any]]:
        shift = round(start / stream.time_base)
        for packet in _readable(source.demux(stream)):
            if packet.pts is None or packet.dts is None:
                continue
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            at = packet.pts * packet.time_base
            if at >= -EARLY:
                yield at, packet

    def _samples(self, source: Any, stream: Any, start: Fraction) -> Iterator[tuple[Fraction, Any]]:
        for frame in _readable(source.decode(stream)):
            if frame.pts is None:
                continue
            frame.pts -= round(start / frame.time_base)
            at = frame.pts * frame.time_base
            if at >= -EARLY:
                yield at, frame


def _readable(pieces: Iterator[Any]) -> Iterator[Any]:
    """Yields what can be read: sound that ends early is no reason to have no pictures."""
    try:
        yield from pieces
    except library("sound needs").error.FFmpegError:
        return
