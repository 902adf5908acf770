"""From files: the frames of a video, one after another, as RGB bytes."""

import contextlib
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import UInt8

from jaxviz.video.library import VideoError, library, opened, reason

Frame = UInt8[np.ndarray, "_ _ 3"]
SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif")
USUAL_RATE, FASTEST = Fraction(25), 1000
HIGH_DEFINITION = 720
"""Rows from which on colors that are not said to be anything are those of BT.709, as players take them."""
UNSPECIFIED = 2
MISSING = 0.25
"""Seconds that may be missing at the end of a whole video, as its length is that of its longest track."""
LENIENT = 2
"""Frames that files say too many."""


def read(path: str | Path) -> "Video":
    """Returns a video that is open for reading; to be used by `with`, or to its end.

    Args:
      path: Of what FFmpeg reads: MP4, MOV, MKV, WebM, AVI, animated GIF.

    Raises:
      VideoError: If there is no such file, it is no video, has sound alone, or no frame that can be read.
      ImportError: If PyAV is not installed: `pip install "jaxviz-vision[video]"`.

    Example:
      >>> from jaxviz import video
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = f"{folder}/grey.mp4"
      ...     video.write(path, [np.full((16, 20, 3), 128, np.uint8)] * 3, fps=24)
      ...     with video.read(path) as film:
      ...         print(film.fps, film.size, film.count, film.sound, len(list(film)))
      24 (16, 20) 3 False 3
    """
    return Video(path)


class Video:
    """A video that is being read, once, from its first frame to its last; of any length in the same memory.

    Frames are upright where the file says how it was held, in the colors that the file says, BT.601 or BT.709, and
    transparency is laid over white.

    Attributes:
      path: Where it is.
      fps: Frames per second, on average.
      size: Height and width, in pixels.
      count: How many frames the file says that it has, or its length times `fps`; None where neither is known.
      sound: Whether it has any.
      damage: Why not all could be read, told after the last frame; empty where all was.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.damage = ""
        with contextlib.ExitStack() as stack:
            container = stack.enter_context(opened(self.path))
            if not container.streams.video:
                what = "sound and no pictures" if container.streams.audio else "no pictures"
                raise VideoError(f"{path} has {what}; give a video")
            self._container, self._stream = container, container.streams.video[0]
            self._stream.thread_type = "AUTO"
            rate = self._stream.average_rate or self._stream.guessed_rate or USUAL_RATE
            self.fps = Fraction(rate) if 0 < rate <= FASTEST else USUAL_RATE
            self.sound = bool(container.streams.audio)
            length = float((container.duration or 0) / library("reading videos needs").time_base)
            self.count: int | None = self._stream.frames or round(length * self.fps) or None
            self._length = length
            self._coded: tuple[int, int] | None = None
            self._frames = self._timed()
            self._first = next(self._frames, None)
            if self._first is None:
                cause = f" ({self.damage})" if self.damage else ""
                raise VideoError(
                    f"{path} has no frame that can be read{cause}; save it again or take another"
                )
            self.size: tuple[int, int] = self._first[1].shape[:2]
            self._open = stack.pop_all()

    def __enter__(self) -> "Video":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        return (frame for _, frame in self.timed())

    def timed(self) -> Iterator[tuple[Fraction, Frame]]:
        """Yields the frames that are left, and when each is to be seen: seconds after the first one."""
        if self._first is not None:
            first, self._first = self._first, None
            yield first
        yield from self._frames
        self.close()

    def close(self) -> None:
        """Closes the file; what is left is not read."""
        self._frames.close()
        self._open.close()

    def _timed(self) -> Generator[tuple[Fraction, Frame], None, None]:
        start, last = None, Fraction(-1)
        for frame in self._decoded():
            at = None if frame.pts is None else frame.pts * frame.time_base
            if start is None:
                start = at or Fraction(0)
            since = None if at is None else at - start
            # Times that are missing or run backwards are those of an even rate.
            last = since if since is not None and since > last else max(last, Fraction(0)) + 1 / self.fps
            if self._coded is None:
                last, self._coded = Fraction(0), (frame.width, frame.height)
            yield last, self._pixels(frame)

    def _decoded(self) -> Iterator[Any]:
        av = library("reading videos needs")
        packets, bad, done, end = self._container.demux(), 0, 0, Fraction(0)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                self.damage, packet = reason(error), None
            if packet is not None and packet.pts is not None:
                end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
            if packet is not None and packet.stream is not self._stream:
                continue
            bad += packet is not None and packet.is_corrupt
            try:
                for frame in self._stream.codec_context.decode(packet):
                    done += 1
                    yield frame
            except av.error.EOFError:
                pass
            except av.error.FFmpegError:
                bad += 1
            if packet is None or packet.size == 0:
                break
        self.damage = self.damage or self._missing(bad, done, float(end))

    def _missing(self, bad: int, done: int, end: float) -> str:
        """Returns what cannot be read of a file that says nothing of it itself."""
        begin = float((self._container.start_time or 0) / library("reading videos needs").time_base)
        own = float((self._stream.duration or 0) * self._stream.time_base)
        # Edited files have more frames than are to be seen, and are shorter than them.
        stated = self._stream.frames if own < self._length + MISSING else 0
        missing = self._length - (end - begin)
        if missing > max(MISSING, float(2 / self.fps)):
            return f"the last {missing:.1f} seconds are missing"
        if done < stated - LENIENT:
            return f"{stated - done} frames are missing"
        return f"{bad} damaged part{'s' * (bad > 1)}" if bad else ""

    def _pixels(self, frame: Any) -> Frame:
        width, height = self._coded or (frame.width, frame.height)
        space = None
        if int(frame.colorspace) == UNSPECIFIED:
            space = "ITU709" if frame.height >= HIGH_DEFINITION else "ITU601"
        see_through = any(component.is_alpha for component in frame.format.components)
        made = frame.reformat(
            width=width,
            height=height,
            format="rgba" if see_through else "rgb24",
            src_colorspace=space,
            interpolation="BICUBIC",
        ).to_ndarray()
        if see_through:
            alpha = made[..., 3:].astype(np.float32) / 255
            made = np.round(made[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
        return np.ascontiguousarray(np.rot90(made, round(frame.rotation / 90)))
