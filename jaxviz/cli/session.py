"""What every command does around its one call of the library: read, time, report, write."""

import importlib.metadata
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import platformdirs
import rich.console
import rich.progress

import jaxviz
from jaxviz import images, optimizers
from jaxviz._checks import known, nearest
from jaxviz.networks import Network, compiled_features
from jaxviz.optimization import Interrupted, Solution
from jaxviz.techniques.saliency import class_count

T = TypeVar("T")
OPTIMIZERS: dict[str, Callable[[], Any]] = {"lbfgs": optimizers.lbfgs, "adam": optimizers.adam}


class Failure(Exception):
    """What went wrong while working, in one line; exit code 1."""


class Stopped(Exception):
    """Ctrl-C ended the work early, and what there was has been written; exit code 130."""


class Session:
    """One command: its settings and results, and where they go.

    Keeping `settings` first makes the JSON read like the command line that made it.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        quiet: bool,
        no_cache: bool,
        pictures: Iterable[Path | None] = (),
        json_path: str | None = None,
    ):
        self.quiet = quiet
        self.json_path = json_path
        self.record: dict[str, Any] = {"settings": {k: _plain(v) for k, v in settings.items()}}
        self.interrupted = False
        self.written: list[Path] = []
        outputs: list[str | Path] = [path for path in pictures if path is not None]
        for path in outputs:
            images.checked_suffix(path)
        if json_path not in (None, "-"):
            outputs.append(json_path)
        for path in outputs:  # what cannot be written is to be known before the work, not after
            images.temporary_beside(path).unlink()
        if not no_cache:
            use_compilation_cache()

    def say(self, text: str) -> None:
        """Prints a line to stderr unless quiet."""
        if not self.quiet:
            print(text, file=sys.stderr)  # noqa: T201

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
        columns = (
            rich.progress.TextColumn("{task.description} {task.completed:.0f}/{task.total:.0f}"),
            rich.progress.BarColumn(),
            rich.progress.TextColumn("loss {task.fields[loss]}"),
            rich.progress.TimeRemainingColumn(),
        )
        console = rich.console.Console(stderr=True)
        shown = not self.quiet and sys.stderr.isatty()
        with rich.progress.Progress(*columns, console=console, disable=not shown, transient=True) as progress:
            task = progress.add_task(title, total=max(steps, 1), loss="compiling")

            def on_chunk(solution: Solution) -> None:
                done = int(solution.evaluations)
                lowest = np.fmin.reduce(solution.losses, initial=np.nan)
                progress.update(task, completed=done, loss=f"{lowest:.4g}")

            try:
                solution = solve(on_chunk)
            except Interrupted as interruption:
                solution, self.interrupted = interruption.solution, True
        if not solution.finite:
            raise Failure(
                "the loss became NaN or infinite; take a smaller step, other weights or another picture"
            )
        self.record["losses"] = [float(loss) for loss in solution.losses]
        self.record["evaluations"] = int(solution.evaluations)
        self.record["seconds"] = {"compile": solution.compile_seconds, "run": solution.run_seconds}
        return solution

    def finish(self) -> None:
        """Writes the JSON record and ends the command, with exit code 130 after Ctrl-C."""
        self.record["versions"] = versions()
        self.record["device"] = str(jax.devices()[0])
        if self.json_path is not None:
            text = json.dumps(_plain(self.record), indent=2, allow_nan=False) + "\n"
            if self.json_path == "-":
                sys.stdout.write(text)
            else:
                with images.atomically(self.json_path) as temporary:
                    temporary.write_text(text, encoding="utf-8")
        if self.written and sys.stderr.isatty():
            self.say(f"wrote {', '.join(map(str, self.written))}")
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


def class_scores(network: Network, picture: images.Picture) -> np.ndarray:
    """Returns the logits of a picture; raises ValueError where the network has no classifier."""
    class_count(network)
    return np.asarray(compiled_features(network, jnp.asarray(picture), ("logits",))["logits"])


def class_index(network: Network, text: str, option: str) -> int:
    """Returns the class that an option names, by index or by label."""
    count = class_count(network)
    if text.removeprefix("-").isdecimal():
        number = int(text)
        if not 0 <= number < count:
            raise ValueError(f"{option} is {number}; expected 0 to {count - 1}")
        return number
    lowered = [label.lower() for label in network.labels]
    found = [i for i, label in enumerate(lowered) if label == text.lower()]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{option} {text!r} names several classes; give one of the indices {found}")
    holding = [label for label in network.labels if text.lower() in label.lower()][:8]
    hint = f"some hold it: {', '.join(holding)}" if holding else nearest(text.lower(), lowered)
    raise ValueError(f"{option} is {text!r}, which is no class; {hint}")


def top(network: Network, logits: np.ndarray, count: int = 5) -> list[dict[str, Any]]:
    """Returns the best classes with index, label, score and probability, best first.

    Raises:
      Failure: If a score is not finite.
    """
    scores = np.asarray(logits, np.float64)
    if not np.isfinite(scores).all():
        raise Failure("the class scores are NaN or infinite; take other weights")
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    order = np.argsort(-scores)[:count]
    return [
        {
            "index": int(i),
            "label": network.labels[i],
            "score": float(scores[i]),
            "probability": float(shares[i]),
        }
        for i in order
    ]


def listing(classes: Sequence[Mapping[str, Any]]) -> str:
    """Returns the lines that show classes to a person."""
    return "\n".join(f"  {c['probability']:6.1%}  {c['label']} ({c['index']})" for c in classes)


def optimizer_named(name: str) -> Any:
    """Returns the optimizer that an option names."""
    return OPTIMIZERS[known(name, OPTIMIZERS, "optimizer")]()


def fraction(text: str, option: str) -> float:
    """Returns a number such as "0.03" or "8/255" in [0, 1]."""
    try:
        above, _, below = text.partition("/")
        value = float(above) / (float(below) if below else 1.0)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{option} is {text!r}; expected a number or a fraction such as 8/255") from None
    if not (math.isfinite(value) and 0 <= value <= 1):
        raise ValueError(f"{option} is {text}; expected a number in [0, 1], such as 8/255")
    return value


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
