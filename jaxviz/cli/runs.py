"""Commands over many pictures: a run folder instead of a picture, by the same options."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import rich.progress

import jaxviz
from jaxviz import images, jobs
from jaxviz.cli import groups
from jaxviz.cli.methods import Choice, chosen_neuron, class_index
from jaxviz.cli.session import Session, Stopped, optimizer_named
from jaxviz.jobs.tasks.features import averaged
from jaxviz.networks import Network, compiled_features
from jaxviz.objectives.parts import precise

SHOWN = 10
"""Failures that are told by name; all of them are in the run's rows."""


MANY_ALONE = {
    "batch": None,
    "memory": None,
    "devices": "1",
    "workers": None,
    "save": "pictures",
    "shard": None,
    **dict.fromkeys(groups.OPTIONS),
}
"""Options that one picture has no use for, and what they are where they are not given."""


def is_many(session: Session, source: str, beside: Collection[str] = ()) -> bool:
    """Returns whether a command's source means many pictures.

    Args:
      session: The command's.
      source: What it was given.
      beside: Of `MANY_ALONE`, those that this command has a use for with one picture too.

    Raises:
      ValueError: If it does not, and an option was given that is for many.
    """
    if jobs.is_many(source):
        return True
    solves = session.choice is not None and session.choice.solves
    for name, usual in MANY_ALONE.items():
        if name in beside or (name == "memory" and solves):
            continue
        if session.given.get(name, usual) != usual:
            raise ValueError(f"--{name} is for many pictures; {source} is one")
    return False


def fitted(session: Session, path: str | Path, fit: Callable[[images.Picture], np.ndarray]) -> np.ndarray:
    """Returns a picture in the size that is wanted; notes where most of its pixels are invented."""
    before = images.read(path, max_pixels=session.given["max_pixels"])
    after = fit(before)
    if text := images.enlarged(before, after):
        session.note(f"{path} is {text}")
    return after


def network(session: Session) -> Network:
    """Returns the network of a session."""
    given = session.given
    return jaxviz.load(given["network"], weights=given["weights"], precision=given["precision"])


def feature_arrays(
    network: Network, picture: np.ndarray, layers: Sequence[str], pool: bool
) -> dict[str, Any]:
    """Returns taps of a picture by name, averaged over positions where asked for."""
    taps = compiled_features(network, jnp.asarray(picture), tuple(layers))
    return {name: averaged(tap) if pool else precise(tap) for name, tap in taps.items()}


def run(session: Session, source: str, make: Callable[[], jobs.Task]) -> jobs.Report:
    """Brings a run folder to its end, with progress, and tells what failed; exit code 3 where anything did.

    Of several processes all but the first end here.
    """
    given = session.given
    out = given["out"] or Path(session.out.stem)
    pictures = jobs.open_source(source)
    if given.get("row_devices", 1) != 1:
        raise ValueError("--row-devices shares the rows of one picture; many pictures, --devices does")
    mesh = None if given["devices"] == "1" else jaxviz.mesh(given["devices"])
    task = make()
    text = rich.progress.TextColumn
    pace = text("{task.fields[pace]}")
    columns = (
        text("{task.completed:.0f}/{task.total:.0f} pictures"),
        rich.progress.BarColumn(),
        pace,
        rich.progress.TimeRemainingColumn(),
    )
    with session.bar(*columns) as bar:
        shown = bar.add_task("", total=len(pictures), pace="compiling")

        def on_progress(at: jobs.Progress) -> None:
            failed = f", {at.failed} failed" if at.failed else ""
            bar.update(shown, completed=at.done, pace=f"{at.per_second:.1f}/s{failed}")

        try:
            report = jobs.run(
                task,
                pictures,
                out=out,
                batch=given["batch"],
                memory=given["memory"],
                mesh=mesh,
                shard=given["shard"],
                workers=given["workers"],
                max_pixels=given["max_pixels"],
                on_progress=on_progress,
            )
        except KeyboardInterrupt:
            raise Stopped(
                f"interrupted; {out} is complete up to its last shard, the same command goes on"
            ) from None
    if report.process:
        raise groups.Helped
    session.settle(out=out, **{"source": pictures.describe()})
    failures = [{"name": name, "failure": cause} for name, cause in report.failures]
    counts = {"total": report.total, "made": report.made, "already": report.already}
    if report.processes > 1:
        counts["processes"] = report.processes
    session.record["run"] = counts | {"failures": failures}
    session.record["seconds"] = {"run": report.seconds}
    before = f" ({report.already} of them before)" if report.already else ""
    session.say(f"{out}: {report.total} pictures{before}, {len(failures)} failed, {report.seconds:.1f} s")
    if report.idle:
        session.say(
            f"  {report.idle} of {report.processes} processes had nothing to do: there are fewer shards (--shard)"
        )
    for failure in failures[:SHOWN]:
        session.say(f"  {failure['name']}: {failure['failure']}")
    if len(failures) > SHOWN:
        session.say(f"  and {len(failures) - SHOWN} more: column 'failure' of {out}/*.parquet")
    session.incomplete = bool(failures)
    return report


def classify(session: Session, source: str) -> None:
    """Runs `jobs.classify`."""
    run(session, source, lambda: jobs.classify(network(session), size=session.given["size"]))


def features(session: Session, source: str) -> None:
    """Runs `jobs.features`."""
    given = session.given
    run(
        session,
        source,
        lambda: jobs.features(network(session), given["layer"], size=given["size"], pool=given["pool"]),
    )


def saliency(session: Session, source: str, choice: Choice) -> None:
    """Runs `jobs.saliency`."""
    given = session.given

    def make() -> jobs.Task:
        loaded = network(session)
        return jobs.saliency(
            loaded,
            method=choice.name,
            label=label_of(loaded, given),
            top=given["top"],
            neuron=chosen_neuron(loaded, given),
            size=given["size"],
            save=given["save"],
            overlay=given["overlay"],
            **settled_values(session, choice, loaded),
        )

    run(session, source, make)


def dream(
    session: Session, source: str, choice: Choice, load: Callable[[], Network], guide: np.ndarray | None
) -> None:
    """Runs `jobs.dream`."""
    given = session.given

    def make() -> jobs.Task:
        loaded = load()
        values = settled_values(session, choice, loaded)
        return jobs.dream(
            loaded, preset=given["preset"], guide=guide, size=given["size"], save=given["save"], **values
        )

    run(session, source, make)


def invert(session: Session, source: str, choice: Choice, load: Callable[[], Network]) -> None:
    """Runs `jobs.inversion`."""
    given = session.given
    for name in ("plot", "page", "film", "snapshot_every", "lpips"):
        if given[name] is not None:
            flag = name.replace("_", "-")
            raise ValueError(
                f"--{flag} is for one picture; the losses of many are in the run's rows, and a run resumes"
            )

    def make() -> jobs.Task:
        loaded = load()
        return jobs.inversion(
            loaded,
            preset=given["preset"],
            size=given["size"],
            steps=given["steps"],
            optimizer=optimizer_named(given["optimizer"]),
            algorithm=given["optimizer"],
            seed=given["seed"],
            save=given["save"],
            **choice.values(loaded),
        )

    run(session, source, make)


def label_of(network: Network, given: dict[str, Any]) -> int | None:
    """Returns the class that `--label` names, or None."""
    return None if given["label"] is None else class_index(network, given["label"], "--label")


def settled_values(session: Session, choice: Choice, network: Network) -> dict[str, Any]:
    """Returns the options that were given, and notes what all of them came to be."""
    values = choice.values(network)
    session.settle(**choice.settled(values))
    return values
