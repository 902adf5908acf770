"""The command that draws what units look for."""

from typing import Annotated, Any

import numpy as np
import typer

from jaxviz.cli import options, runs
from jaxviz.cli.analysis import chosen_method
from jaxviz.cli.command import command
from jaxviz.cli.methods import class_index, integers, position
from jaxviz.cli.options import WHAT, option
from jaxviz.cli.session import Session
from jaxviz.drawing import grids
from jaxviz.networks import Network
from jaxviz.techniques import FAMILIES, solving
from jaxviz.techniques.classes import neuron, scored

ACROSS = 6
"""Pictures in a row of a sheet."""


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
        rows = -(-len(pictures) // ACROSS)
        blank = np.ones((rows * ACROSS - len(pictures), *pictures.shape[1:]), np.float32)
        columns = min(ACROSS, len(pictures))
        tiles = np.concatenate([pictures, blank])[: rows * columns].reshape(
            rows, columns, *pictures.shape[1:]
        )
        names = [*targets, *[""] * len(blank)]
        sheets = [
            grids.grid(tiles[k][None], [""], names[k * columns : (k + 1) * columns]) for k in range(rows)
        ]
        wide = max(sheet.shape[1] for sheet in sheets)
        padded = [np.pad(s, ((0, 0), (0, wide - s.shape[1]), (0, 0)), constant_values=1) for s in sheets]
        session.write(session.out, np.concatenate(padded))


def _targets(session: Session, network: Network, values: dict[str, Any]) -> dict[str, Any]:
    """Returns what is to be excited, by its name."""
    given = session.given
    if given["label"]:
        indices = [class_index(network, text, "--label") for text in given["label"]]
        return {network.labels[index]: scored(network, index) for index in indices}
    if given["layer"] is None:
        raise ValueError("--channels needs the --layer that they are of")
    size = values.get("size") or FAMILIES["visualization"].methods[given["method"]].default("size")
    at = None if given["at"] is None else position(given["at"], "--at")
    layer = given["layer"]
    return {
        f"{layer} {channel}": neuron(network, (size, size), layer, channel, at)
        for channel in integers(given["channels"], "--channels")
    }
