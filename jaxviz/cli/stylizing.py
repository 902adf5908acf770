"""The command that draws in one pass of a trained network: one picture, sheets of mixtures, or many pictures."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxviz import colors, images, jobs, stylization
from jaxviz._checks import known
from jaxviz.batching import bytes_of, device_memory
from jaxviz.cli import mixtures, options, runs, styles
from jaxviz.cli.command import command
from jaxviz.cli.filming import Temporal, is_film, stylize_film
from jaxviz.cli.masks import read_masks
from jaxviz.cli.options import HOW, WHAT, option
from jaxviz.cli.session import Failure, Session
from jaxviz.cli.styles import Chosen, chosen
from jaxviz.cli.synthesis.common import longer

SIZE, SHEET_SIZE = 512, 256
"""Longer side of each of many pictures, which share programs, and of each on a sheet, which shows hardly more."""


@command(
    example="jaxviz stylize photo.jpg --model model.safetensors --style waves --out stylized.png",
    reads=True,
    many=True,
    out="stylized.png",
)
def stylize(
    session: Session,
    picture: options.Source,
    model: styles.Model,
    style: styles.Styles = None,
    mix: styles.Mix = None,
    mask: Annotated[
        list[Path] | None,
        option(
            "--mask",
            WHAT,
            "Picture that is white where a style goes; one for each style, in order. Where all are black, the "
            "picture stays.",
        ),
    ] = None,
    alpha: Annotated[
        str,
        option("--alpha", HOW, "How much of the style, from 0 to 1; several, as 0,0.5,1, make one sheet."),
    ] = "1",
    keep_colors: Annotated[
        str | None, option("--keep-colors", HOW, f"{', '.join(colors.KEEP)}: keep the picture's own colors.")
    ] = None,
    size: Annotated[
        int | None,
        option(
            "--size",
            HOW,
            f"Longer side in pixels. Default: its own, on a sheet at most {SHEET_SIZE}; of many pictures {SIZE}.",
            min=1,
        ),
    ] = None,
    style_size: styles.StyleSize = None,
    temporal: Temporal = 0.0,
    grid: Annotated[
        str | None,
        option(
            "--grid", HOW, "One sheet of so many pictures a side: from a style to another, or between four."
        ),
    ] = None,
    precision: options.Precision = "float32",
    save: options.Save = "pictures",
) -> None:
    """Draw pictures in a style that a network was trained for, in one pass."""
    alphas, steps, film = styles.alphas(alpha), mixtures.steps_of(grid), is_film(picture)
    sheet = steps is not None or len(alphas) > 1
    many = runs.is_many(session, picture, ("batch", "devices", "memory") if sheet else ("memory",))
    _check_together(session, many, len(alphas))
    if keep_colors is not None:
        known(keep_colors, colors.KEEP, "way to keep colors")
    if film:
        _check_film(session, sheet)
    elif temporal:
        raise ValueError(f"--temporal is for films; {picture} is none")
    if not (film or many):
        session.opens_pictures(session.out)
    found = chosen(session, model, style, mix, style_size)
    if film:
        stylize_film(session, picture, found.model, found.codes, jnp.asarray(found.shares), alphas[0])
        return
    if many:
        _run(session, picture, found, alphas[0])
        return
    pixels = _read(session, picture, SHEET_SIZE if sheet else None)
    if sheet:
        mixtures.draw(session, pixels, found, alphas, steps)
    else:
        session.write(session.out, _drawn(session, pixels, found, alphas[0]))


def _check_film(session: Session, sheet: bool) -> None:
    """Raises ValueError where an option is for pictures."""
    given = session.given
    for name in ("mask", "keep_colors", "memory"):
        if given[name]:
            raise ValueError(f"--{name.replace('_', '-')} is for pictures; {given['picture']} is a film")
    if sheet:
        raise ValueError(f"a sheet is of one picture; {given['picture']} is a film")


def _check_together(session: Session, many: bool, alphas: int) -> None:
    """Raises ValueError where two options ask for different things."""
    given = session.given
    several = "--alpha with several numbers" if alphas > 1 else ""
    alone = [flag for flag, value in (("--mask", given["mask"]), ("--grid", given["grid"])) if value]
    if many and (alone or several):
        raise ValueError(f"{(alone or [several])[0]} is for one picture; {given['picture']} is many")
    if given["grid"] and (several or given["mix"] or given["mask"]):
        other = several or ("--mix" if given["mix"] else "--mask")
        raise ValueError(f"--grid and {other} both say how much of each style; give one of them")
    if given["mask"] and given["mix"]:
        raise ValueError("--mask and --mix both say how much of each style; give one of them")
    if given["mask"] and several:
        raise ValueError(f"{several} makes a sheet, and --mask is for one picture; give one of them")


def _read(session: Session, path: str, usual: int | None) -> images.Picture:
    """Returns a picture in the size that was asked for, else in its own, or smaller where that is usual."""
    if (size := session.given["size"]) is not None:
        return longer(session, path, size)
    read = images.read(path, max_pixels=session.given["max_pixels"])
    return read if usual is None or max(read.shape[:2]) <= usual else images.fit_longer(read, usual)


def _run(session: Session, source: str, found: Chosen, alpha: float) -> None:
    given = session.given
    session.settle(size=given["size"] or SIZE)

    def make() -> jobs.Task:
        return jobs.stylize(
            found.model,
            found.styles,
            weights=found.shares.tolist(),
            alpha=alpha,
            keep_colors=given["keep_colors"],
            size=given["size"] or SIZE,
            save=given["save"],
        )

    runs.run(session, source, make)


def _drawn(session: Session, pixels: images.Picture, found: Chosen, alpha: float) -> np.ndarray:
    kind, paths = session.given["keep_colors"], session.given["mask"]
    weights, share = jnp.asarray(found.shares), None
    if paths:
        weights, share = stylization.placed(read_masks(session, paths, pixels, len(found.names)))
    arguments = (found.model, pixels, found.seen(kind), weights, jnp.float32(alpha))
    made = np.asarray(_timed(session, styles.function(kind), arguments))
    styles.check_finite(made)
    return made if share is None else pixels + np.asarray(share)[..., None] * (made - pixels)


def _timed(session: Session, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Returns what a function gives, and notes its seconds and memory; a picture that does not fit is refused.

    Statistics of a whole picture are what styles are made of, so a picture cannot be drawn in parts.

    Raises:
      Failure: If the program needs more memory than there is, or than --memory allows.
    """
    began = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    compiled = time.perf_counter()
    used = program.memory_analysis()
    need = (
        0
        if used is None
        else used.temp_size_in_bytes + used.argument_size_in_bytes + used.output_size_in_bytes
    )
    asked = session.given["memory"]
    limit = device_memory(jax.local_devices()[0]) if asked is None else bytes_of(asked)
    h, w = arguments[1].shape[:2]
    if need > limit:
        fitting = int(max(h, w) * (limit / need) ** 0.5)
        raise Failure(
            f"a picture of {w}×{h} pixels needs {need / 1e9:.2g} GB, and there are {limit / 1e9:.2g}; "
            f"take --size {fitting}"
        )
    result = jax.block_until_ready(program(*arguments))
    session.record["seconds"] = {"compile": compiled - began, "run": time.perf_counter() - compiled}
    session.record["memory"] = {"predicted": int(need)}
    return result
