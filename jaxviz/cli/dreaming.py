"""The command that dreams."""

from pathlib import Path
from typing import Annotated

import numpy as np

from jaxviz.cli import options, runs
from jaxviz.cli.analysis import chosen_method
from jaxviz.cli.command import command
from jaxviz.cli.options import WHAT, option
from jaxviz.cli.session import Failure, Session
from jaxviz.cli.synthesis.common import longer
from jaxviz.techniques import FAMILIES


@command(
    example="jaxviz dream photo.jpg --layer relu4_3 --out dream.png",
    network="vgg16",
    family=FAMILIES["dream"],
    reads=True,
    many=True,
    out="dream.png",
)
def dream(
    session: Session,
    picture: options.Source,
    guide: Annotated[
        Path | None,
        option("--guide", WHAT, "A picture whose features are made more, not those that are there."),
    ] = None,
    size: options.Longer = 384,
) -> None:
    """Make more of what a layer sees a little of in a picture, from coarse to fine."""
    choice = chosen_method(session)
    other = None if guide is None else longer(session, guide, size)
    if runs.is_many(session, picture):
        runs.dream(session, picture, choice, other)
        return
    session.opens_pictures(session.out)
    pixels = longer(session, picture, size)
    network = runs.network(session)
    values = choice.values(network)
    found = session.timed(lambda: choice.method.function(network, pixels, guide=other, **values))
    if not np.isfinite(np.asarray(found)).all():
        raise Failure("the picture holds NaN or infinite values; take other weights")
    session.settle(**choice.settled(values))
    session.write(session.out, np.asarray(found))
