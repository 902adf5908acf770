"""The loop that trains every network of this library: one compiled step, batches ahead of it, nothing lost."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxviz import stylization
from jaxviz._checks import whole
from jaxviz.jobs.reading import ahead
from jaxviz.jobs.sources import Source
from jaxviz.sharding import AXIS
from jaxviz.training.data import Crop, batches
from jaxviz.training.keeping import LOG, Kept, Log
from jaxviz.training.recipe import Recipe
from jaxviz.training.reports import Reports
from jaxviz.training.stopping import stopped

MODEL = "model.safetensors"


class TrainingError(RuntimeError):
    """A run that cannot go on: its loss is no number any more. The message says what is left, and the remedy."""


@dataclasses.dataclass(frozen=True)
class Step:
    """How far a run is, as `on_step` gets it.

    Attributes:
      step: Steps made, since the very beginning.
      losses: Of the last step, by name.
      per_second: Pictures.
    """

    step: int
    losses: Mapping[str, float]
    per_second: float


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a run gave.

    Attributes:
      model: The network as it is used.
      step: Steps made, since the very beginning.
      losses: Mean of the last tenth of the steps of this run, by name.
      seconds: Of this run.
      per_second: Pictures, compiling not counted.
      interrupted: Whether Ctrl-C or SIGTERM ended it; the last step is in a checkpoint then.
      failures: Pictures that could not be read, and why.
    """

    model: stylization.Bank | stylization.Adaptive
    step: int
    losses: Mapping[str, float]
    seconds: float
    per_second: float
    interrupted: bool
    failures: Mapping[str, str]


