"""Films through a stylizing network: frame by frame, in memory that does not grow, with their sound."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import rich.progress

from jaxviz import images, stylization, video
from jaxviz.cli.options import HOW, option
from jaxviz.cli.session import Session
from jaxviz.drawing import films

Temporal = Annotated[
    float,
    option(
        "--temporal",
        HOW,
        "Films: how much of a frame is taken from the one before, moved as the film moves, against flicker; "
        "0 for none, 0.8 for most of what helps.",
        min=0,
        max=1,
    ),
]
Drawn = Callable[[np.ndarray, Fraction], None]


def is_film(source: Any) -> bool:
    """Returns whether a source is a film by its suffix: one of `video.SUFFIXES`."""
    return Path(str(source)).suffix.lower() in video.SUFFIXES


def stylize_film(
    session: Session, source: str | Path, model: stylization.Stylizer, codes: Any, weights: Any, alpha: Any
) -> None:
    """Stylizes a film and writes it, with its sound; the record gets frames, fps, size, seconds, sound, flicker.

    Of what is given to the command, `temporal` is the steadiness, `size` the longer side, `max_pixels` the
    largest frame, and `out` the result, .mp4, .gif or .webp; .mp4 unless given. Frames of the latter two are all
    kept in memory. After Ctrl-C, or where the film breaks off, what was drawn until then is written.

    Args:
      session: The command's.
      source: A film.
      model: As for `stylization.film`, and so are the others.
      codes: From `model.codes(styles)`.
      weights: How much of each style, or masks of the film's size.
      alpha: How much of the style.

    Raises:
      VideoError: If the film cannot be read.
      ValueError: If the result cannot be written as such a file, or an argument is out of range.
    """
    given = session.given
    if given.get("out") is None:
        session.out = session.out.with_suffix(".mp4")
    suffix = films.checked(session.out)
    session.opens([session.out])
    steady = stylization.Steady(given.get("temporal") or 0.0)
    with video.read(source) as film:
        images.check_pixels(film.path, *film.size, given.get("max_pixels") or images.MAX_PIXELS)
        size = film.size if given.get("size") is None else even(film.size, given["size"])
        times: deque[Fraction] = deque()
        frames = stylization.film(
            model, _sized(film, size, times), codes, weights=weights, alpha=alpha, steadiness=steady
        )
        began = time.perf_counter()
        with _written(session, suffix, film) as write:
            done = _drawn(session, frames, times, film.count, write)
            # Inside, so that it is known before the file takes its place.
            if done == 0 and session.interrupted:
                raise KeyboardInterrupt
        seconds = time.perf_counter() - began
    if film.damage:
        session.incomplete = True
        session.note(f"{film.path} cannot be read to its end ({film.damage}): {done} frames were drawn")
    elif session.interrupted:
        session.note(f"{session.out} ends at frame {done} of {film.count or 'the film'}")
    session.settle(out=session.out)
    session.record |= {
        "frames": done,
        "fps": float(film.fps),
        "size": list(size),
        "seconds": {"all": seconds, "frame": seconds / done},
        "damage": film.damage,
    }
    if steady.active and done > 1:
        without, kept = steady.flicker
        session.record["flicker"] = {"without": without, "with": kept}
        session.note(f"flicker {without:.4f}, {kept:.4f} by --temporal {given['temporal']:g}")


def even(size: tuple[int, int], longer: int) -> tuple[int, int]:
    """Returns a size with even sides, the longer one about as it is asked for.

    Example:
      >>> even((1080, 1920), 640)
      (360, 640)
    """
    scale = longer / max(size)
    h, w = (max(stylization.models.LEAST, 2 * round(side * scale / 2)) for side in size)
    return h, w


def _sized(film: video.Video, size: tuple[int, int], times: deque[Fraction]) -> Iterator[np.ndarray]:
    for at, frame in film.timed():
        times.append(at)
        yield frame if frame.shape[:2] == size else images.resize(frame, *size)


def _drawn(
    session: Session, frames: Iterator[np.ndarray], times: deque[Fraction], total: int | None, write: Drawn
) -> int:
    """Returns how many frames were drawn and written, under a progress bar, until the end or Ctrl-C."""
    text, done = rich.progress.TextColumn, 0
    count = text("{task.completed:.0f}/{task.fields[of]}")
    speed = text("{task.fields[speed]}")
    columns = (count, rich.progress.BarColumn(), speed, rich.progress.TimeRemainingColumn())
    with session.bar(*columns) as progress:
        task = progress.add_task("", total=total, of=total or "?", speed="compiling")
        try:
            began = time.perf_counter()
            for frame in frames:
                write(frame, times.popleft())
                done += 1
                speed_now = f"{done / (time.perf_counter() - began):.1f} frames/s"
                progress.update(task, completed=done, speed=speed_now)
        except KeyboardInterrupt:
            session.interrupted = True
    return done


@contextlib.contextmanager
def _written(session: Session, suffix: str, film: video.Video) -> Iterator[Drawn]:
    """Yields what takes frames; the film is written, or finished, at the end of the block."""
    if suffix == ".mp4":
        sound = film.path if film.sound else None
        with video.Writer(session.out, film.fps, sound_from=sound) as writer:
            yield writer.add
        session.record["sound"] = writer.sound
    else:
        kept: list[np.ndarray] = []
        yield lambda frame, at: kept.append(images.to_bytes(frame))
        films.write(session.out, kept, fps=min(float(film.fps), films.FASTEST))
    session.written.append(session.out)
