"""What surrounds a run for one picture: a memory that it must fit, snapshots, a film, a page, its numbers."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxviz import images
from jaxviz.checkpoints import perceptual_weights
from jaxviz.cli.session import Session, optimizer_named
from jaxviz.cli.synthesis.common import choice, mesh_of, minimized, values_of
from jaxviz.drawing import films, plots
from jaxviz.drawing.page import Section, write_page
from jaxviz.memory import peak
from jaxviz.networks import Network
from jaxviz.optimization import Solution
from jaxviz.techniques.measuring import contributions, perceptual_distance
from jaxviz.techniques.solving import planned, taken

ALONE = ("plot", "page", "film", "snapshot_every", "memory", "lpips")
"""Options that mean one run."""


def opened(session: Session, several: str = "") -> None:
    """Checks what a command is to write, and that its options go together: known before anything is read.

    Args:
      session: The command's.
      several: The flag that makes several runs of it; empty for one run.

    Raises:
      ValueError: If an option is for one run and there are several, or --resume has nothing to go on from.
    """
    given = session.given
    for name in ALONE if several else ():
        if given.get(name) is not None:
            flag = name.replace("_", "-")
            raise ValueError(
                f"--{flag} is for one run, and {several} makes several; --json has the losses of each"
            )
    if given["resume"] and given["snapshot_every"] is None:
        raise ValueError("--resume goes on from what --snapshot-every has kept; give both")
    session.opens_pictures(session.out, given["plot"])
    if given["film"] is not None:
        films.checked(given["film"])
    session.opens([given["film"], given["page"]])


def solved(
    session: Session,
    network: Network,
    *inputs: Any,
    shape: tuple[int, ...],
    pictures: Mapping[str, images.Picture],
    seen: tuple[Any, ...] | None = None,
    like: images.Picture | None = None,
    scales: int = 1,
    **more: Any,
) -> None:
    """Runs the method that was chosen under a progress bar, and writes what it found and all that was asked for.

    Args:
      session: The command's.
      network: Φ.
      inputs: What the method takes after it.
      shape: h and w of the picture that is sought.
      pictures: What the page shows beside the result, by caption.
      seen: What the method's problem takes in place of the inputs; None for the inputs.
      like: The picture whose distance from the result --lpips asks for.
      scales: How many times the steps are made.
      more: Options that take the place of those given; None stands for none.
    """
    given, method = session.given, choice(session).method
    if method.problem is None or method.schedule is None:
        raise ValueError(f"{method.title} minimizes nothing")
    if given.get("lpips") and network.preprocessing.scale != 1:
        session.note(
            "LPIPS is made for torchvision's weights, and these are others: its numbers compare with each other, "
            "not with published ones"
        )
    judged = perceptual_weights(given["lpips"], network.name) if given.get("lpips") else None
    more = {name: value for name, value in more.items() if value is not None}
    posed = taken(method.problem, {**values_of(session, network), **more})
    posed["preset"] = given["preset"]
    shown = inputs if seen is None else seen
    made = None
    # A tileable texture is seen whole; whether that fits is asked where a memory is named.
    if posed.get("window") is None and not (posed.get("tileable") and given["memory"] is None):
        made = planned(
            method.problem,
            method.schedule,
            network,
            *shown,
            shape=shape,
            memory=given["memory"],
            optimizer=optimizer_named(given["optimizer"]),
            mesh=mesh_of(session),
            **posed,
        )
    if made is not None:
        plan = dataclasses.asdict(made)
        session.record["memory"] = {**plan.pop("form"), **plan}
        more["memory"] = made
        posed["window"] = made.form.window
        if made.form.window is not None:
            session.note(
                f"the picture is seen through windows of about {made.form.window} pixels, to fit the memory"
            )
        if made.form.rematerialized:
            session.note("features are computed again for the derivative, to fit the memory")
    snapshot = session.out.with_suffix(".snapshot.npz") if given["snapshot_every"] else None
    if snapshot is not None:
        more |= {
            "snapshot": snapshot,
            "snapshot_every": given["snapshot_every"],
            "resume": given["resume"],
        }
    reel, film = films.Film(), given["film"]

    def watch(found: Solution) -> None:
        if film is not None:
            reel.add(np.clip(np.asarray(found.value), 0, 1))

    solution = minimized(session, network, *inputs, scales=scales, watch=watch, **more)
    result = np.asarray(solution.value)
    session.write(session.out, result)
    curve = plots.loss_plot(solution.losses, rejections=int(solution.rejections))
    if given["plot"] is not None:
        session.write(given["plot"], curve / np.float32(255))
    session.record.setdefault("memory", {})["peak"] = peak()
    problem, _ = method.problem(network, *shown, **posed)
    session.record["terms"] = contributions(problem, solution.value)
    if like is not None and judged is not None:
        session.record["lpips"] = perceptual_distance(
            network, np.clip(result, 0, 1), like, judged, window=posed.get("window")
        )
    if film is not None:
        reel.add(np.clip(result, 0, 1))
        reel.write(film)
        session.written.append(film)
    if given["page"] is not None:
        _write_page(session, given["page"], {**pictures, "result": np.clip(result, 0, 1), "loss": curve})
    if snapshot is not None and not session.interrupted:
        snapshot.unlink(missing_ok=True)


def _write_page(session: Session, path: Path, pictures: Mapping[str, np.ndarray]) -> None:
    chosen, record = choice(session), session.record
    method = chosen.method
    settings = {name: value for name, value in record["settings"].items() if value not in (None, "", False)}
    facts: dict[str, Any] = {
        "network": settings.get("network"),
        "preset": f"{record['preset']['name']}, which fixes {_told(record['preset']['fixes'])}",
        "in its place": _told(record["preset"]["overridden"]) or "nothing",
        "evaluations": record["evaluations"],
        "rejections, restarts": [record["rejections"], record["restarts"]],
        **{f"loss of {name}" if name != "loss" else name: term for name, term in record["terms"].items()},
        **{f"seconds to {name}": value for name, value in record["seconds"].items()},
        "peak memory, MB": record["memory"]["peak"] / 1e6,
    }
    if "lpips" in record:
        facts["LPIPS from the picture"] = record["lpips"]
    if "predicted" in record["memory"]:
        facts["predicted memory, MB"] = (record["memory"]["predicted"] or 0) / 1e6
    facts |= {f"note {k + 1}": note for k, note in enumerate(record.get("notes", []))}
    section = Section(method.title.capitalize(), method.equation, f"{method.paper}.", pictures, facts)
    write_page(path, f"jaxviz {settings['command']}", [section])
    session.written.append(path)


def _told(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())
