"""Films of a run, one frame after another: animated GIF and WebP, and MP4, on the host."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image as PillowImage

from jaxviz import images, video

Frame = UInt8[np.ndarray, "_ _ 3"]
AnyFrame = Float[np.ndarray, "_ _ 3"] | Frame
LONGEST = {".gif": 65535, ".webp": 16383, ".mp4": video.LONGEST}
"""Of every format, the longest side that it or its encoder allows."""
SUFFIXES = tuple(LONGEST)
FPS, FASTEST = 24, 120
MOST = 240
"""Frames that a film has at most unless told otherwise: ten seconds."""


class Film:
    """The frames of a run of any length, of which the first, the last and evenly spaced ones are kept.

    Where there would be more than `most`, every second one is dropped, and from then on only every second one kept.
    Frames are held as bytes: 240 of 512² are 190 MB.

    Args:
      most: The largest number of frames, at least 2.

    Raises:
      ValueError: If `most` is below 2.

    Example:
      >>> film = Film(most=4)
      >>> for k in range(11):
      ...     film.add(np.full((2, 2, 3), k / 255, np.float32))
      >>> [int(frame[0, 0, 0]) for frame in film.frames]
      [0, 4, 8, 10]
    """

    def __init__(self, *, most: int = MOST) -> None:
        if most < 2:
            raise ValueError(f"most is {most}; expected at least 2 frames, the first and the last")
        self._most, self._interval, self._seen = most, 1, 0
        self._kept: list[Frame] = []
        self._last: Frame | None = None

    def add(self, frame: AnyFrame) -> None:
        """Takes a copy of a frame: RGB, [h, w, 3], floats in [0, 1] or bytes; sizes may differ."""
        self._last = _bytes(frame)
        if self._seen % self._interval == 0:
            self._kept.append(self._last)
            # One place is the last frame's, whichever that will be.
            if len(self._kept) == self._most:
                self._kept = self._kept[::2]
                self._interval *= 2
        self._seen += 1

    @property
    def frames(self) -> list[Frame]:
        """The frames that are kept, at most `most`, the first and the last of the run among them."""
        if self._last is None or self._last is self._kept[-1]:
            return list(self._kept)
        return [*self._kept, self._last]

    def write(self, path: str | Path, *, fps: float | int = FPS) -> None:
        """Writes the frames; arguments and errors are those of `write`."""
        write(path, self.frames, fps=fps)


def checked(path: str | Path) -> str:
    """Returns a film's suffix in lower case, if such a film can be written here: to be called before a long run.

    Raises:
      ValueError: If the suffix is not one of `SUFFIXES`.
      ImportError: If PyAV is needed and not installed: `pip install "jaxviz-vision[video]"`.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        shown = suffix or "a film without suffix"
        raise ValueError(f"{path} cannot be written as {shown}; expected {', '.join(SUFFIXES)}")
    if suffix == ".mp4":
        video.library("films of .mp4 need")
    return suffix


def write(path: str | Path, frames: Sequence[AnyFrame], *, fps: float | int = FPS) -> None:
    """Writes frames as a film, which repeats for ever if it is a GIF or WebP; never a partial file.

    All become of the last frame's size, by Pillow's bicubic, as the coarse steps of a pyramid have to.

    Args:
      path: `.gif`: 256 colors for each frame, dithered, and hundredths of a second; `.webp`: quality 90; `.mp4`:
        H.264 as every player reads it, with the last row or column repeated where a side is odd.
      frames: One or more, RGB, [h, w, 3], floats in [0, 1] or bytes. Equal ones in a row may be stored as one that
        stands longer.
      fps: Frames per second, in (0, 120]; in a GIF at most 50, since what is faster is shown slowly.

    Raises:
      ValueError: If there is no frame, or it is too large for the format, the suffix unknown or `fps` out of range.
      ImportError: As `checked` does.
      PictureError: If the file cannot be written.

    Example:
      >>> write("film.txt", [np.zeros((2, 2, 3), np.float32)])
      Traceback (most recent call last):
      ValueError: film.txt cannot be written as .txt; expected .gif, .webp, .mp4
    """
    suffix = checked(path)
    if not 0 < fps <= FASTEST:
        raise ValueError(f"fps is {fps:g}; expected a number in (0, {FASTEST}]")
    if len(frames) == 0:
        raise ValueError(f"{path} would be a film without frames; give at least one")
    height, width = frames[-1].shape[:2]
    if max(height, width) > LONGEST[suffix]:
        raise ValueError(
            f"{path} would have {width}×{height} pixels; a {suffix} has at most {LONGEST[suffix]} a side"
        )
    if suffix == ".mp4":
        video.write(path, map(np.asarray, _of_one_size(frames)), fps)
        return
    with images.atomically(path) as temporary:
        if suffix == ".gif":
            durations = _durations(len(frames), min(fps, 50), 10)
            _write_pillow(temporary, map(_dithered, _of_one_size(frames)), durations, optimize=False)
        else:
            _write_pillow(temporary, _of_one_size(frames), _durations(len(frames), fps, 1), quality=90)


def _bytes(frame: AnyFrame) -> Frame:
    return frame.copy() if frame.dtype == np.uint8 else images.to_bytes(frame)


def _of_one_size(frames: Sequence[AnyFrame]) -> Iterator[PillowImage.Image]:
    height, width = frames[-1].shape[:2]
    for frame in frames:
        picture = PillowImage.fromarray(_bytes(frame))
        same = picture.size == (width, height)
        yield picture if same else picture.resize((width, height), PillowImage.Resampling.BICUBIC)


def _dithered(picture: PillowImage.Image) -> PillowImage.Image:
    # Pillow dithers with a palette that is given, not with the one that it finds.
    palette = picture.quantize(256, PillowImage.Quantize.MEDIANCUT)
    return picture.quantize(palette=palette, dither=PillowImage.Dither.FLOYDSTEINBERG)


def _durations(count: int, fps: float | int, unit: int) -> list[int]:
    """Returns how many milliseconds each frame stands, in whole units, without drifting from `fps`."""
    ends = [unit * round(1000 * k / (fps * unit)) for k in range(count + 1)]
    return [after - before for before, after in itertools.pairwise(ends)]


def _write_pillow(
    path: Path, pictures: Iterator[PillowImage.Image], durations: list[int], **options: Any
) -> None:
    first, rest = next(pictures), pictures
    # A duration of one frame is no list, to Pillow.
    duration = durations if len(durations) > 1 else durations[0]
    first.save(path, save_all=True, append_images=rest, duration=duration, loop=0, **options)
