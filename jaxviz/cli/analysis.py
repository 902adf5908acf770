"""Commands that look at one picture through a classifier."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import jaxviz
from jaxviz import images
from jaxviz._checks import known
from jaxviz.cli import options
from jaxviz.cli.session import Session, class_index, class_scores, fraction, listing, top
from jaxviz.drawing import maps

CLASSIFIER = "squeezenet1_1"


def _square(path: Path, size: int, max_pixels: int) -> images.Picture:
    return images.fit_square(images.read(path, max_pixels=max_pixels), size)


def classify(
    picture: options.Picture,
    network: options.Network = CLASSIFIER,
    weights: options.Weights = None,
    size: options.Square = 224,
    json: options.Json = None,
    max_pixels: options.MaxPixels = options.MAX,
    quiet: options.Quiet = False,
    no_cache: options.NoCache = False,
    debug: options.Debug = False,
) -> None:
    """Tell the five classes that a network finds most likely."""
    settings = {
        "command": "classify",
        "picture": picture,
        "network": network,
        "weights": weights,
        "size": size,
    }
    session = Session(settings, quiet=quiet, no_cache=no_cache, json_path=json)
    pixels = _square(picture, size, max_pixels)
    model = jaxviz.load(network, weights=weights)
    classes = top(model, session.timed(lambda: class_scores(model, pixels)))
    _record_classes(session, classes)
    if json != "-":
        typer.echo(listing(classes))
    session.finish()


def _record_classes(session: Session, classes: list[dict[str, Any]]) -> None:
    session.record["labels"] = [c["label"] for c in classes]
    session.record["scores"] = classes


def saliency(
    picture: options.Picture,
    network: options.Network = CLASSIFIER,
    weights: options.Weights = None,
    label: options.Label = None,
    method: Annotated[str, typer.Option("--method", help="gradient.")] = "gradient",
    size: options.Square = 224,
    overlay: Annotated[bool, typer.Option("--overlay", help="Draw the map over the picture.")] = False,
    out: options.Out = Path("saliency.png"),
    json: options.Json = None,
    max_pixels: options.MaxPixels = options.MAX,
    quiet: options.Quiet = False,
    no_cache: options.NoCache = False,
    debug: options.Debug = False,
) -> None:
    """Show which pixels the score of a class depends on; raw files hold the map as it is, unnormalized."""
    known(method, ["gradient"], "saliency method")
    settings = {
        "command": "saliency",
        "picture": picture,
        "network": network,
        "weights": weights,
        "method": method,
        "size": size,
    }
    session = Session(
        settings | {"label": label, "out": out},
        quiet=quiet,
        no_cache=no_cache,
        pictures=(out,),
        json_path=json,
    )
    pixels = _square(picture, size, max_pixels)
    model = jaxviz.load(network, weights=weights)
    scores = class_scores(model, pixels)
    target = int(np.argmax(scores)) if label is None else class_index(model, label, "--label")
    session.say(f"class {target}: {model.labels[target]}, score {scores[target]:.4g}")
    values = np.asarray(session.timed(lambda: jaxviz.saliency.gradient(model, pixels, target)))
    session.record["settings"]["label"] = target
    _record_classes(session, top(model, scores))
    raw = out.suffix.lower() in images.ARRAY_SUFFIXES
    shown = maps.overlay(pixels, values) if overlay else maps.heat_map(values)
    session.write(out, values if raw else shown)
    session.finish()


def attack(
    picture: options.Picture,
    network: options.Network = CLASSIFIER,
    weights: options.Weights = None,
    label: options.Label = None,
    target: Annotated[str | None, typer.Option("--target", help="Class to reach, by index or name.")] = None,
    method: Annotated[str, typer.Option("--method", help="fgsm.")] = "fgsm",
    epsilon: Annotated[
        str, typer.Option("--epsilon", help="Largest change of a pixel, in [0, 1].")
    ] = "8/255",
    size: options.Square = 224,
    out: options.Out = Path("attack.png"),
    json: options.Json = None,
    max_pixels: options.MaxPixels = options.MAX,
    quiet: options.Quiet = False,
    no_cache: options.NoCache = False,
    debug: options.Debug = False,
) -> None:
    """Change a picture a little so that the network errs; the difference, times 10, is written beside it."""
    known(method, ["fgsm"], "attack method")
    bound = fraction(epsilon, "--epsilon")
    settings = {
        "command": "attack",
        "picture": picture,
        "network": network,
        "weights": weights,
        "method": method,
        "size": size,
    }
    beside = out.with_name(f"{out.stem}-difference.png")
    session = Session(
        settings | {"epsilon": bound, "out": out},
        quiet=quiet,
        no_cache=no_cache,
        pictures=(out, beside),
        json_path=json,
    )
    pixels = _square(picture, size, max_pixels)
    raw = out.suffix.lower() in images.ARRAY_SUFFIXES
    if not raw:  # ε is counted from a picture that the file can hold
        pixels = images.to_bytes(pixels) / np.float32(255)
    model = jaxviz.load(network, weights=weights)
    scores = class_scores(model, pixels)
    before = top(model, scores)
    leave = before[0]["index"] if label is None else class_index(model, label, "--label")
    reach = None if target is None else class_index(model, target, "--target")
    attacked = session.timed(lambda: jaxviz.attacks.fgsm(model, pixels, leave, epsilon=bound, target=reach))
    session.write(out, np.asarray(attacked))
    written = np.asarray(attacked) if raw else images.read(out)
    after = top(model, class_scores(model, written))
    session.record["settings"] |= {"label": leave, "target": reach}
    session.record["labels"] = {
        side: [c["label"] for c in c5] for side, c5 in (("before", before), ("after", after))
    }
    session.record["scores"] = {"before": before, "after": after}
    distance = float(np.abs(written - pixels).max())
    session.record["distance"] = distance
    if json != "-":
        typer.echo(f"before\n{listing(before)}\nafter, as written\n{listing(after)}")
    exact = int(np.argmax(class_scores(model, np.asarray(attacked))))
    notes = _notes(after[0]["index"], exact, leave, reach, distance, bound)
    session.record["notes"] = notes
    for note in notes:
        session.say(note)
    session.write(beside, maps.difference(pixels, written))
    session.finish()


def _notes(after: int, exact: int, leave: int, reach: int | None, distance: float, bound: float) -> list[str]:
    def succeeds(found: int) -> bool:
        return found == reach if reach is not None else found != leave

    notes = []
    if not succeeds(after):
        lost = "the file's rounding lost the attack" if succeeds(exact) else "the attack did not succeed"
        remedy = "take a larger --epsilon" if reach is None else "one step seldom reaches a --target"
        notes.append(f"{lost}; {remedy}")
    if distance > bound + 1e-6:
        notes.append(
            f"as written, a value moved by {distance:.5f}, more than ε = {bound:.5f}; "
            "write .png with a multiple of 1/255, or .npy"
        )
    return notes
