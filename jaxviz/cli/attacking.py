"""The command that deceives a network: with one picture, with each of many, or with one thing for all."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import typer

from jaxviz import images
from jaxviz.cli import options, populations, robustness, runs
from jaxviz.cli.analysis import CLASSIFIER, chosen_method, square
from jaxviz.cli.classes import best_classes, class_scores, listing
from jaxviz.cli.command import command
from jaxviz.cli.methods import class_index
from jaxviz.cli.session import Session
from jaxviz.drawing import maps, sheets
from jaxviz.norms import NORMS
from jaxviz.techniques import FAMILIES

GAIN = 10.0
"""How much larger than it is a difference is drawn."""


@command(
    example="jaxviz attack photo.jpg --method pgd --epsilon 2/255 --out attacked.png",
    network=CLASSIFIER,
    family=FAMILIES["attacks"],
    reads=True,
    many=True,
    out="attack.png",
)
def attack(
    session: Session,
    picture: options.Source,
    label: options.Label = None,
    size: options.Square = 224,
) -> None:
    """Change a picture a little so that the network errs; beside it: the difference, and all in a row with classes.

    Of many pictures RUN/ tells which withstand; with several radii, as in --epsilon 1/255,2/255, how many of them
    at each. Methods universal and patch find one change for all of them.
    """
    choice = chosen_method(session)
    if choice.method.of_many:
        populations.attack(session, picture, choice)
        return
    if runs.is_many(session, picture):
        robustness.run(session, picture, choice)
        return
    out = session.out
    difference, row = (out.with_name(f"{out.stem}-{part}.png") for part in ("difference", "row"))
    session.opens_pictures(out, difference, row)
    pixels = square(session, picture)
    if not session.raw:  # ε is counted from a picture that the file can hold
        pixels = images.to_bytes(pixels) / np.float32(255)
    network = runs.network(session)
    before = best_classes(network, class_scores(network, pixels))
    leave = before[0]["index"] if label is None else class_index(network, label, "--label")
    values = choice.values(network)
    if isinstance(values.get("epsilon"), tuple):
        raise ValueError("--epsilon has several radii, which are for many pictures; give one of them")
    attacked, told = session.timed(lambda: choice.method.told(network, pixels, leave, **values))
    attacked = np.asarray(attacked)
    settled = choice.settled(values)
    norm = settled.get("norm", "linf")
    session.settle(label=leave, **settled)
    session.write(out, attacked)
    written = attacked if session.raw else images.read(out)
    after = best_classes(network, class_scores(network, written))
    sides = (("before", before), ("after", after))
    session.record["labels"] = {side: [c["label"] for c in classes] for side, classes in sides}
    session.record["scores"] = dict(sides)
    distances = {name: float(kind.measure(jnp.asarray(written - pixels))) for name, kind in NORMS.items()}
    session.record["distance"] = distances[norm]
    session.record["distances"] = distances
    session.record["queries"] = int(told["queries"])
    if session.json_path != "-":
        typer.echo(f"before\n{listing(before)}\nafter, as written\n{listing(after)}")
        typer.echo(f"distance {distances[norm]:.4g} in the norm {norm}, {int(told['queries'])} evaluations")
    exact = int(np.argmax(class_scores(network, attacked)))
    session.record["notes"] = session.record.get("notes", [])
    for note in _notes(after[0]["index"], exact, leave, distances[norm], settled):
        session.note(note)
    session.write(difference, maps.difference(pixels, written, gain=GAIN))
    session.write(row, _row(pixels, written, before[0], after[0], f"{choice.name}, {network.name}"))


def _row(
    pixels: np.ndarray, written: np.ndarray, before: dict[str, Any], after: dict[str, Any], what: str
) -> images.Resized:
    """Returns the picture, the attacked one, and their difference twice, under what the network sees."""
    first, second = (f"{c['label']}, {c['probability']:.0%}" for c in (before, after))
    return sheets.row(
        {
            "original": pixels,
            "attacked": written,
            "difference": maps.difference(pixels, written, gain=1.0),
            f"{GAIN:g} x difference": maps.difference(pixels, written, gain=GAIN),
        },
        caption=f"{first}, becomes {second} ({what})",
    )


def _notes(after: int, exact: int, leave: int, distance: float, settled: dict[str, Any]) -> list[str]:
    reach, bound = settled.get("target"), settled.get("epsilon")
    norm, steps = settled.get("norm", "linf"), "steps" in settled

    def succeeds(found: int) -> bool:
        return found == reach if reach is not None else found != leave

    notes = []
    if not succeeds(after):
        remedies = [] if bound is None else ["take a larger --epsilon"]
        if succeeds(exact):
            lost, remedies = "the file's rounding lost the attack", ["write .npy", *remedies]
        else:
            lost, remedies = "the attack did not succeed", remedies + ["take more --steps"] * steps
            if reach is not None and not steps:
                remedies = ["one step seldom reaches a --target"]
        notes.append(f"{lost}; {', or '.join(remedies)}")
    if bound is None:
        return notes
    if norm == "linf" and distance > bound + 1e-6:
        notes.append(
            f"as written, a value moved by {distance:.5f}, more than ε = {bound:.5f}; "
            "write .png with a multiple of 1/255, or .npy"
        )
    if norm != "linf" and distance > bound * (1 + 1e-5):
        notes.append(
            f"as written, the picture is {distance:.5g} away in the norm {norm}, more than ε = {bound:g}: 8 bits "
            "round each value; write .npy"
        )
    return notes
