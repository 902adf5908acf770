"""The command that draws what units look for."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from jaxviz import images
from jaxviz.cli import options, runs
from jaxviz.cli.analysis import chosen_method
from jaxviz.cli.classes import class_name
from jaxviz.cli.command import command
from jaxviz.cli.methods import class_index, integers, position
from jaxviz.cli.options import WHAT, option
from jaxviz.cli.session import Session
from jaxviz.drawing import grids, sheets
from jaxviz.networks import Network
from jaxviz.objectives import direction as towards
from jaxviz.objectives import energy
from jaxviz.techniques import FAMILIES, solving
from jaxviz.techniques.classes import neuron, scored, tap_shape


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
    direction: Annotated[
        Path | None,
        option(
            "--direction",
            WHAT,
            "An .npy of vectors over the layer's channels, [c] or [n, c]; a picture each.",
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", help="A class, by index or name; repeat it.", rich_help_panel=WHAT),
    ] = None,
) -> None:
    """Draw what channels, neurons, directions, a layer or classes look for, in one program; raw: n×h×w×3."""
    choice = chosen_method(session)
    if bool(label) == (layer is not None):
        raise ValueError("give --layer, and --channels or --direction of it, or --label")
    if layer is None and (channels, direction, at) != (None, None, None):
        raise ValueError("--channels, --direction and --at are of a layer; give --layer too")
    if channels is not None and direction is not None:
        raise ValueError("give --channels or --direction, not both")
    if at is not None and channels is None:
        raise ValueError("--at is the place of a neuron; give its --channels too")
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
    elif choice.method.result == "images":
        numbers = [str(k + 1) for k in range(pictures.shape[1])]
        session.write(session.out, grids.grid(pictures, list(targets), numbers))
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
    size = values.get("size") or FAMILIES["visualization"].methods[given["method"]].default("size")
    layer = given["layer"]
    at = None if given["at"] is None else position(given["at"], "--at")
    if given["channels"] is not None:
        return {
            f"{layer} {channel}": neuron(network, (size, size), layer, channel, at)
            for channel in integers(given["channels"], "--channels")
        }
    channels = tap_shape(network, (size, size), layer)[-1]
    if given["direction"] is None:
        return {layer: energy({layer: 1.0})}
    vectors = _vectors(given["direction"], channels)
    return {f"{layer}, direction {k + 1}": towards(layer, vector) for k, vector in enumerate(vectors)}


def _vectors(path: Path, channels: int) -> np.ndarray:
    vectors = np.atleast_2d(images.open_array(path))
    if vectors.ndim != 2 or vectors.shape[1] != channels or not np.issubdtype(vectors.dtype, np.number):
        raise ValueError(
            f"{path} holds {vectors.dtype} of shape {list(vectors.shape)}; expected numbers, [n, {channels}]"
        )
    return np.asarray(vectors, np.float32)
