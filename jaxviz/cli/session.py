"""What every command does around its one call of the library: open, time, report, write, finish."""

import importlib.metadata
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import jax
import numpy as np
import platformdirs
import rich.console
import rich.progress

import jaxviz
from jaxviz import images, optimizers, preconditioners
from jaxviz._checks import known
from jaxviz.cli.methods import Choice
from jaxviz.optimization import Interrupted, Solution
from jaxviz.techniques import Family

T = TypeVar("T")
OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "lbfgs": optimizers.lbfgs,
    "spectral": lambda: optimizers.lbfgs(preconditioner=preconditioners.spectral()),
    "adam": optimizers.adam,
}


class Failure(Exception):
    """What went wrong while working, in one line; exit code 1."""


class Incomplete(Exception):
    """The work is done but for some of many pictures, which were told; exit code 3."""


class Stopped(Exception):
    """Ctrl-C ended the work early, and what there was has been written; exit code 130."""


class Session:
    """One command, from its parsed parameters to its record: `with` opens it and writes the JSON at its end.

    Attributes:
      given: Name → what was parsed.
      record: What the JSON will hold; `settings` first, which read like the command line that made it.
      out: Where the result goes.
      incomplete: Whether some of many pictures failed.
      failure: What the command fails with at its end, when the record is written; empty where it does not.
      choice: The method that was chosen, and its options; None where a command has no methods.
    """

    def __init__(
        self, command: str, given: Mapping[str, Any], *, family: Family | None = None, usual_out: str = ""
    ):
        self.given = dict(given)
        self.quiet = bool(given.get("quiet"))
        self.json_path: str | None = given.get("json")
        self.record: dict[str, Any] = {"settings": {"command": command} | _plain(self.given)}
        self.interrupted = False
        self.failure = ""
        self.incomplete = False
        self.written: list[Path] = []
        self.out = given.get("out") or Path(usual_out)
        self.choice = None if family is None else Choice(family, given)

    def __enter__(self) -> "Session":
        if self.json_path not in (None, "-"):
            self.opens([self.json_path])
        if not self.given.get("no_cache", True):
            use_compilation_cache()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._finish()

    def opens(self, paths: Iterable[str | Path | None]) -> None:
        """Checks that files can be written: what cannot is to be known before the work, not after."""
        for path in paths:
            if path is not None:
                images.temporary_beside(path).unlink()

    def opens_pictures(self, *paths: Path | None) -> None:
        """Checks that pictures or arrays can be written under these names."""
        for path in paths:
            if path is not None:
                images.checked_suffix(path)
        self.opens(paths)

    @property
    def raw(self) -> bool:
        """Whether the result is to be written as arrays, not as a picture."""
        return self.out.suffix.lower() in images.ARRAY_SUFFIXES

    def settle(self, **settings: Any) -> None:
        """Notes in the record what a setting came to be."""
        self.record["settings"] |= _plain(settings)

    def say(self, text: str) -> None:
        """Prints a line to stderr unless quiet."""
        if not self.quiet:
            print(text, file=sys.stderr)  # noqa: T201

    def note(self, text: str) -> None:
        """Keeps a line in the record, to be said at the end: of work that fails, only the error is."""
        self.record.setdefault("notes", []).append(text)

    def write(self, path: Path, values: np.ndarray) -> None:
        """Writes a picture, or the numbers themselves, as `images.write` does; a terminal is told at the end."""
        images.write(path, values)
        self.written.append(path)

    def timed(self, call: Callable[[], T]) -> T:
        """Returns `call()`, run twice: the first run compiles, the second is what it costs."""
        began = time.perf_counter()
        jax.block_until_ready(call())
        compiled = time.perf_counter()
        result = jax.block_until_ready(call())
        run = time.perf_counter() - compiled
        self.record["seconds"] = {"compile": max(0.0, compiled - began - run), "run": run}
        return result

    def solved(
        self, solve: Callable[[Callable[[Solution], None]], Solution], steps: int, title: str = ""
    ) -> Solution:
        """Returns `solve(on_chunk)` under a progress bar; after Ctrl-C the best found until then.

        Raises:
          Failure: If the result is not finite.
        """
        text = rich.progress.TextColumn
        count = text("{task.description} {task.completed:.0f}/{task.total:.0f}")
        loss = text("loss {task.fields[loss]}")
        columns = (count, rich.progress.BarColumn(), loss, rich.progress.TimeRemainingColumn())
        with self.bar(*columns) as progress:
            task = progress.add_task(title, total=max(steps, 1), loss="compiling")

            def on_chunk(solution: Solution) -> None:
                done = int(np.max(solution.evaluations))
                lowest = np.fmin.reduce(solution.losses, axis=None, initial=np.nan)
                progress.update(task, completed=done, loss=f"{lowest:.4g}")

            try:
                solution = solve(on_chunk)
            except Interrupted as interruption:
                solution, self.interrupted = interruption.solution, True
        if not np.all(solution.finite):
            raise Failure(
                "the loss became NaN or infinite; take a smaller step, other weights or another picture"
            )
        for name in ("losses", "evaluations", "rejections", "restarts"):
            self.record[name] = np.asarray(getattr(solution, name)).tolist()
        self.record["seconds"] = {"compile": solution.compile_seconds, "run": solution.run_seconds}
        return solution

    def bar(self, *columns: Any) -> rich.progress.Progress:
        """Returns a progress bar on stderr, which shows nothing unless that is a terminal."""
        console = rich.console.Console(stderr=True)
        hidden = self.quiet or not sys.stderr.isatty()
        return rich.progress.Progress(*columns, console=console, disable=hidden, transient=True)

    def _finish(self) -> None:
        self.record["versions"] = versions()
        self.record["device"] = str(jax.local_devices()[0])
        if self.json_path is not None:
            text = json.dumps(_plain(self.record), indent=2, allow_nan=False) + "\n"
            if self.json_path == "-":
                sys.stdout.write(text)
            else:
                with images.atomically(self.json_path) as temporary:
                    temporary.write_text(text, encoding="utf-8")
        for note in self.record.get("notes", []):
            self.say(note)
        if self.written and sys.stderr.isatty():
            self.say(f"wrote {', '.join(map(str, self.written))}")
        if self.failure:
            raise Failure(self.failure)
        if self.incomplete:
            raise Incomplete
        if self.interrupted:
            raise Stopped("interrupted; the best so far was written")


def use_compilation_cache() -> None:
    """Keeps compiled programs in the user's cache folder, so that the second run starts at once."""
    folder = Path(platformdirs.user_cache_dir("jaxviz")) / "xla"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if not os.access(folder, os.W_OK):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def versions() -> dict[str, str]:
    """Returns the versions that a result depends on."""
    names = ("jax", "jaxlib", "flax", "optax", "numpy", "pillow")
    return {"jaxviz": jaxviz.__version__} | {name: importlib.metadata.version(name) for name in names}


def optimizer_named(name: str | None) -> Any:
    """Returns the optimizer that an option names; None for None."""
    return None if name is None else OPTIMIZERS[known(name, OPTIMIZERS, "optimizer")]()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
