"""The command that asks how far a saliency map can be trusted."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from jaxviz._checks import known
from jaxviz.cli import options, runs
from jaxviz.cli.analysis import CLASSIFIER, chosen_method, square
from jaxviz.cli.classes import best_classes, class_scores
from jaxviz.cli.command import command
from jaxviz.cli.methods import class_index
from jaxviz.cli.options import HOW, WHAT, option
from jaxviz.cli.session import Session
from jaxviz.drawing import maps, plots
from jaxviz.networks import Network
from jaxviz.techniques import FAMILIES, evaluation

WAYS = ("insertion", "deletion", "sanity", "pointing")


@command(
    example="jaxviz evaluate photo.jpg --method grad-cam --by deletion --out curve.png",
    network=CLASSIFIER,
    family=FAMILIES["saliency"],
    reads=True,
    out="evaluation.png",
)
def evaluate(
    session: Session,
    picture: options.Picture,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            help="insertion or deletion of the most salient pixels; sanity: random weights, module by module; "
            "pointing at --mask.",
            rich_help_panel=WHAT,
        ),
    ],
    label: options.Label = None,
    mask: Annotated[
        Path | None, option("--mask", WHAT, "For pointing: a picture that is bright where the object is.")
    ] = None,
    size: options.Square = 224,
    points: Annotated[int, option("--points", HOW, "Of insertion and deletion.", min=1)] = evaluation.STEPS,
) -> None:
    """Tell how far a saliency map can be trusted, with a plot; raw files hold the numbers that it shows."""
    choice = chosen_method(session)
    known(by, WAYS, "way to evaluate")
    if (mask is None) == (by == "pointing"):
        raise ValueError("--mask is for --by pointing, which needs it")
    session.opens_pictures(session.out)
    pixels = square(session, picture)
    inside = None if mask is None else _inside(session, mask)
    network = runs.network(session)
    scores = class_scores(network, pixels)
    target = int(np.argmax(scores)) if label is None else class_index(network, label, "--label")
    values = choice.values(network)

    def explain(network: Network) -> Any:
        return choice.method.function(network, pixels, target, **values)

    name = network.labels[target]
    title = f"{choice.method.title}, {name}"
    session.settle(label=target, **choice.settled(values))
    session.record["scores"] = best_classes(network, scores)
    if by == "sanity":
        found = evaluation.sanity(network, explain)
        numbers = found.similarities
        told: dict[str, Any] = {"layers": list(found.layers), "similarities": numbers.tolist()}
        plot = plots.curve_plot(
            found.layers, numbers, across="random from here to the end", up="rank correlation", title=title
        )
    elif inside is not None:
        heat = np.asarray(session.timed(lambda: explain(network)))
        told = evaluation.pointing(heat, inside)
        numbers = np.array([float(value) for value in told.values()], np.float32)
        plot = None
        drawn = maps.drawn(heat, pixels) * np.where(inside, 1, 0.4)[..., None]
    else:
        heat = explain(network)
        way = getattr(evaluation, by)
        curve = session.timed(lambda: way(network, pixels, heat, target, steps=points))
        numbers = np.asarray(curve.scores)
        told = {"fractions": np.asarray(curve.fractions).tolist(), "scores": numbers.tolist()}
        told["area"] = float(curve.area)
        change = "put back" if by == "insertion" else "taken away"
        plot = plots.curve_plot(
            np.asarray(curve.fractions),
            numbers,
            across=f"part of the pixels {change}",
            up=f"probability of {name}",
            title=f"{title}: area {told['area']:.3f}",
            filled=True,
        )
    session.record[by] = told
    short = {key: value for key, value in told.items() if not isinstance(value, list)}
    if by == "sanity":
        short = {"mean similarity": float(np.mean(numbers))}
    session.say(f"{title}: " + ", ".join(f"{k} {v:.3g}" for k, v in short.items()))
    if session.raw:
        session.write(session.out, numbers)
    else:
        session.write(session.out, np.asarray(drawn, np.float32) if plot is None else plot / np.float32(255))


def _inside(session: Session, mask: Path) -> np.ndarray:
    """Returns where the mask is bright, cut as the picture is."""
    return square(session, mask).mean(-1) > 0.5
