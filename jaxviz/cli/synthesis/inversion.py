"""The command that inverts features."""

from jaxviz.cli import options, runs
from jaxviz.cli.command import command
from jaxviz.cli.session import Session
from jaxviz.cli.synthesis.common import choice, longer, preset_network, solved
from jaxviz.techniques import FAMILIES


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
        runs.invert(session, picture, choice(session), lambda: preset_network(session))
        return
    session.opens_pictures(session.out, session.given["plot"])
    pixels = longer(session, picture, size)
    solved(session, preset_network(session), pixels)
