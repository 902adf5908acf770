"""One run over many pictures: read ahead, batched by shape, written shard by shard, continued where it stopped."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Mesh

import jaxviz
from jaxviz import distributed, images
from jaxviz.jobs import shards, sharing
from jaxviz.jobs.manifest import Manifest, RunError, agreed, shard_in, software
from jaxviz.jobs.progress import Counter, Progress
from jaxviz.jobs.reading import Loaded, Reader, ahead, grain_module, read
from jaxviz.jobs.sizes import stack
from jaxviz.jobs.sources import Source, open_source
from jaxviz.jobs.tasks import Result, Task

LOCK = ".lock"
Outcome = tuple[Loaded, Result | None, str]


@dataclasses.dataclass(frozen=True)
class How:
    """How pictures go through a task: what `run` and `iterate` are told of it."""

    batch: int | None
    memory: str | int | None
    mesh: Mesh | None
    workers: int | None
    max_pixels: int
    sizes: dict[tuple[int, ...], int] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("batch", "workers", "max_pixels"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; expected at least 1")

    def at_once(self, task: Task, shape: tuple[int, ...]) -> int:
        """Returns how many pictures of a shape one call of the task gets."""
        if self.batch is not None:
            return self.batch * (1 if self.mesh is None else self.mesh.size)
        if shape not in self.sizes:
            self.sizes[shape] = task.at_once(shape, self.memory, self.mesh)
        return self.sizes[shape]

    def settings(self) -> dict[str, Any]:
        """Returns what of it decides the last bits of results."""
        memory = None if self.memory is None else str(self.memory)
        devices = 1 if self.mesh is None else self.mesh.size
        return {"batch": self.batch, "memory": memory, "devices": devices, "max_pixels": self.max_pixels}


@dataclasses.dataclass(frozen=True)
class Report:
    """What a run did.

    Attributes:
      folder: The run folder.
      total: Pictures of the source.
      made: Results that this call made, in all processes.
      already: Results that were there before.
      failures: Name and cause of each picture without a result, of the whole run; of several processes the first
        alone reads them.
      seconds: What this call took.
      process: Which of several processes this one is, from 0.
      processes: How many made them.
      idle: How many of these found nothing to do, since there are fewer shards.
    """

    folder: Path
    total: int
    made: int
    already: int
    failures: Sequence[tuple[str, str]]
    seconds: float
    process: int = 0
    processes: int = 1
    idle: int = 0


def run(
    task: Task,
    source: Source | str | Path,
    *,
    out: str | Path,
    batch: int | None = None,
    memory: str | int | None = None,
    mesh: Mesh | None = None,
    shard: int | None = None,
    workers: int | None = None,
    max_pixels: int = images.MAX_PIXELS,
    on_progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Returns what was done to bring a run folder to its end: all pictures of a source through a task.

    In `out` stand `manifest.json`, `results-*.parquet` with a row for each picture, and arrays (`arrays-*.npz`)
    or pictures (`pictures/`) beside them. A run that was interrupted or killed is continued by the same call:
    shards that are complete are not made again, and the result is the same to the bit on the same machine.

    In a block of `jaxviz.distributed.joined`, processes share the work: each makes whole shards in the one folder,
    which all of them see, and all must make the same call.

    Args:
      task: From `classify`, `features`, `saliency`, `attack`, `inversion`, or your own.
      source: A folder, glob, list, `tfds:NAME[:SPLIT]`, or what `open_source` returns.
      out: The run folder; it is made where it does not exist.
      batch: Pictures of one program on each device, at least 1; None for what is fastest and fits `memory`.
      memory: Budget of a device, such as "4GB".
      mesh: Devices to share each batch among, from `jaxviz.mesh`.
      shard: Pictures in a shard, at least 1; None for what the folder's run has, or 256, or fewer where some of
        several processes would have none.
      workers: Threads that read; None for one for each core.
      max_pixels: Larger pictures are failures.
      on_progress: Called after each batch.

    Raises:
      RunError: If `out` holds another run, or anything else, is in use, or cannot be written to, or processes were
        given different things.
      GroupError: If another process has stopped or died.
      ValueError: If a number is out of range, or there is no picture.
      ImportError: If Grain or PyArrow is not installed: `pip install "jaxviz-vision[jobs]"`.
    """
    if shard is not None and shard < 1:
        raise ValueError(f"shard is {shard}; expected at least 1")
    how = How(batch, memory, mesh, workers, max_pixels)
    grain_module()
    shards.arrow()
    pictures = open_source(source) if isinstance(source, str | Path) else source
    folder, total = Path(out), len(pictures)
    began = time.perf_counter()
    with distributed.present() as group, contextlib.ExitStack() as held:
        group.progress = 0, 0
        size = shard or shard_in(folder) or sharing.shard_size(total, group.count)
        settings = {**task.settings, **how.settings()}
        manifest = Manifest(settings, pictures.describe(), size, jaxviz.__version__)
        agreed(group.gather("settings", manifest.decides() | {"shard": shard} | software()))
        missing: list[int] = []
        if group.index == 0:
            manifest.check(folder)  # before the lock too, whose file has no place in a folder that is no run
            if memory is not None and batch is None and not manifest.is_in(folder):
                _check_memory(task, pictures, how)
            held.enter_context(_held(folder))
            manifest.check(folder)
            shards.clean(folder)
            ready = shards.complete(folder, total, size)
            missing = [k for k in range(math.ceil(total / size)) if k not in ready]
            with _told(folder):
                manifest.write(folder, state="running", total=total, processes=group.count)
        # The first process's word goes: on a shared file system others may see another state of the folder.
        size, missing = group.gather("missing", (size, missing))[0]
        already = total - sum(min(size, total - k * size) for k in missing)
        if group.count > 1:
            sharing.check_shared(group, folder)
        counter = Counter(total, already, on_progress, group)
        for k, outcomes in _shards(task, pictures, sharing.share(missing, group), size, how, counter):
            shards.write(folder, k, task, outcomes)
        counter.finish()
        failed: list[tuple[str, str]] = []
        if group.index == 0:
            sharing.await_shards(group, folder, total, size)
            failed = shards.failures(folder)
            with _told(folder):
                manifest.write(
                    folder, state="complete", total=total, failed=len(failed), processes=group.count
                )
    seconds = time.perf_counter() - began
    idle = max(0, group.count - len(missing)) if missing else 0
    made = counter.done - already
    return Report(folder, total, made, already, failed, seconds, group.index, group.count, idle)


