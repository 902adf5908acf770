"""The command line: it parses, calls the library, and writes. `jaxviz COMMAND --help` tells the rest."""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

import jaxviz
from jaxviz.checkpoints import WeightsError
from jaxviz.cli import (
    analysis,
    attacking,
    benching,
    demo,
    dreaming,
    evaluating,
    exploring,
    exporting,
    field_styling,
    listing,
    looking,
    stylizing,
    synthesis,
    training,
    visualizing,
    weights,
)
from jaxviz.cli.command import register
from jaxviz.cli.session import Failure, Incomplete, Stopped
from jaxviz.distributed import GroupError
from jaxviz.images import PictureError
from jaxviz.jobs import RunError
from jaxviz.radiance import FieldError, SceneError

TOLD = (
    PictureError,
    WeightsError,
    Failure,
    RunError,
    GroupError,
    SceneError,
    FieldError,
    OSError,
    ImportError,
)
"""Errors whose own line says all."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="See what a convolutional network has learned, and make pictures with it.",
)
for run in (
    demo.demo,
    analysis.classify,
    analysis.saliency,
    evaluating.evaluate,
    attacking.attack,
    analysis.features,
    exploring.patches,
    exploring.embed,
    visualizing.visualize,
    dreaming.dream,
    synthesis.invert,
    synthesis.texture,
    synthesis.style,
    stylizing.stylize,
    exporting.export,
    looking.filters,
    looking.activations,
    looking.networks,
    listing.methods,
    listing.presets,
    listing.models,
    benching.bench,
):
    register(app, run)
app.add_typer(training.app, name="train")
app.add_typer(field_styling.app, name="field")
app.add_typer(weights.app, name="weights")


def _tell_version(asked: bool) -> bool:
    if asked:
        typer.echo(f"jaxviz {jaxviz.__version__}")
        raise typer.Exit
    return asked


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Tell the version.", is_eager=True, callback=_tell_version)
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    0 done, 1 failed, 2 bad usage, 3 done but for some of many pictures, 130 after Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code, message = app(arguments, standalone_mode=False) or 0, ""
    except (Exception, KeyboardInterrupt) as error:
        if "--debug" in arguments:
            traceback.print_exc()
        code, message = _explained(error)
    if code == 130 and not message:
        message = "interrupted before there was a result"
    if message:
        print(f"jaxviz: {message}", file=sys.stderr)  # noqa: T201
    return code


def process() -> int:
    """Returns as `main` does, but ends the process itself after Ctrl-C."""
    code = main()
    if code == 130:
        # A thread of JAX may still compile, for which the end of Python comes too early: it would end in a fault.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _explained(error: BaseException) -> tuple[int, str]:
    if isinstance(error, typer.Exit):
        return error.exit_code, ""
    if isinstance(error, typer.Abort | KeyboardInterrupt):
        return 130, ""
    if isinstance(error, Incomplete):
        return 3, ""
    if isinstance(error, Stopped):
        return 130, str(error)
    if hasattr(error, "format_message"):
        message = _line(error.format_message())
        return 2, message and f"{message.rstrip('.')}; --help shows what there is"
    if isinstance(error, TOLD):
        return 1, _line(error)
    if isinstance(error, KeyError | ValueError):
        return 2, _line(error.args[0] if error.args else error)
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return 1, "out of memory; take a smaller --size"
    return 1, f"{type(error).__name__}: {_line(error)} (a bug: run again with --debug and report it)"


def _line(message: object) -> str:
    return " ".join(str(message).split())
