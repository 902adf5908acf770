"""To files: H.264 in MP4, as every player reads it, frame by frame, with the sound of another file."""

import contextlib
import math
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxviz import images
from jaxviz.video.library import library
from jaxviz.video.reading import FASTEST, Frame
from jaxviz.video.sound import Sound

AnyFrame = Float[np.ndarray, "_ _ 3"] | Frame
LONGEST = 16384
"""Pixels that a side has at most, by the encoder."""
FINEST = 90_000
"""Parts of a second in which times of frames are counted, at least."""


class Writer:
    """A video that is being written, to be used by `with`: of any length in the same memory.

    There is never a partial file, and none after an error; so catch inside of the block what is to end the video.

    Attributes:
      count: How many frames there are until now.
      sound: What became of the sound: "" for none, "copied", or "encoded as AAC".

    Args:
      path: `.mp4`.
      fps: Frames per second, in (0, 1000].
      sound_from: A file whose sound is to be heard, as far as there are frames: as it is, where players of MP4 know
        it, and otherwise encoded as AAC. None, or a file without sound, for none.

    Raises:
      ValueError: If `path` is no `.mp4`, `fps` out of range, a frame too large or of another size than the
        first; at the end, if there was no frame.
      VideoError: If `sound_from` cannot be read.
      PictureError: If the file cannot be written.
      ImportError: If PyAV is not installed.

    Example:
      >>> from jaxviz import video
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder, video.Writer(f"{folder}/a.mp4", 25) as film:
      ...     for k in range(5):
      ...         film.add(np.full((16, 16, 3), 50 * k, np.uint8))
      >>> film.count
      5
    """

    def __init__(
        self, path: str | Path, fps: Fraction | float | int, *, sound_from: str | Path | None = None
    ):
        if Path(path).suffix.lower() != ".mp4":
            raise ValueError(f"{path} cannot be written as {Path(path).suffix or 'a video'}; expected .mp4")
        if not 0 < fps <= FASTEST:
            raise ValueError(f"fps is {float(fps):g}; expected a number in (0, {FASTEST}]")
        self.path, self.count, self.sound = Path(path), 0, ""
        self._rate = fps if isinstance(fps, Fraction) else Fraction(fps).limit_denominator(1001)
        # So that both an even rate and times of a file fall on whole numbers.
        self._base = Fraction(1, self._rate.numerator * math.ceil(FINEST / self._rate.numerator))
        self._sound_from, self._last = sound_from, -1
        self._size: tuple[int, int] | None = None

    def __enter__(self) -> "Writer":
        av = library("films of .mp4 need")
        with contextlib.ExitStack() as stack:
            temporary = stack.enter_context(images.atomically(self.path))
            options = {"movflags": "+faststart"}
            self._container = av.open(str(temporary), "w", format="mp4", options=options)
            stack.callback(self._container.close)
            self._stream = h264(self._container, self._rate)
            self._stream.codec_context.time_base = self._base
            self._heard = None
            if self._sound_from is not None:
                self._heard = stack.enter_context(Sound(Path(self._sound_from), self._container))
                self.sound = self._heard.how
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._open:
            if error is not None:
                raise error
            if self.count == 0:
                raise ValueError(f"{self.path} would be a film without frames; give at least one")
            self._container.mux(self._stream.encode())
            if self._heard is not None:
                self._heard.until(self._last * self._base + 1 / self._rate)
                self._heard.finish()

    def add(self, frame: AnyFrame, at: Fraction | None = None) -> None:
        """Writes a frame.

        Args:
          frame: RGB, [h, w, 3], bytes or floats in [0, 1]; where a side is odd the last row or column is repeated.
          at: When it is to be seen, in seconds after the first one; None for an even rate.
        """
        pixels = images.to_bytes(frame)
        height, width = pixels.shape[:2]
        if max(height, width) > LONGEST:
            raise ValueError(
                f"{self.path} would have {width}×{height} pixels; an .mp4 has at most {LONGEST} a side"
            )
        self._size = self._size or (height, width)
        if self._size != (height, width):
            expected = f"{self._size[1]}×{self._size[0]}"
            raise ValueError(
                f"a frame has {width}×{height} pixels; expected {expected}, as the first one has"
            )
        seconds = self.count / self._rate if at is None else at
        self._last = max(round(seconds / self._base), self._last + 1)
        self._container.mux(encoded(self._stream, pixels, self._last, self._base))
        self.count += 1
        if self._heard is not None:
            self._heard.until(self._last * self._base)


def write(
    path: str | Path,
    frames: Iterable[AnyFrame],
    fps: Fraction | float | int,
    *,
    sound_from: str | Path | None = None,
) -> None:
    """Writes frames as a video; arguments and errors are those of `Writer`.

    Args:
      path: `.mp4`.
      frames: One or more, of one size; an iterator is read once, one frame after the other.
      fps: Frames per second.
      sound_from: A file whose sound is to be heard.

    Example:
      >>> from jaxviz import video
      >>> video.write("film.txt", [np.zeros((2, 2, 3), np.float32)], fps=24)
      Traceback (most recent call last):
      ValueError: film.txt cannot be written as .txt; expected .mp4
    """
    with Writer(path, fps, sound_from=sound_from) as film:
        for frame in frames:
            film.add(frame)


def h264(container: Any, rate: Fraction) -> Any:
    """Returns a new stream of a container: H.264 that cannot be told from what it encodes, in colors of BT.709."""
    stream = container.add_stream("libx264", rate=rate, options={"crf": "16", "preset": "medium"})
    stream.pix_fmt = "yuv420p"
    # Unless the matrix is named, a player guesses it by the size, and colors shift.
    context = stream.codec_context
    context.colorspace = context.color_primaries = context.color_trc = 1  # ITU-R BT.709
    context.color_range = 1  # 16 to 235
    return stream


def encoded(stream: Any, pixels: Frame, at: int, base: Fraction) -> Any:
    """Returns packets of a stream that `h264` has made, after one more frame; odd sides become even."""
    odd = pixels.shape[0] % 2, pixels.shape[1] % 2
    pixels = np.pad(pixels, ((0, odd[0]), (0, odd[1]), (0, 0)), "edge")
    if not stream.codec_context.is_open:
        stream.height, stream.width = pixels.shape[:2]
    frame = library("films of .mp4 need").VideoFrame.from_ndarray(pixels, format="rgb24")
    made = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
    made.pts, made.time_base = at, base
    return stream.encode(made)
