"""What a benchmark and its cases are. Imports no runtime."""

import dataclasses
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Process:
    """One of the processes that take turns: a side, and which of its variants."""

    side: str
    only: tuple[str, ...] = ()


PEER_FIRST = (Process("torch"), Process("jaxviz"))


@dataclasses.dataclass(frozen=True)
class Case:
    """One set of processes that are measured in turns.

    Attributes:
      work: The label of its row, or the first part of those of its rows.
      options: What both sides are told.
      processes: In the order in which they start. Ours is the first of jaxviz, the other is its rival.
      seconds: For how long each variant is measured in each process.
      least: Calls that it is measured for, at least.
      calls: Calls, where their number is fixed.
      keep_fastest: Whether of the rival's variants the fastest in the first round goes on alone.
      cached: Whether later rounds find what JAX compiled in the first; not where variants share programs.
      facts: What else the row is to say.
      targets: Row → its target, where each has its own.
      against: Row → the one whose rivals are its too, where no rival does what it does.
    """

    work: str
    options: dict[str, Any]
    processes: tuple[Process, ...] = (Process("jaxviz"), Process("torch"))
    seconds: float = 2.0
    least: int = 3
    calls: int | None = None
    keep_fastest: bool = False
    cached: bool = True
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)
    targets: dict[str, float] = dataclasses.field(default_factory=dict)
    against: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A title, the unit of its times, rounds of processes, and its cases, fewer and smaller for `quick`."""

    title: str
    unit: str
    rounds: int
    cases: Callable[[bool], list[Case]]
    module: str = ""
    """Of both sides' packages; "" for the benchmark's name."""
