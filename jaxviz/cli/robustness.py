"""Attacks on each of many pictures, and what share of them withstands: as lines, table, JSON and curve."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxviz import images, jobs
from jaxviz.cli import runs
from jaxviz.cli.methods import Choice
from jaxviz.cli.session import Session
from jaxviz.drawing import plots
from jaxviz.techniques.attacks.sweep import interval


def run(session: Session, source: str, choice: Choice) -> None:
    """Runs `jobs.attack`, and tells what share of the pictures withstands, at each radius if there are several."""
    given, values = session.given, {}

    def make() -> jobs.Task:
        loaded = runs.network(session)
        label = runs.label_of(loaded, given)
        values.update(runs.settled_values(session, choice, loaded))
        if isinstance(values.get("epsilon"), tuple) and given["save"] != runs.MANY_ALONE["save"]:
            raise ValueError("--save is for one radius; with several in --epsilon rows alone are kept")
        return jobs.attack(
            loaded, method=choice.name, label=label, size=given["size"], save=given["save"], **values
        )

    report = runs.run(session, source, make)
    if len(report.failures) == report.total:
        return
    out = Path(session.record["settings"]["out"])
    rows = jobs.read_robustness(out)
    pace = report.seconds / report.made if report.made else None
    session.record["robustness"] = rows
    session.record["seconds"]["picture"] = pace
    for line in _table(rows):
        session.say(line)
    if pace is not None:
        session.say(f"  {pace:.3g} s a picture")
    title = f"{choice.name}, norm {choice.settled(values).get('norm', 'linf')}"
    _keep(out, rows, title, isinstance(values.get("epsilon"), tuple))


def _table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield f"  clean accuracy {rows[0]['clean accuracy']:.1%} of {rows[0]['pictures']} pictures"
    for row in rows:
        radius = row["epsilon"]
        where = "" if radius is None else f" at ε = {radius:.4g}"
        where += f" ({radius * 255:.3g}/255)" if radius is not None and radius <= 1 else ""
        asked = "" if row["mean queries"] is None else f", {row['mean queries']:.1f} evaluations each"
        yield (
            f"  robust accuracy{where}: {row['robust accuracy']:.1%} "
            f"({row['low']:.1%} to {row['high']:.1%}){asked}"
        )


def _keep(out: Path, rows: Sequence[dict[str, Any]], title: str, several: bool) -> None:
    with images.atomically(out / "robustness.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n")
    with images.atomically(out / "robustness.csv") as temporary, temporary.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    if not several:
        return
    right = rows[0]["clean accuracy"]
    start = 0.0, right, *interval(round(right * rows[0]["pictures"]), rows[0]["pictures"])
    points = [start] + [(row["epsilon"], row["robust accuracy"], row["low"], row["high"]) for row in rows]
    drawn = plots.interval_plot({title: points}, across="ε", up="robust accuracy", title=title)
    images.write(out / "robustness.png", drawn)
