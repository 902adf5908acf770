"""The command that makes textures."""

from pathlib import Path
from typing import Annotated

import typer

from jaxviz import images
from jaxviz.cli.command import command
from jaxviz.cli.options import HOW, WHAT, option
from jaxviz.cli.session import Session
from jaxviz.cli.synthesis import common
from jaxviz.cli.synthesis.keeping import opened, solved
from jaxviz.techniques import FAMILIES
from jaxviz.techniques.pyramid import sizes_by_sqrt2
from jaxviz.techniques.texture.posing import chosen_layers


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
    pictures: Annotated[
        list[Path], typer.Argument(help="One picture, or several, whose textures are mixed.")
    ],
    size: Annotated[str, option("--size", HOW, "HEIGHTxWIDTH, or the longer side.")] = "256",
    exemplar_size: Annotated[
        int, option("--exemplar-size", HOW, "Longer side of the exemplars.", min=1)
    ] = 256,
    strip: Annotated[
        bool, option("--strip", WHAT, "A sheet of one texture for each layer, made of the layers up to it.")
    ] = False,
) -> None:
    """Make a texture like one picture's, or like several at once, of any size, from noise."""
    opened(session, "--strip" if strip else "")
    exemplars = [common.longer(session, path, exemplar_size) for path in pictures]
    sides = height_width(size, exemplars[0])
    pyramid, longest = session.given["pyramid"], max(sides)
    scales = 1 if pyramid is None else len(sizes_by_sqrt2(min(pyramid, longest), longest))
    network = common.preset_network(session)
    if not strip:
        captions = (
            ["exemplar"] if len(exemplars) == 1 else [f"exemplar {k + 1}" for k in range(len(exemplars))]
        )
        shown = dict(zip(captions, exemplars, strict=True))
        solved(session, network, exemplars, shape=sides, size=sides, pictures=shown, scales=scales)
        return
    values = common.choice(session).values(network)
    layers = chosen_layers(network, values.get("weights"), values.get("up_to"), session.given["preset"])
    common.row_of_layers(
        session,
        exemplars[0],
        [layer for layer in network.layers if layer in layers],
        lambda layer: common.minimized(
            session, network, exemplars, title=layer, up_to=layer, size=sides, scales=scales
        ),
        f"{network.name}: textures of the layers up to each",
    )


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
