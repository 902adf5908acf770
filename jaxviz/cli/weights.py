"""Commands for weight files: what there is, fetching, checking, converting. `jaxviz weights --help`."""

import contextlib
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import rich.console
import rich.progress
import typer

from jaxviz import images
from jaxviz._checks import known
from jaxviz.checkpoints import WeightsError, fetched, store
from jaxviz.checkpoints.formats import open_file
from jaxviz.cli.command import command, register
from jaxviz.cli.session import Session, Stopped
from jaxviz.networks import NETWORKS

app = typer.Typer(no_args_is_help=True, help="List, fetch, verify and convert weights.")

SUFFIX = ".safetensors"


@command(name="weights list", example="jaxviz weights list", computes=False)
def list_(session: Session) -> None:
    """List all networks: whose weights are here, where the others are published, size, classes, licence."""
    rows = [_row(name) for name in NETWORKS]
    session.record["folder"] = str(fetched.folder())
    session.record["networks"] = {row.pop("network"): row for row in rows}
    if session.json_path != "-":
        cells = [("network", "state", "MB", "numbers", "classes", "licence", "published")]
        for name, row in session.record["networks"].items():
            size, classes = f"{row['megabytes']:,.1f}", str(row["classes"] or "-")
            cells.append((name, row["state"], size, row["dtype"], classes, row["license"], row["published"]))
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for row in cells:
            typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        session.say(f"fetched files lie in {fetched.folder()}")


def _row(name: str) -> dict[str, Any]:
    from jaxviz.checkpoints.fetching.sources import SOURCES

    source, shipped = SOURCES.get(name), store.manifest().get(name)
    row: dict[str, Any] = {
        "network": name,
        "state": "to fetch",
        "license": "",
        "published": "-",
        "dtype": "-",
    }
    row["classes"] = getattr(NETWORKS[name].architecture, "classes", None)
    row["megabytes"] = 0.0
    if source is not None:
        row |= {"license": source.license, "megabytes": source.megabytes}
        row["published"] = source.hub.repo if source.hub else urllib.parse.urlsplit(source.mirror).netloc
        row["mirror"] = source.mirror
    try:
        found = fetched.find(name)
    except WeightsError as error:
        return row | {"state": "damaged", "problem": str(error)}
    path = found and found[0]
    if shipped:
        path = store.folder() / shipped["file"]
        row |= {"state": "shipped", "license": shipped["license"], "dtype": shipped["dtype"]}
    elif found:
        row["state"] = "fetched" if found[1] else "converted"
        with contextlib.suppress(WeightsError):
            row["dtype"] = open_file(found[0]).metadata.get("dtype", "-")
    if path and not path.is_file():
        row["state"] = "missing"
    elif path:
        row |= {"file": str(path), "megabytes": path.stat().st_size / 1e6}
    return row


@command(name="weights fetch", example="jaxviz weights fetch resnet50", computes=False)
def fetch(
    session: Session,
    name: Annotated[str, typer.Argument(help="A network of `jaxviz weights list`.")],
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Take the authors' own file, not the one on the hub.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Fetch anew what is here or shipped.")] = False,
) -> None:
    """Fetch the published weights of a network, check them, and keep them for all commands."""
    from jaxviz.checkpoints import fetching
    from jaxviz.checkpoints.fetching import hub
    from jaxviz.checkpoints.fetching.sources import SOURCES

    known(name, NETWORKS, "network")
    if not mirror and name in SOURCES and SOURCES[name].hub and not hub.installed():
        session.say("takes the mirror; for parts of files of the hub: pip install huggingface_hub")
    if force and name in store.manifest():
        session.say(f"{name} is shipped, and commands go on to use that; give the fetched file as --weights")
    before = _record_or_none(name)
    try:
        with _progress(session, name) as on_progress:
            path = fetching.fetch(name, on_progress=on_progress, mirror=mirror, force=force)
    except KeyboardInterrupt:
        raise Stopped("interrupted; what was received is kept, and the next fetch continues it") from None
    said = fetched.record(name) or {}
    session.record["file"], session.record["record"] = str(path), said
    if session.json_path != "-":
        was = "was there already" if said == before else f"fetched {said['source']['received'] / 1e6:,.1f} MB"
        typer.echo(f"{name}: {was}; {said['bytes'] / 1e6:,.1f} MB, {said['license']}")
        for line in (f"from {said['source']['url']}", *(f"checked: {c}" for c in said["checks"]), str(path)):
            typer.echo(f"  {line}")


