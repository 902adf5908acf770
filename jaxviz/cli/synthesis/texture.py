"""The command that makes textures."""

from typing import Annotated

from jaxviz import images
from jaxviz.cli import options
from jaxviz.cli.command import command
from jaxviz.cli.options import HOW, option
from jaxviz.cli.session import Session
from jaxviz.cli.synthesis.common import longer, preset_network, solved
from jaxviz.techniques import FAMILIES


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
    sides = height_width(size, exemplar)
    solved(session, preset_network(session), exemplar, size=sides)


def height_width(text: str, exemplar: images.Picture) -> tuple[int, int]:
    """Returns the two sides that --size means for an exemplar."""
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
