"""Commands that look at pictures through a classifier."""

from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import typer

from jaxviz import images
from jaxviz.cli import options, runs
from jaxviz.cli.classes import best_classes, class_name, class_scores, listing
from jaxviz.cli.command import command
from jaxviz.cli.methods import Choice, chosen_neuron, class_index
from jaxviz.cli.options import OUTPUT, option
from jaxviz.cli.session import Failure, Session
from jaxviz.drawing import maps, sheets
from jaxviz.networks import Network
from jaxviz.objectives import Unit
from jaxviz.techniques import FAMILIES, Method
from jaxviz.techniques.classes import checked_top

CLASSIFIER = "squeezenet1_1"


def square(session: Session, path: str | Path) -> images.Picture:
    """Returns the picture of a session, as its `--size` says."""
    return runs.fitted(session, path, lambda picture: images.fit_square(picture, session.given["size"]))


@command(
    example="jaxviz classify photo.jpg",
    network=CLASSIFIER,
    reads=True,
    many=True,
    out="classes",
)
def classify(session: Session, picture: options.Source, size: options.Square = 224) -> None:
    """Tell the five classes that a network finds most likely; of many pictures in RUN/*.parquet."""
    if runs.is_many(session, picture):
        runs.classify(session, picture)
        return
    if session.given["out"] is not None:
        raise ValueError("--out is for many pictures; --json FILE keeps what one picture gave")
    pixels = square(session, picture)
    network = runs.network(session)
    classes = best_classes(network, session.timed(lambda: class_scores(network, pixels)))
    _record_classes(session, classes)
    if session.json_path != "-":
        typer.echo(listing(classes))


def _record_classes(session: Session, classes: list[dict[str, Any]]) -> None:
    session.record["labels"] = [c["label"] for c in classes]
    session.record["scores"] = classes


@command(
    example='jaxviz saliency photo.jpg --label "Egyptian cat" --overlay --out map.png',
    network=CLASSIFIER,
    family=FAMILIES["saliency"],
    reads=True,
    many=True,
    out="saliency.png",
)
def saliency(
    session: Session,
    picture: options.Source,
    label: options.Label = None,
    top: options.Top = 1,
    channel: options.Channel = None,
    at: options.At = None,
    size: options.Square = 224,
    overlay: Annotated[bool, option("--overlay", OUTPUT, "Draw the map over the picture.")] = False,
) -> None:
    """Show which pixels a class's score, or a neuron, depends on; raw files hold the map as it is, unnormalized."""
    choice = chosen_method(session)
    if runs.is_many(session, picture):
        runs.saliency(session, picture, choice)
        return
    session.opens_pictures(session.out)
    pixels = square(session, picture)
    network = runs.network(session)
    unit = chosen_neuron(network, session.given)
    values, settled = choice.values(network), {}
    best: list[dict[str, Any]] = []
    if unit is None or network.classes is not None or top > 1:
        checked_top(network, top, chosen=label is not None or unit is not None)
        scores = class_scores(network, pixels)
        best = best_classes(network, scores, max(top, 5))
    if unit is not None:
        targets: Any = unit
        said = [f"neuron {channel} of {session.given['layer']}{'' if at is None else f' at {at}'}"]
        settled = {"layer": session.given["layer"]}
    else:
        targets = [c["index"] for c in best[:top]]
        if label is not None:
            targets = [class_index(network, label, "--label")]
        said = [f"class {c}: {network.labels[c]}, score {scores[c]:.4g}" for c in targets]
        session.settle(label=targets[0] if top == 1 else targets)
    session.settle(**choice.settled(values) | settled)
    found, told = session.timed(lambda: _explained(choice.method, network, pixels, targets, values))
    for line in said:
        session.say(line)
    if best:
        _record_classes(session, best)
    session.record["details"] = {name: np.asarray(value).tolist() for name, value in told.items()}
    heat = np.asarray(found)
    if not np.isfinite(heat).all():
        raise Failure("the map holds NaN or infinite values; take other weights")
    if session.raw:
        session.write(session.out, heat)
        return
    under = pixels if overlay else None
    drawn = [maps.drawn(one, under, result=choice.method.result) for one in (heat if top > 1 else [heat])]
    names = [class_name(network, c["index"]) for c in best[:top]]
    session.write(session.out, drawn[0] if top == 1 else sheets.row(dict(zip(names, drawn, strict=True))))
    for name, value in told.items():
        if np.ndim(value) == 2 and top == 1:
            beside = session.out.with_name(f"{session.out.stem}-{name}.png")
            session.write(beside, maps.coarse(np.asarray(value), heat.shape[:2]))


def _explained(
    method: Method, network: Network, pixels: np.ndarray, targets: Any, values: dict[str, Any]
) -> Any:
    """Returns a method's map and numbers of one target, or of several in one program, stacked."""
    if isinstance(targets, Unit):
        return method.told(network, pixels, targets, **values)
    if len(targets) == 1:
        return method.told(network, pixels, targets[0], **values)
    return jax.vmap(lambda target: method.told(network, pixels, target, **values))(jnp.asarray(targets))


def chosen_method(session: Session) -> Choice:
    """Returns the method of a command that has methods."""
    if session.choice is None:
        raise ValueError("this command has no methods")
    return session.choice


@command(
    example="jaxviz features photo.jpg --layer fire9 --out fire9.npz",
    network=CLASSIFIER,
    reads=True,
    many=True,
    out="features.npz",
)
def features(
    session: Session,
    picture: options.Source,
    layer: Annotated[
        list[str], typer.Option("--layer", help="A tap; repeat it.", rich_help_panel=options.WHAT)
    ],
    size: options.Square = 224,
    pool: Annotated[
        bool, option("--pool", options.HOW, "Average each channel over positions: [c] of [h, w, c].")
    ] = False,
) -> None:
    """Write what layers answer to a picture, by name, to .npz; of many pictures to RUN/."""
    if runs.is_many(session, picture):
        runs.features(session, picture)
        return
    if session.out.suffix.lower() != ".npz":
        raise ValueError(f"--out is {session.out}; expected a name that ends with .npz")
    session.opens_pictures(session.out)
    pixels = square(session, picture)
    network = runs.network(session)
    taps = session.timed(lambda: runs.feature_arrays(network, pixels, layer, pool))
    session.record["shapes"] = {name: list(np.shape(tap)) for name, tap in taps.items()}
    with images.atomically(session.out) as temporary:
        np.savez(temporary, allow_pickle=False, **{name: np.asarray(tap) for name, tap in taps.items()})
    session.written.append(session.out)