def _record_or_none(name: str) -> dict[str, Any] | None:
    try:
        return fetched.record(name)
    except WeightsError:
        return None


@contextlib.contextmanager
def _progress(session: Session, name: str) -> Iterator[Callable[[int, int | None], None]]:
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.DownloadColumn(),
        rich.progress.TransferSpeedColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    shown = not session.quiet and sys.stderr.isatty()
    console = rich.console.Console(stderr=True)
    with rich.progress.Progress(*columns, console=console, disable=not shown, transient=True) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@command(name="weights verify", example="jaxviz weights verify", computes=False)
def verify(
    session: Session,
    file: Annotated[
        Path | None, typer.Argument(help="A weight file; default: all shipped and fetched ones.")
    ] = None,
) -> None:
    """Tell of weight files what can be checked, and whether it is right; exit code 1 where it is not."""
    from jaxviz.checkpoints import verifying

    session.record["files"] = []
    bad = 0
    for verdict in verifying.verify_all() if file is None else [verifying.verify_file(file)]:
        bad += bool(verdict.problem)
        found = {"file": str(verdict.path), "network": verdict.network, "check": verdict.check}
        session.record["files"].append(found | {"right": not verdict.problem, "problem": verdict.problem})
        if session.json_path != "-" and (verdict.problem or not session.quiet):
            result = f"WRONG: {verdict.problem}" if verdict.problem else "right"
            typer.echo(f"{verdict.path}: {verdict.check}: {result}")
    if bad:
        count = len(session.record["files"])
        session.failure = f"{bad} of {count} files {'is' if bad == 1 else 'are'} not as it should be"


@command(
    name="weights convert",
    example="jaxviz weights convert my.pth --network resnet50 --out my.safetensors",
    computes=False,
)
def convert(
    session: Session,
    file: Annotated[Path, typer.Argument(help="PyTorch, safetensors, Keras HDF5, npz or ONNX.")],
    network: Annotated[str, typer.Option("--network", help="Whose weights these are.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write: .safetensors.")],
    dtype: Annotated[
        str | None,
        typer.Option("--dtype", help="float32, float16 or as-is; default: as in FILE, at most float32."),
    ] = None,
) -> None:
    """Write a weight file of another library as one of ours, checked, with what is known of its origin in it."""
    from jaxviz.checkpoints import rewriting

    if out.suffix.lower() != SUFFIX:
        raise ValueError(f"--out is {out}; expected a name that ends with {SUFFIX}")
    with images.atomically(out) as temporary:
        said = rewriting.rewrite(file, network, temporary, dtype=dtype)
    size, sha256 = out.stat().st_size, store.sha256(out)
    session.record |= {"origin": said, "bytes": size, "sha256": sha256}
    if session.json_path != "-":
        typer.echo(
            f"{file}: {said['source_format']} with names of {said['source_names']}, "
            f"kernels {said['source_layout']}, features {said['source_dense_order']}\n"
            f"{out}: {network}, {size / 1e6:,.1f} MB, kernels HWIO, features height, width, channels\n"
            f"  numbers {said['dtype']}; normalization {said['batch_norm']}; classifier: {said['head']}"
            f"{f' (--network {network}_classifier keeps it)' if said['head'] == 'left out' else ''}\n"
            f"  sha256 {sha256}"
        )


for run, name in ((list_, "list"), (fetch, "fetch"), (verify, "verify"), (convert, "convert")):
    register(app, run, name)
