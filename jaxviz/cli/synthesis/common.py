"""What the commands that minimize share: reading, the network of a preset, solving, the record."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxviz
from jaxviz import images
from jaxviz.cli import runs
from jaxviz.cli.methods import Choice
from jaxviz.cli.session import Session, optimizer_named
from jaxviz.drawing import plots
from jaxviz.optimization import Solution
from jaxviz.zoo import available

FALLBACK = "vgg16"


def longer(session: Session, path: str | Path, size: int) -> images.Picture:
    """Returns a picture with a longer side of `size`."""
    return runs.fitted(session, path, lambda picture: images.fit_longer(picture, size))


def choice(session: Session) -> Choice:
    """Returns what was chosen of the command's family."""
    if session.choice is None or session.choice.preset is None:
        raise ValueError("this command has no presets")
    return session.choice


def preset_network(session: Session) -> jaxviz.Network:
    """Returns the network asked for, else the preset's, else, where its weights are not here, VGG-16."""
    chosen = choice(session)
    asked, preset = session.given["network"], chosen.preset
    name = asked or (preset.network if preset else FALLBACK)
    if asked is None and session.given["weights"] is None and not available(name):
        session.note(
            f"preset {session.given['preset']!r} is meant for {name}, whose weights are not here; "
            f"this runs on {FALLBACK} (`jaxviz weights fetch {name}` gets them)"
        )
        name = FALLBACK
    session.settle(network=name)
    # Style, texture and inversion look at features: a classifier in the file would only take time and memory.
    return jaxviz.load(
        name, weights=session.given["weights"], pooling=session.given["pooling"] or "max", classifier=False
    )


def settings_of(session: Session) -> dict[str, Any]:
    """Returns the preset and the optimizer that were asked for, as a technique takes them."""
    return {"preset": session.given["preset"], "optimizer": optimizer_named(session.given["optimizer"])}


def solved(
    session: Session,
    network: jaxviz.Network,
    *inputs: Any,
    watch: Callable[[Solution], None] | None = None,
    **more: Any,
) -> Solution:
    """Runs the method that was chosen under a progress bar, writes what it found, and returns it.

    `watch` sees the solution so far, about twice a second.
    """
    chosen, given = choice(session), session.given
    preset = chosen.family.preset(given["preset"])
    values = chosen.values(network) | {name: value for name, value in more.items() if value is not None}
    steps = preset.steps if given["steps"] is None else given["steps"]
    beside = ("steps", "optimizer", "network", "init")
    texts = {name: given[name] for name in beside if given.get(name) not in (None, "")}
    session.record["preset"] = preset_record(chosen, {**chosen.values(network), **texts})
    optimizer = optimizer_named(given["optimizer"])
    solution = session.solved(
        lambda on_chunk: chosen.method.function(
            network,
            *inputs,
            preset=given["preset"],
            steps=steps,
            optimizer=optimizer,
            key=jax.random.key(given["seed"]),
            on_chunk=on_chunk if watch is None else _both(on_chunk, watch),
            **values,
        ),
        steps,
    )
    session.settle(steps=steps)
    if preset.departures:
        session.note(f"preset {given['preset']!r}: {preset.departures}; this ran on {network.name}")
    session.write(session.out, np.asarray(solution.value))
    if given["plot"] is not None:
        plot = plots.loss_plot(solution.losses, rejections=int(solution.rejections))
        session.write(given["plot"], plot / np.float32(255))
    return solution


def _both(
    first: Callable[[Solution], None], second: Callable[[Solution], None]
) -> Callable[[Solution], None]:
    def called(solution: Solution) -> None:
        first(solution)
        second(solution)

    return called


def preset_record(choice: Choice, given: dict[str, Any]) -> dict[str, Any]:
    """Returns for the record which preset was used, what it fixes, and what of that was overridden."""
    name = choice.given["preset"]
    preset = choice.family.preset(name)
    return {"name": name, "fixes": preset.fixes(), "overridden": preset.overridden(given)}
