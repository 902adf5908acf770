"""Sheets of `jaxviz stylize`: a picture between styles, or in more and more of one."""

from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np

import jaxviz
from jaxviz import images, stylization
from jaxviz.cli import styles
from jaxviz.cli.session import Session
from jaxviz.cli.styles import Chosen
from jaxviz.drawing.grids import grid as drawn


def steps_of(text: str | None) -> int | None:
    """Returns how many pictures a side of a sheet has; None where no --grid is given."""
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 2:
        raise ValueError(f"--grid is {text!r}; expected how many pictures a side has, at least 2")
    return int(text)


def draw(
    session: Session, pixels: images.Picture, found: Chosen, alphas: Sequence[float], steps: int | None
) -> None:
    """Writes pictures over weights or alphas, by one program, as a sheet, or as arrays [rows, columns, h, w, 3]."""
    given = session.given
    if steps is not None:
        weights = stylization.between(len(found.names), steps)
        strengths = np.full(len(weights), alphas[0], np.float32)
    else:
        strengths = np.asarray(alphas, np.float32)
        weights = np.broadcast_to(found.shares, (len(alphas), len(found.shares)))
    mesh = None if given["devices"] == "1" else jaxviz.mesh(given["devices"])
    kind = given["keep_colors"]
    arguments = (found.model, jnp.asarray(pixels), found.seen(kind), weights, strengths)
    axes, function = (None, None, None, 0, 0), styles.function(kind)
    at_once = given["batch"]
    if at_once is None and given["memory"] is not None:
        at_once = jaxviz.chunk_size(function, *arguments, in_axes=axes, memory=given["memory"], mesh=mesh)
    mapped = jaxviz.batched(function, in_axes=axes, size=at_once, mesh=mesh)
    made = np.asarray(session.timed(lambda: mapped(*arguments)))
    styles.check_finite(made)
    rows = steps if steps is not None and len(found.names) == 4 else 1
    table = made.reshape(rows, -1, *made.shape[1:])
    session.record["grid"] = {"weights": np.asarray(weights).tolist(), "alpha": strengths.tolist()}
    if session.raw:
        session.write(session.out, table)
        return
    session.write(session.out, _sheet(table, found.names, alphas, steps))


def _sheet(table: np.ndarray, names: list[str], alphas: Sequence[float], steps: int | None) -> np.ndarray:
    shown = [Path(name).stem for name in names]
    if steps is None:
        return drawn(table, [""], list(alphas), columns=f"how much of {', '.join(shown)}")
    parts: list[float] = np.linspace(0, 1, steps).round(3).tolist()
    across = [f"{left} → {right}" for left, right in zip(shown[::2], shown[1::2], strict=True)]
    if len(across) == 1:
        return drawn(table, [""], parts, columns=across[0])
    return drawn(table, [across[0], *parts[1:-1], across[1]], parts)
