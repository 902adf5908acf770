"""Fields in files: `.npz` with all that is needed to see them, and runs of fitting that can be gone on with."""

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxviz import images
from jaxviz.radiance.field import COEFFICIENTS, Factors, Field, sizes
from jaxviz.radiance.fitting import ADAM, State, parameters_of
from jaxviz.radiance.models import Model
from jaxviz.radiance.occupancy import Occupancy
from jaxviz.radiance.painting import Work, begun
from jaxviz.radiance.planning import Plan
from jaxviz.radiance.rendering import Budget
from jaxviz.radiance.scenes import BACKGROUNDS, Cameras, SceneError, Space

FORMAT = 1
KIND = "jaxviz-field"
STYLED = 1
"""Version of what a styled field says beside of how it came to its colors."""


class FieldError(ValueError):
    """A file that is no field that can be used; the message names it, the cause and the remedy."""


def save(path: str | Path, model: Model, *, styled: Mapping[str, Any] | None = None, **record: Any) -> None:
    """Writes a model; never a partial file.

    Args:
      path: `.npz`.
      model: The scene.
      styled: Of a styled one how it came to its colors, plain enough for JSON.
      record: What else to say of it, plain enough for JSON.

    Raises:
      ValueError: If the suffix is another.
      PictureError: If the file cannot be written.
    """
    if Path(path).suffix.lower() != ".npz":
        raise ValueError(f"{path} cannot be written as a field; expected .npz")
    said = {} if styled is None else {"styled": {"version": STYLED, **styled}}
    _write(Path(path), _header(model) | said | {"record": record}, _arrays(model))


def load(path: str | Path) -> Model:
    """Returns the model in a file that `save` has written.

    Raises:
      FieldError: If the file is missing, damaged, no field, or of another version.

    Example:
      >>> from jaxviz import radiance
      >>> radiance.load("none.npz")
      Traceback (most recent call last):
      jaxviz.radiance.files.FieldError: none.npz does not exist; `jaxviz field fit` makes one
    """
    return _model(Path(path), *_opened(Path(path)))


def describe(path: str | Path) -> dict[str, Any]:
    """Returns what a file says: resolution, pictures' size, space, and its record; errors as of `load`.

    That of a styled field has `styled`: its version, styles, preset and way of colors.
    """
    return dict(_opened(Path(path))[0])


def save_run(
    path: Path, model: Model, state: State, at: int, plan: Plan, settings: Mapping[str, Any]
) -> None:
    """Writes a run of fitting as it stands after some steps; never a partial file."""
    run = {"step": at, "settings": dict(settings), "plan": dataclasses.asdict(plan)}
    moments = {f"moments/{k}": np.asarray(leaf) for k, leaf in enumerate(jax.tree.leaves(state.moments))}
    _write(path, _header(model) | {"run": run}, _arrays(model) | moments)


def load_run(path: Path, settings: Mapping[str, Any]) -> tuple[State, int, Plan]:
    """Returns state, step and plan of a run, for `fit(start=)`.

    Raises:
      FieldError: As of `load`, or if the run has other settings; it may be made longer before its last quarter.
    """
    header, arrays = _opened(path)
    made, run = _model(path, header, arrays), header.get("run")
    if run is None:
        raise FieldError(f"{path} is a field, and no run of fitting")
    _check_same(path, "fit", run["settings"], settings)
    like = ADAM.init(parameters_of(made.field))
    leaves, structure = jax.tree.flatten(like)
    try:
        found = [jnp.asarray(arrays[f"moments/{k}"]) for k in range(len(leaves))]
        plan = run["plan"] | {"budget": Budget(**run["plan"]["budget"])}
        state = State(made.field, jax.tree.unflatten(structure, found), made.occupancy)
        if [leaf.shape for leaf in found] != [leaf.shape for leaf in leaves]:
            raise ValueError("moments of other shapes")
        return state, int(run["step"]), Plan(**plan)
    except (KeyError, TypeError, ValueError) as error:
        raise FieldError(f"{path} is damaged ({error}); start without --resume") from error


def save_work(path: Path, model: Model, work: Work, at: int, settings: Mapping[str, Any]) -> None:
    """Writes a run of stylization as it stands after some steps; never a partial file."""
    run = {"step": at, "settings": dict(settings)}
    kept = {f"work/{k}": np.asarray(leaf) for k, leaf in enumerate(jax.tree.leaves(work))}
    _write(path, _header(model) | {"stylization": run}, _arrays(model) | kept)


def load_work(path: Path, model: Model, settings: Mapping[str, Any]) -> tuple[Work, int]:
    """Returns work and step of a run, for `stylize(start=)`.

    Args:
      path: As `save_work` got it.
      model: That is stylized.
      settings: Of the run that is to go on.

    Raises:
      FieldError: As of `load`, or if the run has other settings.
    """
    header, arrays = _opened(path)
    run = header.get("stylization")
    if run is None:
        raise FieldError(f"{path} is no run of stylization; start without --resume")
    _check_same(path, "stylization", run["settings"], settings)
    leaves, structure = jax.tree.flatten(jax.eval_shape(begun, model))
    try:
        found = [jnp.asarray(arrays[f"work/{k}"]) for k in range(len(leaves))]
        if [leaf.shape for leaf in found] != [leaf.shape for leaf in leaves]:
            raise ValueError("colors of other shapes")
        return jax.tree.unflatten(structure, found), int(run["step"])
    except (KeyError, TypeError, ValueError) as error:
        raise FieldError(f"{path} is damaged ({error}); start without --resume") from error


