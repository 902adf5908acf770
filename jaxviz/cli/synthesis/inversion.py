"""The command that inverts features."""

from collections.abc import Mapping
from typing import Annotated

import numpy as np

from jaxviz import images
from jaxviz.cli import options, runs
from jaxviz.cli.command import command
from jaxviz.cli.options import HOW, WHAT, option
from jaxviz.cli.session import Session
from jaxviz.cli.synthesis import common
from jaxviz.cli.synthesis.keeping import opened, solved
from jaxviz.drawing import sheets
from jaxviz.networks import NETWORKS, Network
from jaxviz.techniques import FAMILIES
from jaxviz.techniques.inversion import STRIP, inverted_layers, restarts
from jaxviz.techniques.layers import head_taps

FAMILY = FAMILIES["inversion"]
USUAL = FAMILY.methods["inversion"].options["layer"].usual
SQUARE = 224


@command(
    example="jaxviz invert photo.jpg --layer relu4_2 --out inverted.png",
    network=None,
    family=FAMILY,
    pooling=True,
    reads=True,
    many=True,
    out="inversion.png",
)
def invert(
    session: Session,
    picture: options.Source,
    size: options.Longer = 256,
    strip: Annotated[
        bool,
        option("--strip", WHAT, f"A sheet of one inversion for each --layer; default: {', '.join(STRIP)}."),
    ] = False,
    seeds: Annotated[
        int, option("--seeds", HOW, "So many at once, from the starts of --seed and those after it.", min=1)
    ] = 1,
    lpips: options.Lpips = None,
) -> None:
    """Find a picture with the same features at one layer or more: what they have kept."""
    weights = options.weights_of_layers(session.given["layer"])
    if strip and seeds > 1:
        raise ValueError("--strip and --seeds are both given; take one of them")
    if runs.is_many(session, picture):
        if strip or seeds > 1:
            raise ValueError("--strip and --seeds are for one picture; --seed seeds each of many")
        name = common.preset_name(session)
        head = _of_a_head(name, weights)
        runs.invert(
            session,
            picture,
            common.choice(session),
            lambda: common.preset_network(session, name, classifier=head),
        )
        return
    opened(session, "--strip" if strip else "--seeds" if seeds > 1 else "")
    if strip and list(weights) == USUAL:
        weights = dict.fromkeys(STRIP, 1.0)
    name = common.preset_name(session)
    head = _of_a_head(name, weights)
    pixels = _square(session, picture) if head else common.longer(session, picture, size)
    network = common.preset_network(session, name, classifier=head)
    inverted_layers(network, weights)
    if strip:
        common.row_of_layers(
            session,
            pixels,
            list(weights),
            lambda layer: common.minimized(
                session, network, pixels, title=layer, layer={layer: weights[layer]}
            ),
            f"{network.name}: pictures with the same features at one layer",
        )
    elif seeds > 1:
        _several(session, network, pixels, seeds)
    else:
        solved(session, network, pixels, shape=pixels.shape[:2], pictures={"input": pixels}, like=pixels)


def _of_a_head(name: str, layers: Mapping[str, float]) -> bool:
    """Returns whether a layer is that of a classifier that needs one size of pictures."""
    return name in NETWORKS and any(layer in head_taps(NETWORKS[name].architecture) for layer in layers)


def _square(session: Session, picture: str) -> images.Picture:
    if session.given["size"] != SQUARE:
        session.note(f"layers of the classifier need {SQUARE}×{SQUARE} pixels: the centre was cut out")
    session.settle(size=SQUARE)
    return runs.fitted(session, picture, lambda pixels: images.fit_square(pixels, SQUARE))


def _several(session: Session, network: Network, pixels: images.Picture, count: int) -> None:
    first = session.given["seed"]
    solution = common.minimized(session, network, pixels, function=restarts, count=count, seed=first)
    pictures, losses = np.asarray(solution.value), np.asarray(solution.losses)
    names = [f"seed {first + k}" for k in range(count)]
    session.record["seeds"] = [
        {"seed": first + k, "loss": float(np.nanmin(of_one)) if of_one.size else None}
        for k, of_one in enumerate(losses)
    ]
    if session.raw:
        session.write(session.out, pictures)
    else:
        session.write(session.out, sheets.row(dict(zip(names, pictures, strict=True))))
