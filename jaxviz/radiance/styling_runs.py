"""A stylization into a file, which is gone on with where it was stopped."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxviz._checks import known
from jaxviz._typing import AnyImage, Number
from jaxviz.networks import Network
from jaxviz.radiance.files import load_work, save, save_work
from jaxviz.radiance.models import Model
from jaxviz.radiance.painting import Work
from jaxviz.radiance.presets import STYLIZING
from jaxviz.radiance.running import kept_beside
from jaxviz.radiance.stylizing import Stroke, Stylized, stylize


def stylize_into(
    path: str | Path,
    model: Model,
    network: Network,
    styles: Sequence[AnyImage],
    *,
    preset: str = "default",
    shares: Sequence[Number] | None = None,
    blend: str = "weights",
    colors: str = "style",
    seed: int = 0,
    keep_every: int = 100,
    resume: bool = False,
    record: Mapping[str, Any] | None = None,
    on_step: Callable[[Stroke], None] | None = None,
    **options: Any,
) -> Stylized:
    """Stylizes a scene as `stylize` does, and writes it; beside it, how the run stands, until it is done.

    A run that was stopped or killed goes on to the same scene, bit for bit on the same machine; what was reached
    when it was stopped is written too.

    Args:
      path: `.npz` of the styled field; the run is kept in a file of this name with `.run.npz`.
      model, network, styles, preset, shares, blend, colors, seed, on_step, options: As for `stylize`.
      keep_every: Steps between two states that are kept; one more is kept when the run is interrupted.
      resume: Whether to go on from what is kept, where it is.
      record: What else the file is to say.

    Raises:
      FieldError: If what is kept is damaged, or of other settings, styles or scene.
      KeyError, ValueError, FitError: As `stylize` does.
    """
    kept = kept_beside(path)
    usual = STYLIZING[known(preset, STYLIZING, "preset of stylization")]
    given = {name: value for name, value in options.items() if value is not None}
    said: dict[str, Any] = {"preset": preset, "blend": blend, "colors": colors, **usual.values, **given}
    said["shares"] = None if shares is None else [float(share) for share in shares]
    run = {
        **said,
        "seed": seed,
        "styles_sha256": [_digest([style]) for style in styles],
        "scene_sha256": _digest(jax.tree.leaves(model)),
        "weights": network.name,
    }
    start = load_work(kept, model, run) if resume and kept.is_file() and colors != "only" else None

    def keep(work: Work, at: int) -> None:
        save_work(kept, model, work, at, run)

    made = stylize(
        model,
        network,
        styles,
        preset=preset,
        shares=shares,
        blend=blend,
        colors=colors,
        seed=seed,
        start=start,
        keep=keep,
        keep_every=keep_every,
        on_step=on_step,
        **options,
    )
    styled = {**said, "nearest": list(made.nearest), "steps_made": made.step}
    save(path, made.model, styled=styled, **dict(record or {}))
    if not made.interrupted:
        kept.unlink(missing_ok=True)
    return made


def _digest(arrays: Sequence[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
