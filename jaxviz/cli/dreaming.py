"""The command that dreams."""

from pathlib import Path
from typing import Annotated

import numpy as np

from jaxviz.cli import options, runs
from jaxviz.cli.analysis import chosen_method
from jaxviz.cli.command import command
from jaxviz.cli.options import WHAT, option
from jaxviz.cli.session import Failure, Session
from jaxviz.cli.synthesis.common import longer, preset_network, preset_record
from jaxviz.techniques import FAMILIES


@command(
    example="jaxviz dream photo.jpg --layer relu4_3 --out dream.png",
    network=None,
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
        runs.dream(session, picture, choice, lambda: preset_network(session, classifier=True), other)
        return
    session.opens_pictures(session.out)
    pixels = longer(session, picture, size)
    network = preset_network(session, classifier=True)
    values = choice.values(network)
    session.record["preset"] = preset_record(choice, values)
    found = session.timed(
        lambda: choice.method.function(network, pixels, preset=session.given["preset"], guide=other, **values)
    )
    if not np.isfinite(np.asarray(found)).all():
        raise Failure("the picture holds NaN or infinite values; take other weights")
    session.settle(**choice.settled(values))
    session.write(session.out, np.asarray(found))
