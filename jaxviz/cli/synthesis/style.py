"""The command that transfers styles."""

from pathlib import Path
from typing import Annotated, Any

import typer

from jaxviz import images
from jaxviz.cli import options
from jaxviz.cli.command import command
from jaxviz.cli.options import HOW, WHAT, option
from jaxviz.cli.session import Session
from jaxviz.cli.synthesis.common import longer, preset_network, solved
from jaxviz.techniques import FAMILIES
from jaxviz.techniques.style import STARTS


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
    solved(session, preset_network(session), pixels, examples, init=start)
