import inspect

import pytest

import jaxviz
from jaxviz import colors, constraints, objectives, optimizers, parameterizations, priors
from jaxviz.norms import NORMS
from jaxviz.techniques import FAMILIES

TECHNIQUES = [getattr(jaxviz, name) for name in FAMILIES]
SYMBOLS = [colors, constraints, objectives, optimizers, parameterizations, priors]
IMAGES = {"image", "content", "exemplar"}


def functions(modules):
    return [
        pytest.param(value, id=f"{module.__name__.split('.')[-1]}.{name}")
        for module in modules
        for name, value in vars(module).items()
        if inspect.isfunction(inspect.unwrap(value))
        and value.__module__.startswith(module.__name__)
        and not name.startswith("_")
    ]


def parameters(function):
    return list(inspect.signature(inspect.unwrap(function)).parameters.values())


def takes_image(function):
    given = parameters(function)
    return len(given) > 1 and given[0].name == "network" and given[1].name in IMAGES


COMPOSITIONS = [case for case in functions(TECHNIQUES) if takes_image(case.values[0])]


def test_the_cases_are_found():
    names = {case.id for case in COMPOSITIONS}
    for family in FAMILIES.values():
        for method in family.methods.values():
            if takes_image(method.function):
                assert f"{family.name}.{method.function.__name__}" in names
    assert {"attacks.problem", "inversion.problem", "texture.problem", "style.problem"} <= names
    assert len(functions(SYMBOLS)) >= 15


@pytest.mark.parametrize("name", jaxviz.__all__)
def test_public_names_are_documented(name):
    value = getattr(jaxviz, name)
    assert (value.__doc__ or "").strip()
    if inspect.ismodule(value):
        for inner, member in vars(value).items():
            if inspect.isclass(member) and member.__module__ == value.__name__ and not inner.startswith("_"):
                assert (member.__doc__ or "").strip(), inner
                # Dataclasses without a docstring are given their signature as one.
                assert not member.__doc__.startswith(f"{inner}("), inner


def test_public_names_are_sorted_and_complete():
    assert sorted(jaxviz.__all__) == jaxviz.__all__
    public = {name for name in vars(jaxviz) if not name.startswith("_")}
    submodules = {name for name in public if inspect.ismodule(getattr(jaxviz, name))}
    assert public - submodules <= set(jaxviz.__all__)


@pytest.mark.parametrize("function", functions(TECHNIQUES + SYMBOLS))
def test_docstrings_say_what_is_returned(function):
    first, *rest = inspect.getdoc(function).splitlines()
    assert first.startswith("Returns ")
    assert not rest or rest[0] == ""


@pytest.mark.parametrize("function", functions(TECHNIQUES + SYMBOLS))
def test_documented_arguments_exist_and_all_are_documented(function):
    document = inspect.getdoc(function)
    if "\nArgs:\n" not in document:
        return
    section = document.split("\nArgs:\n")[1].split("\n\n")[0]
    lines = [line for line in section.splitlines() if line.startswith("  ") and line[2] != " "]
    documented = [line.split(":")[0].strip() for line in lines]
    assert documented == [parameter.name for parameter in parameters(function)]


@pytest.mark.parametrize("function", COMPOSITIONS)
def test_options_are_given_by_name(function):
    for parameter in parameters(function)[2:]:
        if parameter.default is not inspect.Parameter.empty or parameter.name == "key":
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, parameter.name
    for parameter in parameters(function)[:2]:
        assert parameter.default is inspect.Parameter.empty


LOOPS = [
    name
    for name, family in FAMILIES.items()
    if family.presets and any(method.problem for method in family.methods.values())
]


@pytest.mark.parametrize("name", LOOPS)
def test_each_loop_is_a_problem_and_minimize(name):
    module = getattr(jaxviz, name)
    options = {p.name for p in parameters(module.problem)}
    assert "key" in options
    assert not options & {"steps", "optimizer", "on_chunk"}


@pytest.mark.parametrize("function", COMPOSITIONS)
def test_examples_are_shown(function):
    if function.__name__ != "problem":
        assert ">>> " in inspect.getdoc(function)


def test_keys_of_symbols_come_first():
    for norm in NORMS.values():
        assert next(iter(inspect.signature(norm.sample).parameters)) == "key"
