"""Commands that make a picture by minimizing: inversion, texture, style."""

from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import typer

import jaxviz
from jaxviz import images
from jaxviz.cli import options, runs
from jaxviz.cli.command import command
from jaxviz.cli.methods import Choice
from jaxviz.cli.options import HOW, WHAT, option
from jaxviz.cli.session import Session, optimizer_named
from jaxviz.drawing import plots
from jaxviz.techniques import FAMILIES
from jaxviz.techniques.style import STARTS
from jaxviz.zoo import available

FALLBACK = "vgg16"


@command(
    example="jaxviz invert photo.jpg --layer relu4_2 --out inverted.png",
    network=None,
    family=FAMILIES["inversion"],
    pooling=True,
    reads=True,
    many=True,
    out="inversion.png",
)
def invert(session: Session, picture: options.Source, size: options.Longer = 256) -> None:
    """Find a picture with the same features at one layer: what the layer has kept."""
    if runs.is_many(session, picture):
        runs.invert(session, picture, _choice(session), lambda: _preset_network(session))
        return
    session.opens_pictures(session.out, session.given["plot"])
    pixels = longer(session, picture, size)
    _solved(session, _preset_network(session), pixels)


@command(
    example="jaxviz texture bricks.jpg --size 384x512 --out wall.png",
    network=None,
    family=FAMILIES["texture"],
    pooling=True,
    reads=True,
    out="texture.png",
)
def texture(
    session: Session,
    picture: options.Picture,
    size: Annotated[str, option("--size", HOW, "HEIGHTxWIDTH, or the longer side.")] = "256",
    exemplar_size: Annotated[
        int, option("--exemplar-size", HOW, "Longer side of the exemplar.", min=1)
    ] = 256,
) -> None:
    """Make a texture like the picture's, of any size, from noise."""
    session.opens_pictures(session.out, session.given["plot"])
    exemplar = longer(session, picture, exemplar_size)
    sides = _height_width(size, exemplar)
    _solved(session, _preset_network(session), exemplar, size=sides)


@command(
    example="jaxviz style portrait.jpg painting.jpg --style-weight 2e-3 --out styled.png",
    network=None,
    family=FAMILIES["style"],
    pooling=True,
    reads=True,
    out="style.png",
)
def style(
    session: Session,
    content: options.Picture,
    styles: Annotated[list[Path], typer.Argument(help="One or more pictures whose style is taken.")],
    size: options.Longer = 256,
    style_size: Annotated[
        int | None, option("--style-size", HOW, "Longer side of the styles.", min=1)
    ] = None,
    init: Annotated[
        str, option("--init", WHAT, "content, noise, or a picture's path; default: the preset's.")
    ] = "",
) -> None:
    """Draw the content of one picture in the style of others."""
    session.opens_pictures(session.out, session.given["plot"])
    pixels = longer(session, content, size)
    examples = [longer(session, path, style_size or size) for path in styles]
    start: Any = init or None
    if start is not None and start not in STARTS:
        read = images.read(start, max_pixels=session.given["max_pixels"])
        start = images.resize(read, pixels.shape[0], pixels.shape[1])
    _solved(session, _preset_network(session), pixels, examples, init=start)


def longer(session: Session, path: str | Path, size: int) -> images.Picture:
    """Returns a picture with a longer side of `size`."""
    return runs.fitted(session, path, lambda picture: images.fit_longer(picture, size))


def _choice(session: Session) -> Choice:
    if session.choice is None or session.choice.preset is None:
        raise ValueError("this command has no presets")
    return session.choice


def _preset_network(session: Session) -> jaxviz.Network:
    """Returns the network asked for, else the preset's, else, where its weights are not here, VGG-16."""
    choice = _choice(session)
    asked, preset = session.given["network"], choice.preset
    name = asked or (preset.network if preset else FALLBACK)
    if asked is None and session.given["weights"] is None and not available(name):
        session.note(
            f"preset {session.given['preset']!r} is meant for {name}, whose weights are not here; "
            f"this runs on {FALLBACK} (`jaxviz weights fetch {name}` gets them)"
        )
        name = FALLBACK
    session.settle(network=name)
    # Style, texture and inversion look at features: a classifier in the file would only take time and memory.
    return jaxviz.load(
        name, weights=session.given["weights"], pooling=session.given["pooling"], classifier=False
    )


def _solved(session: Session, network: jaxviz.Network, *inputs: Any, **more: Any) -> None:
    """Runs the method that was chosen under a progress bar, and writes what it found."""
    choice, given = _choice(session), session.given
    preset = choice.family.preset(given["preset"])
    values = choice.values(network) | {name: value for name, value in more.items() if value is not None}
    steps = preset.steps if given["steps"] is None else given["steps"]
    beside = ("steps", "optimizer", "network", "init")
    texts = {name: given[name] for name in beside if given.get(name) not in (None, "")}
    session.record["preset"] = preset_record(choice, {**choice.values(network), **texts})
    optimizer = optimizer_named(given["optimizer"])
    solution = session.solved(
        lambda on_chunk: choice.method.function(
            network,
            *inputs,
            preset=given["preset"],
            steps=steps,
            optimizer=optimizer,
            key=jax.random.key(given["seed"]),
            on_chunk=on_chunk,
            **values,
        ),
        steps,
    )
    session.settle(steps=steps)
    if preset.departures:
        session.note(f"preset {given['preset']!r}: {preset.departures}; this ran on {network.name}")
    session.write(session.out, np.asarray(solution.value))
    if given["plot"] is not None:
        plot = plots.loss_plot(solution.losses, rejections=int(solution.rejections))
        session.write(given["plot"], plot / np.float32(255))


def preset_record(choice: Choice, given: dict[str, Any]) -> dict[str, Any]:
    """Returns for the record which preset was used, what it fixes, and what of that was overridden."""
    name = choice.given["preset"]
    preset = choice.family.preset(name)
    return {"name": name, "fixes": preset.fixes(), "overridden": preset.overridden(given)}


def _height_width(text: str, exemplar: images.Picture) -> tuple[int, int]:
    try:
        sides = [int(side) for side in text.lower().replace("×", "x").split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise ValueError(f"--size is {text!r}; expected HEIGHTxWIDTH or one number, each at least 1")
    if len(sides) == 2:
        return sides[0], sides[1]
    h, w = exemplar.shape[:2]
    scale = sides[0] / max(h, w)
    return max(1, round(h * scale)), max(1, round(w * scale))
