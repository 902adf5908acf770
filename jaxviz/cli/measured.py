"""The measurements of `jaxviz.costs` as tables of text."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxviz.costs.growing import KINDS

NONE = "–"


class Table(NamedTuple):
    """Cells to be shown.

    Attributes:
      head: One name for each column.
      rows: Cells.
      notes: Lines below.
    """

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: list[str]


def of_bench(record: Mapping[str, Any]) -> Table:
    """Returns a line for each technique that `bench` measured."""
    head = (
        "technique",
        "size",
        "batch",
        "trace",
        "compile",
        "a call (quartiles)",
        "per second",
        "memory",
        "ceiling",
    )
    rows = [
        (
            row["technique"],
            _square(row["size"]),
            _shown(row["batch"]),
            seconds(row["trace_s"]),
            seconds(row["compile_s"]),
            f"{seconds(row['median_s'])} ({seconds(row['q1_s'])} – {seconds(row['q3_s'])})",
            f"{row['per_second']:.3g} {row['unit']}s",
            megabytes(row["memory_bytes"]),
            NONE if row["share_of_ceiling"] is None else f"{row['share_of_ceiling']:.0%}",
        )
        for row in record["rows"]
    ]
    top = record["ceiling"]
    notes = [f"ceiling: {top['operations_per_second'] / 1e9:,.0f} GFLOP/s, of {top['of']}"]
    reasons: dict[str, list[str]] = {}
    for name, why in record["left_out"].items():
        reasons.setdefault(why, []).append(name)
    notes += [f"left out, {why}: {', '.join(names)}" for why, names in reasons.items()]
    return Table(head, rows, notes)


def of_comparison(found: Mapping[str, Any]) -> Table:
    """Returns a line for each row that `compare` joined: seconds of both sides, ratios second ÷ first, marks."""
    head = ("technique", "size", "batch", "first", "second", "time", "compile", "memory", "")
    rows = [
        (
            row["technique"],
            _square(row["size"]),
            _shown(row["batch"]),
            seconds(row["first_s"]),
            seconds(row["second_s"]),
            *(NONE if row[name] is None else f"{row[name]:.2f}" for name in ("time", "compile", "memory")),
            " ".join(name for name in ("slower", "faster", "larger") if row[name]),
        )
        for row in found["rows"]
    ]
    missing = [f"{side} only: {name}" for side in ("first", "second") for name in found[f"only_in_{side}"]]
    return Table(head, rows, found["notes"] + missing)


def of_growth(found: Mapping[str, Any]) -> Table:
    """Returns a line for each point that `growth` measured, and its exponents."""
    kinds = {name: found[name] for name in KINDS}
    rows = [
        (name, str(point["at"]), seconds(point["median_s"]), megabytes(point["memory_bytes"]))
        for name, kind in kinds.items()
        for point in kind["points"]
    ]
    notes = [
        f"{what} ∝ {name}^{exponent:.2f}"
        for name, kind in kinds.items()
        for what, exponent in kind["exponents"].items()
        if exponent is not None
    ]
    return Table((found["technique"], "at", "a call", "memory"), rows, notes)


def of_startup(found: Mapping[str, Any]) -> Table:
    """Returns a line for each process that `startup` started, and a column for each stage."""
    stages = list(found["cold"][0])
    rows = [
        (kind, *(seconds(run[stage]) for stage in stages)) for kind in ("cold", "warm") for run in found[kind]
    ]
    head = (f"{found['technique']}, {found['size']}²", *(stage.replace("_", " ") for stage in stages))
    return Table(head, rows, ["first step: from the start of the process to the first result"])


def of_gaps(found: Mapping[str, Any]) -> Table:
    """Returns one line: what share of a run the device waited."""
    shares = [f"{found[name]:.2%}" for name in ("idle", "between", "between_by_clock")]
    row = (found["technique"], _square(found["size"]), str(found["evaluations"]), str(found["chunks"]))
    head = ("technique", "size", "evaluations", "chunks", "loop", "idle", "between chunks", "by the clock")
    notes = [f"trace: {found['trace']}; https://ui.perfetto.dev opens it"]
    return Table(head, [(*row, seconds(found["wall_s"]), *shares)], notes)


def of_machine(machine: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    """Returns what was measured on, in one line."""
    parts = [machine["device"], f"{machine['cores']} cores, of which {machine['cores_busy']:.1f} were busy"]
    parts += [f"Python {machine['python']}", *(f"{name} {version}" for name, version in versions.items())]
    return "; ".join([", ".join(parts), f"commit {machine['commit']}", machine["date"]])


def seconds(value: float | int | None) -> str:
    """Returns a time with three digits and its unit.

    Example:
      >>> from jaxviz.cli import measured
      >>> measured.seconds(0.0125), measured.seconds(3.0), measured.seconds(None)
      ('12.5 ms', '3 s', '–')
    """
    if value is None:
        return NONE
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


def megabytes(value: float | int | None) -> str:
    """Returns an amount of memory in units of 10⁶ bytes."""
    return NONE if value is None else f"{value / 1e6:,.0f} MB" if value >= 1e7 else f"{value / 1e6:.2g} MB"


def _square(side: int | None) -> str:
    return NONE if side is None else f"{side}²"


def _shown(value: Any) -> str:
    return NONE if value is None else str(value)