def iterate(
    task: Task,
    source: Source | str | Path,
    *,
    batch: int | None = None,
    memory: str | int | None = None,
    mesh: Mesh | None = None,
    workers: int | None = None,
    max_pixels: int = images.MAX_PIXELS,
) -> Iterator[tuple[Loaded, Result | None, str]]:
    """Yields for each picture of a source, in order, what was read, its result, and why there is none.

    Arguments and errors as for `run`; nothing is written.
    """
    how = How(batch, memory, mesh, workers, max_pixels)
    pictures = open_source(source) if isinstance(source, str | Path) else source
    every = range(math.ceil(len(pictures) / sharing.SHARD))
    counter = Counter(len(pictures), 0, None, distributed.Alone())
    for _, outcomes in _shards(task, pictures, every, sharing.SHARD, how, counter):
        yield from outcomes


def _check_memory(task: Task, source: Source, how: How) -> None:
    """Raises ValueError where the first picture that can be read needs more than the budget, before any file."""
    reader = Reader(source, task.sizing, how.max_pixels)
    for index in range(len(source)):
        if (pixels := reader(index).pixels) is not None:
            how.at_once(task, pixels.shape)
            return


@dataclasses.dataclass(frozen=True)
class _Batch:
    """What comes out of reading: pictures of one shape, or failures, of one shard; its last batch says so."""

    shard: int
    gathered: Sequence[Loaded]
    pixels: np.ndarray | None
    last: bool = False


def _batches(task: Task, source: Source, numbers: Sequence[int], shard: int, how: How) -> Iterator[_Batch]:
    """Yields the batches of shards.

    Pictures are gathered by shape inside their shard alone, so what is in a batch does not depend on where an
    earlier run has stopped.
    """
    wanted = [i for k in numbers for i in range(k * shard, min((k + 1) * shard, len(source)))]
    stream = read(source, wanted, task.sizing, max_pixels=how.max_pixels, workers=how.workers)
    for k in numbers:
        waiting: dict[tuple[int, ...], list[Loaded]] = {}
        for _ in range(k * shard, min((k + 1) * shard, len(source))):
            loaded = next(stream)
            if loaded.pixels is None:
                yield _Batch(k, [loaded], None)
                continue
            shape = loaded.pixels.shape
            waiting.setdefault(shape, []).append(loaded)
            if len(waiting[shape]) == how.at_once(task, shape):
                yield _stacked(k, waiting.pop(shape))
        for gathered in waiting.values():
            yield _stacked(k, gathered)
        yield _Batch(k, [], None, last=True)


def _stacked(shard: int, gathered: Sequence[Loaded]) -> _Batch:
    pixels = stack([loaded.pixels for loaded in gathered if loaded.pixels is not None])
    return _Batch(shard, [dataclasses.replace(loaded, pixels=None) for loaded in gathered], pixels)


def _shards(
    task: Task, source: Source, numbers: Sequence[int], shard: int, how: How, counter: Counter
) -> Iterator[tuple[int, list[Outcome]]]:
    """Yields each of the shards with the outcomes of its pictures, in their order."""
    outcomes: dict[int, Outcome] = {}
    with ahead(_batches(task, source, numbers, shard, how)) as batches:
        for batch in batches:
            made: list[Outcome] = [(loaded, None, loaded.failure) for loaded in batch.gathered]
            if batch.pixels is not None:
                items = [loaded.item for loaded in batch.gathered]
                results = task(batch.pixels, items, how.batch, how.mesh)
                both = zip(batch.gathered, results, strict=True)
                made = [
                    (one, None, found) if isinstance(found, str) else (one, found, "") for one, found in both
                ]
            outcomes.update({one[0].index: one for one in made})
            counter.add(len(made), sum(bool(failure) for _, _, failure in made))
            if batch.last:
                yield batch.shard, [outcomes[index] for index in sorted(outcomes)]
                outcomes = {}


def _told(folder: Path) -> Any:
    return images.writing(folder)


class _held:
    """Holds a run folder for one run at a time; the system frees the lock of a run that died."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __enter__(self) -> None:
        import filelock

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.lock = filelock.FileLock(self.folder / LOCK)
            self.lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise RunError(
                f"{self.folder} is in use by another run; wait for it, or choose another"
            ) from error
        except OSError as error:
            reason = error.strerror or error
            raise RunError(f"{self.folder} cannot be written ({reason}); choose another folder") from error

    def __exit__(self, *error: object) -> None:
        self.lock.release()
