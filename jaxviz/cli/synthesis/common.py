"""What the commands that minimize share: reading, the network of a preset, solving, the record."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

import jaxviz
from jaxviz import images
from jaxviz.cli import runs
from jaxviz.cli.methods import Choice
from jaxviz.cli.session import Session, optimizer_named
from jaxviz.drawing import sheets
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


def preset_name(session: Session) -> str:
    """Returns the network's name asked for, else the preset's, else, where its weights are not here, VGG-16's."""
    chosen = choice(session)
    asked, preset = session.given["network"], chosen.preset
    name: str = asked or (preset.network if preset else FALLBACK)
    if asked is None and session.given["weights"] is None and not available(name):
        session.note(
            f"preset {session.given['preset']!r} is meant for {name}, whose weights are not here; "
            f"this runs on {FALLBACK} (`jaxviz weights fetch {name}` gets them)"
        )
        name = FALLBACK
    session.settle(network=name)
    return name


def preset_network(session: Session, name: str = "", *, classifier: bool = False) -> jaxviz.Network:
    """Returns the network of a name, where it is empty of `preset_name`.

    Most techniques look at features: a classifier in the file would only take time and memory.
    """
    return jaxviz.load(
        name or preset_name(session),
        weights=session.given["weights"],
        pooling=session.given.get("pooling") or "max",
        precision=session.given["precision"],
        classifier=classifier,
    )


def values_of(session: Session, network: jaxviz.Network) -> dict[str, Any]:
    """Returns the options that were given, as the method that was chosen takes them."""
    chosen, pooling = choice(session), session.given["pooling"]
    values = chosen.values(network)
    if pooling is not None and "pooling" in chosen.method.signature:
        values["pooling"] = pooling
    return values


def mesh_of(session: Session, devices: str = "1") -> Mesh | None:
    """Returns the devices of `devices` problems, and of the rows of each by --row-devices; None for one."""
    rows = session.given["row_devices"]
    if rows == 1 and devices == "1":
        return None
    return jaxviz.mesh(rows if devices == "1" else devices, rows=rows)


def minimized(
    session: Session,
    network: jaxviz.Network,
    *inputs: Any,
    function: Callable[..., Solution] | None = None,
    title: str = "",
    scales: int = 1,
    watch: Callable[[Solution], None] = lambda solution: None,
    **more: Any,
) -> Solution:
    """Returns what the method that was chosen finds, under a progress bar.

    Args:
      session: The command's.
      network: Φ.
      inputs: What the method takes after it.
      function: What is called in the method's place.
      title: Stands beside the progress bar.
      scales: How many times the steps are made.
      watch: Sees the solution so far, about twice a second.
      more: Options that take the place of those given; None stands for none.
    """
    chosen, given = choice(session), session.given
    preset = chosen.family.preset(given["preset"])
    values = values_of(session, network)
    beside = ("steps", "optimizer", "network", "init")
    texts = {name: given[name] for name in beside if given.get(name) not in (None, "")}
    session.record["preset"] = preset_record(chosen, {**values, **texts})
    values |= {name: value for name, value in more.items() if value is not None}
    if (mesh := mesh_of(session)) is not None:
        values["mesh"] = mesh
    if "seed" not in values:
        values["key"] = jax.random.key(given["seed"])
    steps = preset.steps if given["steps"] is None else given["steps"]
    optimizer = optimizer_named(given["optimizer"])
    solution = session.solved(
        lambda on_chunk: (function or chosen.method.function)(
            network,
            *inputs,
            preset=given["preset"],
            steps=given["steps"],
            optimizer=optimizer,
            on_chunk=_both(on_chunk, watch),
            **values,
        ),
        steps * scales,
        title,
    )
    session.settle(steps=steps)
    note = f"preset {given['preset']!r}: {preset.departures}; this ran on {network.name}"
    if preset.departures and note not in session.record.get("notes", []):
        session.note(note)
    return solution


def _both(
    first: Callable[[Solution], None], second: Callable[[Solution], None]
) -> Callable[[Solution], None]:
    def called(solution: Solution) -> None:
        first(solution)
        second(solution)

    return called


def row_of_layers(
    session: Session,
    original: images.Picture,
    layers: Sequence[str],
    solve: Callable[[str], Solution],
    caption: str,
) -> None:
    """Writes what is found of each layer as one sheet, the original first, or as an array without it."""
    found: dict[str, Any] = {}
    told: dict[str, Any] = {}
    for layer in layers:
        solution = solve(layer)
        found[layer] = np.asarray(solution.value)
        of_run = ("losses", "evaluations", "rejections", "restarts", "seconds")
        told[layer] = {"loss": lowest(solution)} | {name: session.record.pop(name) for name in of_run}
        if session.interrupted:
            break
    session.record["layers"] = told
    session.record["seconds"] = {
        what: sum(each["seconds"][what] for each in told.values()) for what in ("compile", "run")
    }
    if session.raw:
        session.write(session.out, np.stack(list(found.values())))
    else:
        session.write(session.out, sheets.row({"original": original, **found}, caption=caption))


def lowest(solution: Solution) -> float | None:
    """Returns the lowest loss; None where there was no evaluation."""
    return float(np.nanmin(solution.losses)) if solution.losses.size else None


def preset_record(choice: Choice, given: dict[str, Any]) -> dict[str, Any]:
    """Returns for the record which preset was used, what it fixes, and what of that was overridden."""
    name = choice.given["preset"]
    preset = choice.family.preset(name)
    return {"name": name, "fixes": preset.fixes(), "overridden": preset.overridden(given)}
