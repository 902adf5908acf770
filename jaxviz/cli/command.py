"""A command is declared once: its own parameters in its signature, all others by what it is.

`@command(…)` adds the parameters that commands share, keeps what was parsed as the record of the run, and opens
and finishes the session around the function.
"""

import contextlib
import inspect
import typing
from collections.abc import Callable, Sequence
from inspect import Parameter
from typing import Any

import typer

from jaxviz.cli import groups, options
from jaxviz.cli.many import GROUP, MANY
from jaxviz.cli.session import Session
from jaxviz.techniques import Family

Function = Callable[..., None]


def command(
    *,
    example: str,
    name: str = "",
    network: str | None = "",
    family: Family | None = None,
    pooling: bool = False,
    reads: bool = False,
    many: bool = False,
    out: str = "",
    computes: bool = True,
    more: Sequence[Parameter] = (),
) -> Callable[[Function], Function]:
    """Returns the decorator that makes a function of a session and its own parameters a command.

    Args:
      example: A line that a user could type.
      name: The command's, where it is not the function's.
      network: The usual network; None for the preset's, "" where the command needs none.
      family: Whose methods, options and presets the command offers.
      pooling: Whether another pooling can be chosen.
      reads: Whether the command reads pictures.
      many: Whether its source may be many pictures.
      out: The usual name of the result; "" where nothing is written but JSON.
      computes: Whether programs are compiled, which are kept in a cache.
      more: Parameters that the function reads from the session.
    """

    def decorated(function: Function) -> Function:
        hints = typing.get_type_hints(function, include_extras=True)
        own = [
            parameter.replace(annotation=hints[parameter.name], kind=Parameter.KEYWORD_ONLY)
            for parameter in list(inspect.signature(function).parameters.values())[1:]
        ]
        shared: list[Parameter] = list(more)
        if family is not None:
            shared += options.of_methods(family)
        if network != "":
            shared += options.network(network)
        shared += options.POOLING if pooling else []
        solves = False
        if family is not None and family.presets:
            solves = any(method.problem for method in family.methods.values())
            shared += [*options.preset(family), *(options.SOLVING if solves else [])]
        shared += options.out(out, many) if out else []
        shared += options.SAVE if many and family is not None else []
        shared += options.COMMON
        shared += options.COMPUTING if computes else []
        shared += options.READING if reads else []
        shared += options.MEMORY if many or solves else []
        shared += [*MANY, *GROUP] if many else []
        names = {parameter.name for parameter in own}
        said = name or function.__name__

        def run(**given: Any) -> None:
            session = Session(said, given, family=family, usual_out=out)
            with session, groups.joined(session) if many else contextlib.nullcontext():
                function(session, **{key: value for key, value in given.items() if key in names})

        parameters = [*own, *(parameter for parameter in shared if parameter.name not in names)]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__name__, run.__doc__ = function.__name__, function.__doc__
        run.example = f"Example: {example}"  # type: ignore[attr-defined]
        return run

    return decorated


def register(app: typer.Typer, run: Any, name: str | None = None) -> None:
    """Adds a command to the command line, with its example under its help."""
    app.command(name, epilog=run.example)(run)
