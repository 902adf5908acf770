"""Grids of a method as one sheet."""

from typing import Any

import numpy as np
import rich.progress

from jaxviz.cli.methods import Choice
from jaxviz.cli.session import Session, optimizer_named
from jaxviz.cli.synthesis.common import choice, mesh_of
from jaxviz.drawing.grids import grid as drawn
from jaxviz.networks import Network
from jaxviz.techniques import grids


def grid_axes(texts: list[str], chosen: Choice) -> dict[str, list[float]]:
    """Returns option → values, from texts such as "content-weight=0.1,1,style-weight=1e-3,1e-2".

    Raises:
      ValueError: If a text is not of this form, or there are more than two options.
    """
    found: dict[str, list[float]] = {}
    name = ""
    for word in ",".join(texts).split(",") if texts else []:
        head, equals, value = word.partition("=")
        if equals:
            name = head.strip().lstrip("-").replace("-", "_")
            if name in found:
                raise ValueError(f"--grid names {head.strip()} twice")
            found[name] = []
        elif not name:
            raise ValueError(f"--grid begins with {word!r}; expected NAME=NUMBER,NUMBER,…")
        try:
            found[name].append(float(value if equals else word))
        except ValueError:
            raise ValueError(f"--grid has {word!r}; expected NAME=NUMBER,NUMBER,…") from None
    if len(found) > 2:
        raise ValueError(f"--grid has {len(found)} options; a sheet has room for two")
    for option in found:
        if option not in chosen.method.options:
            raise ValueError(f"--grid names {option}, which is no option of {chosen.name}")
    return found


def drawn_grid(
    session: Session, network: Network, inputs: tuple[Any, ...], axes: dict[str, list[float]], **given: Any
) -> None:
    """Solves a grid under a progress bar, and writes its sheet, or the arrays [rows, columns, h, w, 3]."""
    chosen = choice(session)
    preset = chosen.family.preset(session.given["preset"])
    steps = preset.steps if session.given["steps"] is None else session.given["steps"]
    if "pyramid" in preset.values:
        session.note(
            f"preset {session.given['preset']!r} grows over scales; a grid is made at the last of them alone"
        )
    text = rich.progress.TextColumn
    columns = (text("{task.completed:.0f}/{task.total:.0f} pictures"), rich.progress.BarColumn())
    with session.bar(*columns, rich.progress.TimeRemainingColumn()) as bar:
        shown = bar.add_task("", total=int(np.prod([len(values) for values in axes.values()])))
        pictures, losses = grids.grid(
            chosen.method,
            network,
            [inputs],
            axes,
            seeds=[session.given["seed"]],
            mesh=mesh_of(session, session.given["devices"]),
            on_part=lambda made, total: bar.update(shown, completed=made),
            preset=session.given["preset"],
            steps=steps,
            optimizer=optimizer_named(session.given["optimizer"]),
            **{name: value for name, value in given.items() if value is not None},
        )
    session.settle(steps=steps)
    sides: list[tuple[str, list[Any]]] = [(name.replace("_", " "), values) for name, values in axes.items()]
    if len(sides) == 1:
        sides = [("", [""]), *sides]
    (rows, row_values), (across, column_values) = sides
    table = np.clip(pictures.reshape(len(row_values), len(column_values), *pictures.shape[-3:]), 0, 1)
    session.record["grid"] = {"over": axes, "losses": losses.reshape(table.shape[:2]).tolist()}
    if not np.isfinite(table).all():
        session.failure = "a loss became NaN or infinite; take other weights"
        return
    if session.raw:
        session.write(session.out, table)
        return
    session.write(session.out, drawn(table, row_values, column_values, rows=rows, columns=across))
