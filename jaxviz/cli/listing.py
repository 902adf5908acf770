"""Commands that tell what there is: methods with their options, presets with what they fix, stylizing models."""

from typing import Annotated, Any

import typer

from jaxviz import stylization
from jaxviz._checks import known
from jaxviz.checkpoints import WeightsError
from jaxviz.cli.command import command
from jaxviz.cli.session import Session
from jaxviz.techniques import FAMILIES, Family, Method, Option


@command(example="jaxviz methods ifgsm", computes=False)
def methods(
    session: Session,
    name: Annotated[str | None, typer.Argument(help="One method, or a family: its options too.")] = None,
) -> None:
    """List all methods by family, or one with its equation, paper and options."""
    everything = {method for family in FAMILIES.values() for method in family.methods}
    if name is not None:
        known(name, [*everything, *FAMILIES], "method")
    record: dict[str, Any] = {}
    for family in FAMILIES.values():
        chosen = {k: v for k, v in family.methods.items() if name in (None, k, family.name)}
        record |= {f"{family.name}/{k}": described(family, k, v) for k, v in chosen.items()}
        if chosen and session.json_path != "-":
            typer.echo(f"{family.name}: {family.title}")
            widest = max(map(len, chosen))
            for each, method in chosen.items():
                typer.echo(f"    {each.ljust(widest)}  {method.title}: {_command(family, each, method)}")
                if name is not None:
                    typer.echo("\n".join(_lines(method)))
    session.record["methods"] = record


def described(family: Family, name: str, method: Method) -> dict[str, Any]:
    """Returns what a method declares, for the record."""
    options = {
        option: {
            "kind": said.kind,
            "help": said.help,
            "low": said.low,
            "high": said.high,
            "choices": list(said.choices),
            "default": method.default(option),
            "required": method.required(option),
        }
        for option, said in method.options.items()
    }
    function = f"jaxviz.{family.name}.{method.function.__name__}"
    facts = {"title": method.title, "equation": method.equation, "paper": method.paper}
    command = _command(family, name, method)
    return facts | {"function": function, "command": command, "result": method.result, "options": options}


def _command(family: Family, name: str, method: Method) -> str:
    if method.command:
        return f"jaxviz {method.command}"
    return f"jaxviz {family.command}" + (f" --method {name}" if len(family.methods) > 1 else "")


def _lines(method: Method) -> list[str]:
    lines = [f"        {method.equation}", f"        {method.paper}"]
    widest = max(map(len, method.options), default=0)
    for name, said in method.options.items():
        default = "" if method.default(name) is None else f" Default: {said.shown or method.default(name)}."
        lines.append(f"        {name.ljust(widest)}  {said.help}{_range(said)}{default}")
    return lines


def _range(said: Option) -> str:
    if said.low is None:
        return ""
    return f" At least {said.low}." if said.high is None else f" From {said.low} to {said.high}."


@command(example="jaxviz presets inversion", computes=False)
def presets(
    session: Session,
    technique: Annotated[str | None, typer.Argument(help="One technique, such as style.")] = None,
) -> None:
    """Tell what each preset fixes: network, layers, weights, units, optimizer, steps; and its paper."""
    families = {name: family for name, family in FAMILIES.items() if family.presets}
    if technique is not None:
        known(technique, families, "technique with presets")
    record: dict[str, Any] = {}
    for name, family in families.items():
        if technique not in (None, name):
            continue
        for each, preset in family.presets.items():
            record.setdefault(name, {})[each] = preset.fixes() | {
                "paper": preset.paper,
                "departures": preset.departures,
            }
            if session.json_path != "-":
                typer.echo(f"{name}, {each}: {preset.paper or 'this library'}")
                fixes = preset.fixes()
                widest = max(map(len, fixes))
                for key, value in fixes.items():
                    typer.echo(f"    {key.ljust(widest)}  {_shown(value)}")
                if preset.departures:
                    typer.echo(f"    departures: {preset.departures}")
    session.record["presets"] = record


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(item)}" for name, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


@command(example="jaxviz models", computes=False)
def models(
    session: Session,
    name: Annotated[
        str | None,
        typer.Argument(help="One model, or a file that `jaxviz train` wrote: how it was made too."),
    ] = None,
) -> None:
    """List the shipped models for `jaxviz stylize` with their styles, or one with the record of its training."""
    record: dict[str, Any] = {}
    shipped = stylization.shipped()
    for each in shipped if name is None else [name]:
        try:
            record[each] = stylization.describe(each) | {"about": shipped.get(each, {}).get("about", "")}
        except WeightsError as error:
            if name is not None:
                raise
            record[each] = {"kind": "damaged", "problem": str(error)}
    session.record["models"] = record
    if session.json_path == "-":
        return
    for each, facts in record.items():
        styles = ", ".join(facts.get("styles", [])) or "any"
        typer.echo(f"{each}: {facts.get('problem') or facts['kind'] + ', styles: ' + styles}")
        if facts.get("about"):
            typer.echo(f"    {facts['about']}")
        if name is not None:
            typer.echo("\n".join(_facts_lines(facts)))
    if not record:
        typer.echo("no model is shipped with this version; `jaxviz train` makes one")


def _facts_lines(facts: dict[str, Any]) -> list[str]:
    """Returns what a model's file says, a line each: its architecture, then the record of its training."""
    shown = {**facts["attributes"], **{k: facts[k] for k in ("encoder", "layer") if k in facts}}
    shown |= {"megabytes": facts["bytes"] / 1e6, **facts["record"]}
    widest = max(map(len, shown))
    return [f"    {key.ljust(widest)}  {_shown(value)}" for key, value in shown.items()]