def train(
    recipe: Recipe,
    content: Source,
    out: str | Path,
    *,
    styles: Source | None = None,
    steps: int,
    batch: int,
    size: int,
    seed: int = 0,
    mesh: Mesh | None = None,
    workers: int | None = None,
    checkpoint_every: int = 500,
    sheet_every: int = 500,
    tell_every: int = 10,
    resume: bool = False,
    record: Mapping[str, Any] | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Trained:
    """Trains a network, and writes its run: checkpoints, log, curves, sheets, and the network as it is used.

    A batch and what is drawn at random depend on the seed and the number of the step alone, so a run that was
    stopped or killed goes on to the same weights, bit for bit on the same machine.

    Args:
      recipe: What is trained, by which losses.
      content: Photographs.
      out: A folder: `run.json`, `log.csv`, `losses.png`, `sheets/`, `checkpoints/`, `model.safetensors`, and, where
        tensorboardX is installed, `tensorboard/`.
      styles: Paintings, for a recipe that draws them.
      steps: How many steps, since the very beginning.
      batch: Pictures of one step, a multiple of the devices.
      size: Side of the squares that are cut from pictures.
      seed: Of weights, order, cuts and styles.
      mesh: From `jaxviz.mesh`: devices that share each batch; weights are copied to each.
      workers: Threads that read; None for one for each core.
      checkpoint_every: Steps between checkpoints.
      sheet_every: Steps between sheets of samples.
      tell_every: Steps between rows of the log and calls of `on_step`.
      resume: Whether to go on with the run in the folder; one of other settings is refused.
      record: What else the model's file is to say, such as the command.
      on_step: Called after every `tell_every` steps.

    Returns:
      The network, and how it went.

    Raises:
      TrainingError: If the loss is NaN or infinite; the last good checkpoint stays.
      RunError: If the folder cannot be used.
      ValueError: If a number is below 1, the batch is no multiple of the devices, or paintings are missing.
      ImportError: If Orbax or Grain are not installed: `pip install "jaxviz-vision[train]"`.
    """
    for name, value in (
        ("steps", steps),
        ("batch", batch),
        ("size", size),
        ("checkpoint_every", checkpoint_every),
    ):
        whole(value, name)
    whole(sheet_every, "sheet_every"), whole(tell_every, "tell_every")
    if mesh is not None and batch % mesh.size:
        raise ValueError(f"batch is {batch}; expected a multiple of the {mesh.size} devices that share it")
    if recipe.least_styles and styles is None:
        raise ValueError("styles is missing: this recipe draws paintings; give a folder of them")
    if styles is not None and len(styles) < recipe.least_styles:
        raise ValueError(
            f"styles has {len(styles)} painting; this recipe tells paintings apart and needs {recipe.least_styles}"
        )
    if size % 8 or size < 32:
        raise ValueError(f"size is {size}; expected a multiple of 8 of at least 32")
    out = Path(out)
    sources = {"content": content} | ({"style": styles} if styles is not None and recipe.least_styles else {})
    settings = {
        **recipe.settings,
        **{"batch": batch, "size": size, "seed": seed, "steps": steps},
        **{name: source.describe() for name, source in sources.items()},
    }
    kept = Kept(out, settings, resume=resume)
    try:
        crops = {name: Crop(source, size, recipe.margin) for name, source in sources.items()}
        return _Run(recipe, crops, kept, mesh, seed).go(
            steps, batch, workers, (checkpoint_every, sheet_every, tell_every), dict(record or {}), on_step
        )
    finally:
        kept.close()


class _Run:
    def __init__(self, recipe: Recipe, crops: Mapping[str, Crop], kept: Kept, mesh: Mesh | None, seed: int):
        self.recipe, self.crops, self.kept, self.mesh, self.seed = recipe, crops, kept, mesh, seed
        self.key = jax.random.key(seed)

    def go(
        self,
        steps: int,
        batch: int,
        workers: int | None,
        every: tuple[int, int, int],
        record: dict[str, Any],
        on_step: Callable[[Step], None] | None,
    ) -> Trained:
        checkpoint_every, sheet_every, tell_every = every
        frozen, state, at = self._begun()
        first = at
        log = Log(self.kept.folder / LOG, at)
        reports = Reports(self.kept.folder, self.recipe, self.crops)
        self.kept.write(step=at, state="running")
        began = paced = time.perf_counter()
        paced_at, seconds, counted, told = at, 0.0, 0, {}
        with stopped() as stop, ahead(self._batches(batch, at, workers)) as feed:
            while at < steps and not stop.is_set():
                key = jax.random.fold_in(self.key, at)
                state, losses = _stepped(self.recipe, frozen, state, self._placed(next(feed)), key)
                at += 1
                keeps, draws = (at % every == 0 or at == steps for every in (checkpoint_every, sheet_every))
                if at % tell_every == 0 or keeps or draws:
                    told = {name: float(value) for name, value in losses.items()}
                    self._check(at, told)
                    now = time.perf_counter()
                    pace = batch * (at - paced_at) / (now - paced)
                    if paced_at > first:  # the first steps of a run compile
                        seconds, counted = seconds + now - paced, counted + at - paced_at
                    paced, paced_at = now, at
                    log.add({"step": at, **told, "per_second": round(pace, 3)})
                    reports.tell(at, told, pace)
                    if on_step is not None:
                        on_step(Step(at, told, pace))
                if keeps:
                    self._keep(at, state)
                    self.kept.write(step=at, state="running", losses=told)
                if draws:
                    reports.draw(at, self.recipe.model(state), log.rows)
                if keeps or draws:
                    paced = time.perf_counter()
        if interrupted := at < steps:
            self._keep(at, state)
        model = self.recipe.model(jax.tree.map(np.asarray, state))
        recent = log.rows[-max(1, len(log.rows) // 10) :]
        names = [name for name in (recent or [{}])[-1] if name not in ("step", "per_second")]
        means = {name: float(np.mean([row[name] for row in recent])) for name in names}
        whole_record = {**record, "steps": at, "settings": self.kept.settings, "losses": means}
        whole_record["device"] = jax.local_devices()[0].device_kind
        stylization.save(self.kept.folder / MODEL, model, dtype=np.float32, **whole_record)
        self.kept.write(step=at, state="interrupted" if interrupted else "done", losses=means)
        failures = {name: why for crop in self.crops.values() for name, why in crop.failures.items()}
        per_second = batch * counted / seconds if seconds else 0.0
        reports.close()
        return Trained(model, at, means, time.perf_counter() - began, per_second, interrupted, failures)

    def _begun(self) -> tuple[Any, Any, int]:
        """Returns what is frozen, the state to go on from, and its step, where they belong."""
        # Bound to a device as what is restored is, so that a run that goes on compiles nothing anew.
        place = jax.local_devices()[0] if self.mesh is None else NamedSharding(self.mesh, PartitionSpec())
        frozen, state = jax.device_put((self.recipe.frozen, self.recipe.init(self.key)), place)
        at = self.kept.last
        return (frozen, state, 0) if at is None else (frozen, self.kept.restore(at, state), at)

    def _batches(self, batch: int, at: int, workers: int | None) -> Iterator[dict[str, np.ndarray]]:
        streams = {
            # Paintings are drawn in an order of their own.
            name: batches(crop, batch=batch, seed=self.seed + k, start=at, workers=workers)
            for k, (name, crop) in enumerate(self.crops.items())
        }
        while True:
            read_ahead: dict[str, np.ndarray] = {}
            for name, stream in streams.items():
                read = next(stream)
                read_ahead |= {name: read["pictures"], f"{name}_numbers": read["numbers"]}
            yield read_ahead

    def _placed(self, batch: dict[str, np.ndarray]) -> Any:
        if self.mesh is None:
            return batch
        return jax.device_put(batch, NamedSharding(self.mesh, PartitionSpec(AXIS)))

    def _keep(self, at: int, state: Any) -> None:
        """Writes a checkpoint of a state whose numbers are all finite."""
        self._check(at, {"next state": 0.0 if _finite(state) else math.nan})
        self.kept.save(at, state)

    def _check(self, at: int, told: Mapping[str, float]) -> None:
        if bad := [name for name, value in told.items() if not math.isfinite(value)]:
            self.kept.write(step=at, state="failed")
            left = f"checkpoint {self.kept.last} stays" if self.kept.last else "there is no checkpoint yet"
            raise TrainingError(
                f"the {bad[0]} of step {at} is NaN or infinite; {left}; take a smaller learning rate"
            )


@functools.partial(jax.jit, static_argnums=0, donate_argnums=2)
def _stepped(recipe: Recipe, frozen: Any, state: Any, batch: Any, key: Any) -> Any:
    # By this function, and not by one of each run, a second run of a recipe compiles nothing.
    return recipe.step(frozen, state, batch, key)


@jax.jit
def _finite(state: Any) -> Any:
    """Returns whether all numbers of a state are: of a finite loss the gradient may still be none."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(state)]).all()
