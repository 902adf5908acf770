"""A fit into a file, which is gone on with where it was stopped, and how good what it gave is."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jaxviz._typing import AnyImage
from jaxviz.radiance.files import load_run, save, save_run
from jaxviz.radiance.fitting import Fitted, State, Step, fit
from jaxviz.radiance.measures import REACH, psnr, ssim
from jaxviz.radiance.models import Model, Seen, model, see
from jaxviz.radiance.planning import Plan, Settings
from jaxviz.radiance.scenes import Scene, Views, described


def fit_into(
    path: str | Path,
    scene: Scene,
    settings: Settings | None = None,
    *,
    seed: int = 0,
    mesh: Mesh | None = None,
    keep_every: int = 500,
    resume: bool = False,
    record: Mapping[str, Any] | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Fitted:
    """Fits a field to a scene as `fit` does, and writes it; beside it, how the run stands, until it is done.

    A run that was stopped or killed goes on to the same field, bit for bit on the same machine.

    Args:
      path: `.npz` of the field; the run is kept in a file of this name with `.run.npz`.
      scene: As for `fit`.
      settings: As for `fit`.
      seed: As for `fit`.
      mesh: As for `fit`.
      keep_every: Steps between two states that are kept; one more is kept when the run is interrupted.
      resume: Whether to go on from what is kept, where it is.
      record: What else the file is to say.
      on_step: As for `fit`.

    Raises:
      FieldError: If what is kept is damaged, or of other settings or pictures.
      FitError: As `fit` does.
    """
    settings = settings or Settings.of(scene)
    kept = kept_beside(path)
    pictures: dict[str, Any] = {**described(scene), "colors": _digest(scene)}
    said: dict[str, Any] = {**dataclasses.asdict(settings), "seed": seed, "scene": pictures}
    start = load_run(kept, said) if resume and kept.is_file() else None

    def keep(state: State, at: int, plan: Plan) -> None:
        made = model(state.field, state.occupancy, scene.space, scene.train.cameras, step=settings.stride)
        save_run(kept, made, state, at, plan, said)

    fitted = fit(
        scene, settings, seed=seed, mesh=mesh, start=start, keep=keep, keep_every=keep_every, on_step=on_step
    )
    save(path, fitted.model, **dict(record or {}), steps=fitted.step, settings=said)
    if not fitted.interrupted:
        kept.unlink(missing_ok=True)
    return fitted


def kept_beside(path: str | Path) -> Path:
    """Returns where a run that makes a field is kept.

    Example:
      >>> str(kept_beside("out/field.npz"))
      'out/field.run.npz'
    """
    return Path(path).with_suffix(".run.npz")


def measured(model: Model, views: Views) -> list[dict[str, Any]]:
    """Returns `compared` of each view that a model was not fitted to."""
    seen = see(model, views.cameras)
    return [compared(*row) for row in zip(views.names, seen, np.asarray(views.colors), strict=True)]


def compared(name: str, seen: Seen, color: AnyImage) -> dict[str, Any]:
    """Returns a view's name, PSNR in decibels, and SSIM, which is None of pictures that are too small for it."""
    large = min(color.shape[:2]) > 2 * REACH
    return {
        "view": name,
        "psnr": float(psnr(seen.color, color)),
        "ssim": float(ssim(seen.color, color)) if large else None,
    }


def means(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Returns the mean PSNR and SSIM of views."""
    kept = list(rows)
    return {
        name: float(np.mean([row[name] for row in kept if row[name] is not None]))
        for name in ("psnr", "ssim")
        if any(row[name] is not None for row in kept)
    }


def _digest(scene: Scene) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(scene.train.colors).tobytes())
    digest.update(np.ascontiguousarray(np.asarray(scene.train.cameras.poses)).tobytes())
    return digest.hexdigest()[:16]
