"""What holds for every command that there is, found by looking at the command line itself."""

import inspect
import json
import os
import typing

import pytest
import typer.models

from jaxviz import cli
from jaxviz.cli import command as declaring
from jaxviz.cli import options
from jaxviz.cli.session import Session
from jaxviz.techniques import FAMILIES


def leaves(app, words=()):
    """Every command with the words that call it."""
    for registered in app.registered_commands:
        name = registered.name or registered.callback.__name__.rstrip("_")
        yield pytest.param(registered, (*words, name), id=" ".join((*words, name)))
    for group in app.registered_groups:
        yield from leaves(group.typer_instance, (*words, group.name))


COMMANDS = list(leaves(cli.app))
PANELS = {options.WHAT, options.HOW, options.OUTPUT, options.MACHINE}
USUAL = {"json", "quiet", "debug"}


def parameters(command):
    """Name → (type, what Typer is told, default) of a command."""
    found = {}
    for name, parameter in inspect.signature(command.callback).parameters.items():
        kind, told = typing.get_args(parameter.annotation)
        found[name] = (kind, told, parameter.default)
    return found


def flags(command):
    return {
        name: values
        for name, values in parameters(command).items()
        if not isinstance(values[1], typer.models.ArgumentInfo)
    }


def minimal(command, words):
    """The shortest line that is parsed."""
    line = list(words)
    for _, told, default in parameters(command).values():
        if default is inspect.Parameter.empty:
            if not isinstance(told, typer.models.ArgumentInfo):
                line.append(told.default if isinstance(told.default, str) else told.param_decls[0])
            line.append("x.safetensors" if "weights" in words else "x.png")
    return line


def base(kind):
    """The type of one value, where several or none may be given."""
    inner = [each for each in typing.get_args(kind) if each is not type(None)]
    return base(inner[0]) if inner else kind


def flag(told):
    return told.default if isinstance(told.default, str) else told.param_decls[0]


class Opened(Exception):
    """Holds the record of a session that was about to begin."""


class Recorded(Session):
    def __enter__(self):
        raise Opened(self.record)


@pytest.fixture
def record(monkeypatch):
    """The function that returns the record with which a command begins."""
    monkeypatch.setattr(declaring, "Session", Recorded)

    def begin(line):
        with pytest.raises(Opened) as opened:
            cli.app(line, standalone_mode=False)
        return opened.value.args[0]

    return begin


def test_the_commands_are_found():
    names = {case.id for case in COMMANDS}
    assert {"classify", "saliency", "weights fetch", "methods", "presets", "features"} <= names


@pytest.mark.parametrize(("command", "words"), COMMANDS)
def test_every_parameter_is_in_the_record(command, words, record):
    settings = record(minimal(command, words))["settings"]
    assert settings.pop("command") == " ".join(words)
    assert set(settings) == set(parameters(command))
    json.dumps(settings)


@pytest.mark.parametrize(("command", "words"), COMMANDS)
def test_what_is_given_is_what_is_recorded(command, words, record):
    given = {}
    line = minimal(command, words)
    for name, (kind, told, _) in flags(command).items():
        numbers = {int: 7, int | None: 7, float: 1.5, float | None: 1.5}
        if kind in numbers:
            given[name] = numbers[kind] if told.max is None else min(numbers[kind], told.max)
            line += [flag(told), str(given[name])]
    if "method" in flags(command):  # options of all methods at once belong to none
        return
    settings = record(line)["settings"]
    assert {name: settings[name] for name in given} == given


@pytest.mark.parametrize(("command", "words"), COMMANDS)
def test_every_command_has_the_usual_options_a_group_for_each_and_an_example(command, words):
    found = flags(command)
    assert set(found) >= USUAL
    assert command.epilog.startswith(f"Example: jaxviz {' '.join(words)}")
    for name, (_, told, _) in found.items():
        assert told.help, name
        assert "weights" in words or told.rich_help_panel in PANELS, name
    assert command.callback.__doc__.splitlines()[0].endswith(".")


def test_options_of_one_name_mean_the_same_everywhere():
    kinds, texts = {}, {}
    for case in COMMANDS:
        command, words = case.values
        if "weights" in words:
            continue
        for name, (kind, told, _) in flags(command).items():
            kinds.setdefault(name, set()).add((base(kind), flag(told), told.rich_help_panel))
            texts.setdefault(name, set()).add(told.help)
    # A texture's size is HEIGHTxWIDTH. Two papers have an α: an exponent, and how much of a style.
    differing = {name for name, found in kinds.items() if len(found) > 1}
    assert differing <= {"size", "alpha"}
    for name in ("json", "quiet", "debug", "no_cache", "max_pixels", "weights", "batch", "memory", "devices"):
        assert len(texts[name]) == 1, name


@pytest.mark.parametrize(("command", "words"), COMMANDS)
def test_bad_options_give_one_line_and_no_file(command, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for bad in (["--no-such-option"], ["--json"], ["--json", "nowhere/a.json"]):
        code = cli.main([*minimal(command, words), *bad])
        printed = capsys.readouterr()
        assert code in (1, 2)
        assert printed.out == ""
        assert printed.err.startswith("jaxviz: ")
        assert printed.err.count("\n") == 1
        assert os.listdir(tmp_path) == []


def test_every_method_and_its_options_can_be_given():
    commands = {case.id: case.values[0] for case in COMMANDS}
    for family in FAMILIES.values():
        for name, method in family.methods.items():
            words = (method.command or family.command).split()[0]
            found = flags(commands[words])
            if len(family.methods) > 1 and not method.command:
                assert name in found["method"][1].help
            for option, said in method.options.items():
                if said.kind in options.TYPES and not method.command:
                    assert options.parsed_name(options.flag_of(option, said)) in found
