"""`jaxviz bench`: what techniques cost on this machine, and whether that changed."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import jax
import rich.progress
import typer

from jaxviz import costs
from jaxviz.cli import measured
from jaxviz.cli.command import command
from jaxviz.cli.explaining import explained
from jaxviz.cli.options import HOW, MACHINE, OUTPUT, WHAT, option
from jaxviz.cli.session import Session, versions
from jaxviz.cli.tables import aligned
from jaxviz.costs import PLATFORMS, benchmarking, comparing, growing, programs


@command(example="jaxviz bench --json bench.json", computes=False)
def bench(
    session: Session,
    technique: Annotated[
        list[str] | None, option("--technique", WHAT, "Only this one; may be repeated. Default: all.")
    ] = None,
    explain: Annotated[
        str | None,
        option("--explain", WHAT, "A technique: tell every product of its program; nothing is compiled."),
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        option("--compare", WHAT, "Two files of --json: tell what the second is slower or larger at."),
    ] = None,
    growth: Annotated[
        bool, option("--growth", WHAT, "How cost grows with size, batch and evaluations; default: style.")
    ] = False,
    startup: Annotated[
        int | None,
        option("--startup", WHAT, "Time from process start to the first step, so many runs.", min=1),
    ] = None,
    gaps: Annotated[
        Path | None,
        option("--gaps", WHAT, "How long the device waits for the host; folder for the profiler's trace."),
    ] = None,
    size: Annotated[
        int | None, option("--size", HOW, "N×N pixels; default: 128, of --explain 224.", min=1)
    ] = None,
    seconds: Annotated[
        float, option("--seconds", HOW, "For how long each technique is repeated, at least twice.", min=0)
    ] = benchmarking.SECONDS,
    budget: Annotated[
        float, option("--budget", HOW, "Seconds for all; what would go beyond is left out.", min=0)
    ] = benchmarking.BUDGET,
    quick: Annotated[
        bool, option("--quick", HOW, "One call of one technique a family, 32×32: a check, no measurement.")
    ] = False,
    threshold: Annotated[
        float, option("--threshold", HOW, "With --compare: the share that counts as worse.", min=0)
    ] = comparing.THRESHOLD,
    precision: Annotated[
        str, option("--precision", MACHINE, "float32; on a GPU tf32 or bfloat16, less exact.")
    ] = "float32",
    platform: Annotated[
        str | None,
        option(
            "--platform", MACHINE, f"Of --explain: {', '.join(PLATFORMS)}; none need be here. Default: tpu."
        ),
    ] = None,
    plot: Annotated[Path | None, option("--plot", OUTPUT, "With --growth: where to draw it.")] = None,
) -> None:
    """Measure every technique here: compiling, pictures per second, memory, share of the measured ceiling.

    It takes two minutes. --explain, --compare, --growth, --startup and --gaps do something else instead.
    """
    modes = {
        "--explain": explain,
        "--compare": compare,
        "--growth": growth,
        "--startup": startup,
        "--gaps": gaps,
    }
    chosen = [flag for flag, given in modes.items() if given]
    if len(chosen) > 1:
        raise ValueError(f"{' and '.join(chosen)} are given; take one of them")
    if plot is not None and not growth:
        raise ValueError("--plot is given without --growth, which it draws")
    if platform is not None and explain is None:
        raise ValueError(
            "--platform is given without --explain; all else is measured on the device that is here"
        )
    if explain is not None and technique:
        raise ValueError("--technique is given beside --explain, which names one itself")
    if chosen and chosen != ["--compare"] and len(technique or ()) > 1:
        raise ValueError(f"{chosen[0]} takes one --technique, not {len(technique or ())}")
    # What a program costs is measured; one that was kept would cost nothing.
    jax.config.update("jax_enable_compilation_cache", False)
    common = {"precision": precision} | ({} if size is None else {"size": size})
    common |= {"technique": technique[0]} if technique and chosen else {}
    if explain is not None:
        explained(session, explain, platform or PLATFORMS[0], size or programs.SIZE, precision)
    elif compare is not None:
        _compare(session, *compare, threshold)
    elif growth:
        _growth(session, plot, common | {"seconds": seconds})
    elif startup is not None:
        _startup(session, common | {"runs": startup})
    elif gaps is not None:
        _gaps(session, common | {"folder": gaps})
    else:
        _bench(
            session,
            common | {"techniques": technique or None, "seconds": seconds, "budget": budget, "quick": quick},
        )


def _bench(session: Session, options: dict[str, Any]) -> None:
    with _telling(session) as tell:
        session.record |= costs.bench(**options, on_row=lambda row: tell(f"{row['technique']} is measured"))
    _show(session, measured.of_bench(session.record))


def _compare(session: Session, first: Path, second: Path, threshold: float) -> None:
    found = comparing.compare(comparing.read(first), comparing.read(second), threshold=threshold)
    session.record["comparison"] = found
    _show(session, measured.of_comparison(found))
    if found["regressed"]:
        of_all = f"{found['regressed']} of {len(found['rows'])}"
        session.failure = f"{of_all} are slower or larger by more than {threshold:.0%}"


def _growth(session: Session, plot: Path | None, options: dict[str, Any]) -> None:
    session.opens_pictures(plot)
    with _telling(session) as tell:
        found = costs.growth(**options, on_point=tell)
    session.record |= {"machine": costs.machine(), "growth": found}
    _show(session, measured.of_growth(found))
    if plot is not None:
        session.write(plot, growing.drawn(found))


def _startup(session: Session, options: dict[str, Any]) -> None:
    with _telling(session) as tell:
        tell("new processes")
        found = costs.startup(**options)
    session.record |= {"machine": costs.machine(), "startup": found}
    _show(session, measured.of_startup(found))


def _gaps(session: Session, options: dict[str, Any]) -> None:
    with _telling(session) as tell:
        tell("a run under the profiler")
        found = costs.gaps(**options)
    session.record |= {"machine": costs.machine(), "gaps": found}
    _show(session, measured.of_gaps(found))


@contextlib.contextmanager
def _telling(session: Session) -> Iterator[Callable[[str], None]]:
    """Yields a function that shows on a terminal what goes on."""
    with session.bar(*rich.progress.Progress.get_default_columns()[:1]) as bar:
        task = bar.add_task("measuring", total=None)
        yield lambda text: bar.update(task, description=text)


def _show(session: Session, table: measured.Table) -> None:
    if session.json_path == "-":
        return
    if "machine" in session.record:
        typer.echo(measured.of_machine(session.record["machine"], versions()))
    typer.echo(aligned([table.head, *table.rows]))
    for note in table.notes:
        typer.echo(note)
