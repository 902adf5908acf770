"""The method of a family that a command line chooses, its options and its preset, from texts to values."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxviz import images, jobs
from jaxviz._checks import known, nearest
from jaxviz.cli import options
from jaxviz.jobs.reading import Reader
from jaxviz.networks import Network
from jaxviz.objectives import Unit
from jaxviz.techniques import Family, Preset
from jaxviz.techniques.classes import class_count, neuron

MOST = 64
"""Pictures of a source that a method compares with."""


class Choice:
    """What of a family was chosen; checked when made, as far as that needs no network.

    Attributes:
      family: The family.
      name: The method's name.
      method: The method.
      preset: The preset, or None where the family has none.
    """

    def __init__(self, family: Family, given: Mapping[str, Any]):
        self.family, self.given = family, given
        self.name: str = given.get("method") or family.usual
        self.method = family.method(self.name)
        self.preset: Preset | None = family.preset(given["preset"]) if "preset" in given else None
        self._flags = {
            name: options.flag_of(name, said)
            for name, takers in family.options().items()
            for said in takers.values()
            if said.kind in options.TYPES
        }
        parsed = {name: given[options.parsed_name(flag)] for name, flag in self._flags.items()}
        if given.get("channel") is not None:
            if "layer" in self.method.options:
                raise ValueError(
                    f"--channel explains a neuron, and {self.name} a class; take guided, for example"
                )
            parsed["layer"] = None  # it is the neuron's, not the method's
        self._texts = family.checked(self.name, parsed)
        self._values = {name: self._value(name, text) for name, text in self._texts.items()}

    def _value(self, name: str, text: Any) -> Any:
        said = self.method.options[name]
        if said.several and "," in text:
            return tuple(
                options.fraction(part.strip(), self._flags[name], said.high) for part in text.split(",")
            )
        if said.kind == "fraction":
            return options.fraction(text, self._flags[name], said.high)
        if said.kind == "numbers":
            return options.numbers(text, self._flags[name])
        if said.kind == "choice":
            return known(text, said.choices, name.replace("_", " "))
        return options.weights_of_layers(text) if said.kind == "layers" else text

    @property
    def solves(self) -> bool:
        """Whether a preset's problem is minimized, within a memory also for one picture."""
        return self.preset is not None and self.method.problem is not None

    def values(self, network: Network) -> dict[str, Any]:
        """Returns the options that were given, as the method takes them: classes by their index."""
        found = {}
        for name, value in self._values.items():
            kind = self.method.options[name].kind
            if kind == "class":
                value = class_index(network, value, self._flags[name])
            elif kind == "pictures":
                value = pictures(value, self.given["size"], self.given["max_pixels"])
            found[name] = value
        return found

    def settled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what the method's options came to be, defaults included; pictures by where they come from."""
        found = {name: values.get(name, self.method.default(name)) for name in self.method.options}
        for name, said in self.method.options.items():
            if found[name] is None and said.by_norm is not None:
                found[name] = said.by_norm[found["norm"]]
        named = {k: self._values.get(k) for k, said in self.method.options.items() if said.kind == "pictures"}
        return found | named


def pictures(source: str, size: int, max_pixels: int) -> np.ndarray:
    """Returns the first pictures of a source, cut to squares, [n, size, size, 3]."""
    found = jobs.open_source(source)
    reader = Reader(found, jobs.Square(size), max_pixels)
    loaded = [reader(index) for index in range(min(len(found), MOST))]
    kept = [images.to_floats(one.pixels) for one in loaded if one.pixels is not None]
    if not kept:
        raise images.PictureError(f"{source} has no picture that can be read ({loaded[0].failure})")
    return np.stack(kept)


def chosen_neuron(network: Network, given: Mapping[str, Any]) -> Unit | None:
    """Returns the neuron that --layer, --channel and --at name, checked; None without --channel."""
    if given["channel"] is None:
        if given["at"] is not None:
            raise ValueError("--at is a place of a neuron; give its --layer and --channel too")
        return None
    if given["layer"] is None:
        raise ValueError("--channel needs the --layer that it is one of")
    if given["label"] is not None:
        raise ValueError("--channel explains a neuron; leave --label away")
    at = None if given["at"] is None else position(given["at"], "--at")
    return neuron(network, (given["size"], given["size"]), given["layer"], given["channel"], at)


def position(text: str, flag: str) -> tuple[int, int]:
    """Returns a row and a column from a text such as "6,7"."""
    row, _, column = text.partition(",")
    if not (row.isdecimal() and column.isdecimal()):
        raise ValueError(f"{flag} is {text!r}; expected a row and a column of the layer, such as 6,7")
    return int(row), int(column)


def integers(text: str, flag: str) -> list[int]:
    """Returns numbers from a text such as "3,17" or "0-7"."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"{flag} is {text!r}; expected numbers such as 3,17,42 or 0-7")
        found += range(int(first), int(last if dash else first) + 1)
    return found


def class_index(network: Network, text: str, flag: str) -> int:
    """Returns the class that an option names, by index or by label."""
    count = class_count(network)
    if text.removeprefix("-").isdecimal():
        number = int(text)
        if not 0 <= number < count:
            raise ValueError(f"{flag} is {number}; expected 0 to {count - 1}")
        return number
    lowered = [label.lower() for label in network.labels]
    found = [i for i, label in enumerate(lowered) if label == text.lower()]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{flag} {text!r} names several classes; give one of the indices {found}")
    holding = [label for label in network.labels if text.lower() in label.lower()][:8]
    hint = f"some hold it: {', '.join(holding)}" if holding else nearest(text.lower(), lowered)
    raise ValueError(f"{flag} is {text!r}, which is no class; {hint}")
