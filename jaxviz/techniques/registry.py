"""What a method declares of itself, once: commands, tables, jobs, tests and benchmarks are made from it.

A family is one module of methods that answer the same question. A new method is its file and its entry in the
family's `FAMILY`.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from jaxviz._checks import known
from jaxviz.optimizers import Optimizer

KINDS = (
    "number",
    "numbers",
    "fraction",
    "integer",
    "flag",
    "class",
    "layer",
    "layers",
    "choice",
    "size",
    "start",
    "pictures",
)
"""What an option may be: "fraction" can be written 8/255, "class" is an index or a label, "layers" have weights,
"pictures" are many of the picture's size, [n, h, w, 3]."""
RESULTS = ("map", "relief", "image", "images", "kernels", "activations", "field", "patch")
"""What a result is: a "map" is drawn by the size of its values, a "relief" [h, w, 3] in colors around grey;
"images" are several of one target, [n, h, w, 3]; a "patch" is a small picture and its mask."""


@dataclasses.dataclass(frozen=True)
class Option:
    """One keyword of a method. Its default is the function's own.

    Attributes:
      kind: One of `KINDS`.
      help: What it means, with unit, in a few words.
      low: The smallest allowed number.
      high: The largest.
      choices: All that a "choice" may be.
      shown: How a person writes the default, such as 8/255; empty for the default as it is.
      usual: What commands take where the function has no default.
      flag: The option on the command line, where it is not --NAME.
      by_norm: What it is where it is not given, by the name of the norm.
      several: Whether a run over many pictures may have several of a "fraction", and tells what each gives.
      shapes: Whether a "number" decides shapes, as integers do, so that another one is another program.
    """

    kind: str
    help: str
    low: float | int | None = None
    high: float | int | None = None
    choices: tuple[str, ...] = ()
    shown: str = ""
    usual: Any = None
    flag: str = ""
    shapes: bool = False
    several: bool = False
    by_norm: Mapping[str, float] | None = None


@dataclasses.dataclass(frozen=True)
class Preset:
    """Numbers that belong together: all that a paper, or this library, fixes of a technique.

    Attributes:
      network: The one that it is meant for; `load`'s name.
      values: Option → value.
      units: Of what the numbers are, such as "pixels in [0, 1]".
      optimizer: From the start, [h, w, 3], to the optimizer.
      algorithm: The optimizer in words.
      steps: Evaluations of value and gradient.
      paper: Authors, title, venue; empty for the library's own.
      departures: Where a run differs from the paper, in one sentence.
    """

    network: str
    values: Mapping[str, Any]
    units: str
    optimizer: Callable[[Any], Optimizer]
    algorithm: str
    steps: int
    paper: str = ""
    departures: str = ""

    def merged(self, **given: Any) -> dict[str, Any]:
        """Returns the preset's values, and in their place those given that are not None."""
        return {**self.values, **{name: value for name, value in given.items() if value is not None}}

    def overridden(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns which of the given options take the place of a value of the preset."""
        fixed = self.fixes()
        return {k: v for k, v in given.items() if k in fixed and v is not None and v != fixed[k]}

    def fixes(self) -> dict[str, Any]:
        """Returns all that the preset fixes, by name."""
        said = {"units": self.units, "optimizer": self.algorithm, "steps": self.steps}
        return {"network": self.network, **self.values, **said}


@dataclasses.dataclass(frozen=True)
class Method:
    """One method of a family.

    Attributes:
      function: (network, inputs…, *, options…) → result, of one picture unless `of_many`.
      title: What the field calls it.
      equation: One line of text.
      paper: Authors, title, venue.
      result: One of `RESULTS`.
      options: Keyword → what it may be.
      problem: For a method that minimizes: poses one picture's problem and start.
      schedule: For such a method: (start, *, options…) → number of evaluations and optimizer.
      command: The command that runs it, where that is not its family's.
      detailed: With the arguments of `function`: its result, and more numbers by name.
      of_many: Whether it is one result of many pictures: `function` and `problem` take all at once.
    """

    function: Callable[..., Any]
    title: str
    equation: str
    paper: str
    result: str
    options: Mapping[str, Option] = dataclasses.field(default_factory=dict)
    problem: Callable[..., Any] | None = None
    schedule: Callable[..., tuple[int, Optimizer]] | None = None
    command: str = ""
    detailed: Callable[..., tuple[Any, Mapping[str, Any]]] | None = None
    of_many: bool = False

    def told(self, *inputs: Any, **options: Any) -> tuple[Any, Mapping[str, Any]]:
        """Returns the result, and what numbers more there are, by name."""
        if self.detailed is not None:
            return self.detailed(*inputs, **options)
        return self.function(*inputs, **options), {}

    @property
    def signature(self) -> dict[str, inspect.Parameter]:
        """The parameters that can be given, those of `problem` and `schedule` included, by name."""
        found: dict[str, inspect.Parameter] = {}
        for function in (self.function, self.problem, self.schedule):
            if function is not None:
                parameters = inspect.signature(function).parameters
                found = {**parameters, **found}
        return found

    def default(self, option: str) -> Any:
        """Returns what an option is where it is not given; None where the preset says, or it must be given."""
        default = self.signature[option].default
        return None if default is inspect.Parameter.empty else default

    def required(self, option: str) -> bool:
        """Returns whether an option must be given."""
        return self.signature[option].default is inspect.Parameter.empty


@dataclasses.dataclass(frozen=True)
class Family:
    """Methods that answer the same question.

    Attributes:
      name: Of the module: `jaxviz.NAME`.
      title: What it is, in a few words.
      command: The command that runs it.
      network: The one that is taken where none is given.
      methods: Name → method; the first is the usual one.
      presets: Name → preset; the first is the usual one.
    """

    name: str
    title: str
    command: str
    network: str
    methods: Mapping[str, Method]
    presets: Mapping[str, Preset] = dataclasses.field(default_factory=dict)

    @property
    def usual(self) -> str:
        """The method that is taken where none is named."""
        return next(iter(self.methods))

    def method(self, name: str) -> Method:
        """Returns a method; raises KeyError with the nearest names where there is none of that name."""
        return self.methods[known(name, self.methods, f"{self.command} method")]

    def preset(self, name: str) -> Preset:
        """Returns a preset; raises KeyError with the nearest names where there is none of that name."""
        return self.presets[known(name, self.presets, f"preset of {self.name}")]

    def options(self) -> dict[str, dict[str, Option]]:
        """Returns option → method → what it may be there, for all methods."""
        found: dict[str, dict[str, Option]] = {}
        for name, method in self.methods.items():
            for option, said in method.options.items():
                found.setdefault(option, {})[name] = said
        return found

    def checked(self, method: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options that are given, which are not None.

        Raises:
          KeyError: If there is no such method.
          ValueError: If an option is another method's, and which one's; or one that the method needs is missing.
        """
        chosen, found = self.method(method), {}
        for option, value in given.items():
            if value is None or value is False or (isinstance(value, list) and not value):
                continue
            if option not in chosen.options:
                owners = [name for name, other in self.methods.items() if option in other.options]
                whose = f"it belongs to {', '.join(owners)}" if owners else "no method has it"
                raise ValueError(
                    f"{method} takes no {option}; {whose}; "
                    f"{method} takes {', '.join(chosen.options) or 'no options'}"
                )
            found[option] = value
        if missing := [name for name in chosen.options if chosen.required(name) and name not in found]:
            raise ValueError(f"{method} needs {', '.join(missing)}")
        return found
