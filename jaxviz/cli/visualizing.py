"""The command that draws what units look for."""

from typing import Annotated, Any

import numpy as np
import typer

from jaxviz.cli import options, runs
from jaxviz.cli.analysis import chosen_method
from jaxviz.cli.classes import class_name
from jaxviz.cli.command import command
from jaxviz.cli.methods import class_index, integers, position
from jaxviz.cli.options import WHAT, option
from jaxviz.cli.session import Session
from jaxviz.drawing import sheets
from jaxviz.networks import Network
from jaxviz.techniques import FAMILIES, solving
from jaxviz.techniques.classes import neuron, scored


@command(
    example="jaxviz visualize --layer relu4_2 --channels 3,17,42 --out channels.png",
    network="vgg16",
    family=FAMILIES["visualization"],
    out="visualization.png",
)
def visualize(
    session: Session,
    layer: Annotated[str | None, option("--layer", WHAT, "The tap whose channels are excited.")] = None,
    channels: Annotated[
        str | None, option("--channels", WHAT, "Such as 3,17,42, or FIRST-LAST; one picture each.")
    ] = None,
    at: options.At = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", help="A class, by index or name; repeat it.", rich_help_panel=WHAT),
    ] = None,
) -> None:
    """Draw what channels, neurons or classes look for, all in one program; raw files hold n×h×w×3."""
    choice = chosen_method(session)
    if bool(label) == (channels is not None):
        raise ValueError("give --layer and --channels, or --label")
    session.opens_pictures(session.out)
    network = runs.network(session)
    values = choice.values(network)
    targets = _targets(session, network, values)
    method, each = choice.method, [values] * len(targets)
    steps = choice.settled(values)["steps"]
    solution = session.solved(
        lambda on_chunk: solving.solve_many(
            method, network, [(target,) for target in targets.values()], each, on_chunk=on_chunk
        ),
        steps,
    )
    session.settle(**choice.settled(values))
    session.record["targets"] = list(targets)
    pictures = np.clip(np.asarray(solution.value), 0, 1)
    if session.raw:
        session.write(session.out, pictures)
    elif len(targets) == 1:
        session.write(session.out, pictures[0])
    else:
        session.write(session.out, sheets.row(dict(zip(targets, pictures, strict=True))))


def _targets(session: Session, network: Network, values: dict[str, Any]) -> dict[str, Any]:
    """Returns what is to be excited, by its name."""
    given = session.given
    if given["label"]:
        indices = [class_index(network, text, "--label") for text in given["label"]]
        return {class_name(network, index): scored(network, index) for index in indices}
    if given["layer"] is None:
        raise ValueError("--channels needs the --layer that they are of")
    size = values.get("size") or FAMILIES["visualization"].methods[given["method"]].default("size")
    at = None if given["at"] is None else position(given["at"], "--at")
    layer = given["layer"]
    return {
        f"{layer} {channel}": neuron(network, (size, size), layer, channel, at)
        for channel in integers(given["channels"], "--channels")
    }