def _check_same(path: Path, what: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    ours = json.loads(json.dumps(dict(here)))
    differing = [
        f"{name} is {there.get(name)!r} there and {ours.get(name)!r} here"
        for name in sorted({*ours, *there})
        if ours.get(name) != there.get(name)
    ]
    if differing:
        raise FieldError(
            f"{path} is of a {what} with other settings: {'; '.join(differing[:4])}; start without --resume"
        )


def _header(model: Model) -> dict[str, Any]:
    space = model.space
    return {
        "resolution": list(model.field.resolution),
        "cells": list(model.occupancy.cells.shape),
        "size": list(model.cameras.size),
        "space": {"forward": space.forward, "background": space.background},
        "flat": model.flat,
        "step": model.step,
    }


def _arrays(model: Model) -> dict[str, np.ndarray]:
    field = model.field
    named = {
        "density/planes": field.density.planes,
        "density/lines": field.density.lines,
        "color/planes": field.color.planes,
        "color/lines": field.color.lines,
        "basis": field.basis,
        "box": field.box,
        "unit": field.unit,
        "near": model.space.near,
        "warp": model.space.warp,
        "tint": model.tint,
        "poses": model.cameras.poses,
        "lenses": model.cameras.lenses,
    }
    found = {name: np.asarray(value, np.float32) for name, value in named.items()}
    return found | {"occupied": np.packbits(np.asarray(model.occupancy.cells))}


def _write(path: Path, header: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    text = json.dumps({KIND: FORMAT} | header)
    with images.atomically(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **{"header": np.frombuffer(text.encode(), np.uint8), **arrays})  # type: ignore[arg-type]


def _opened(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    if not path.is_file():
        raise FieldError(f"{path} does not exist; `jaxviz field fit` makes one")
    try:
        # Opened here: of a damaged archive NumPy leaves the file open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop("header").tobytes())
        version = header[KIND]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        line = " ".join(str(error).split())[:120]
        raise FieldError(f"{path} is damaged, or no field ({line}); `jaxviz field fit` makes one") from error
    if version != FORMAT:
        raise FieldError(
            f"{path} is a field of version {version}; this jaxviz reads version {FORMAT}: fit it again"
        )
    styled = header.get("styled")
    if styled is not None and (not isinstance(styled, dict) or styled.get("version") != STYLED):
        told = styled.get("version") if isinstance(styled, dict) else styled
        raise FieldError(
            f"{path} is a styled field of version {told}; this jaxviz reads version {STYLED}: stylize it again"
        )
    return header, arrays


def _model(path: Path, header: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Model:
    try:
        resolution = tuple(int(n) for n in header["resolution"])
        flat, straight = (sum(n) for n in sizes(resolution))  # type: ignore[arg-type]
        views = arrays["poses"].shape[0]
        cells = tuple(int(n) for n in header["cells"])
        colors = arrays["color/planes"].shape[1]
        shapes = {
            "density/planes": (flat, arrays["density/planes"].shape[1]),
            "density/lines": (straight, arrays["density/planes"].shape[1]),
            "color/planes": (flat, colors),
            "color/lines": (straight, colors),
            "basis": (3 * colors, 3 * COEFFICIENTS),
            **{"box": (2, 3), "unit": (), "near": (), "warp": (3,), "tint": (3, 4)},
            **{"poses": (views, 3, 4), "lenses": (views, 4), "occupied": (-(-int(np.prod(cells)) // 8),)},
        }
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise ValueError(f"{name} has shape {list(arrays[name].shape)}, expected {list(shape)}")
            if arrays[name].dtype == np.float32 and not np.isfinite(arrays[name]).all():
                raise ValueError(f"{name} holds NaN or infinite values")
        if header["space"]["background"] not in BACKGROUNDS:
            raise ValueError(f"background {header['space']['background']!r}")
        occupied = np.unpackbits(arrays["occupied"], count=int(np.prod(cells))).reshape(cells).astype(bool)
        values = {name: jnp.asarray(arrays[name]) for name in shapes if name != "occupied"}
        dense, colored = (
            Factors(values[f"{part}/planes"], values[f"{part}/lines"]) for part in ("density", "color")
        )
        field = Field(dense, colored, values["basis"], values["box"], values["unit"], resolution)  # type: ignore[arg-type]
        space = Space(
            values["box"],
            values["near"],
            values["warp"],
            bool(header["space"]["forward"]),
            header["space"]["background"],
        )
        cameras = Cameras(values["poses"], values["lenses"], tuple(header["size"]))
        return Model(
            field,
            Occupancy(jnp.asarray(occupied)),
            space,
            cameras,
            values["tint"],
            bool(header["flat"]),
            float(header["step"]),
        )
    except (KeyError, TypeError, ValueError, IndexError, SceneError) as error:
        raise FieldError(f"{path} is damaged ({error}); `jaxviz field fit` makes one") from error
