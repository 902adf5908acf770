"""What processes of one run say to each other, and how each learns that another has stopped or died."""

import contextlib
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import jax

PULSE = 1.0
"""Seconds between two looks at the others."""
POLL = 0.1
"""Seconds between two looks where a process has nothing to do but wait."""
GRACE = 10.0
"""Seconds in which the work of a process may end in order when another has stopped."""
REMEDY = "nothing is lost but unfinished shards: start all processes again to go on"


class GroupError(RuntimeError):
    """Processes that do not come together, or of which one has ended; the message says why, and the remedy."""


class Alone:
    """The group of a process that is the only one.

    Attributes:
      index: Of this process, from 0.
      count: Of all processes.
      round: How often `gather` was called.
      progress: Counts of the work, which the others see as `others` within seconds.
    """

    index, count, round = 0, 1, 0
    progress: tuple[int, ...] = ()

    def gather(self, name: str, value: Any, meanwhile: Callable[[], None] | None = None) -> list[Any]:
        """Returns what all processes give, in their order.

        All must call it, in the same order and under the same name.

        Args:
          name: Of what is given.
          value: Plain enough for JSON.
          meanwhile: Called again and again while others are waited for.

        Raises:
          GroupError: If another process has stopped, died or left.
        """
        return [value]

    def others(self, since: int) -> list[tuple[int, ...]]:
        """Returns the `progress` of the other processes, of those that have told it in this round or later."""
        return []

    def check(self) -> None:
        """Raises GroupError where another process has stopped or died."""


class Group(Alone):
    """The processes of one run, as this one sees them.

    A process that dies is missed by JAX's coordinator, and one that stops says so; a thread looks for both. Work
    that asks `check` often ends in order; what does not end within seconds is ended.

    Args:
      client: Of JAX's coordinator: a store of texts under keys, and the list of those alive.
      name: Of this group, under which its keys are.
      index: Of this process.
      count: Of all processes.
    """

    def __init__(self, client: Any, name: str, index: int, count: int):
        self.client, self.name, self.index, self.count = client, name, index, count
        self.hosts: list[str] = []
        self.cause = ""
        self.live = set(range(count))
        self.seen: dict[int, Any] = {}
        self.heard, self.over = threading.Event(), threading.Event()

    def start(self) -> None:
        """Begins to look at the others, and waits until all are there and have their devices."""
        for work in (self._listen, self._watch):
            threading.Thread(target=work, name="jaxviz-group", daemon=True).start()
        self.hosts = self.gather("host", platform.node())
        # Backends of a group wait for each other: later, only one process might ask for its devices.
        jax.local_devices()

    def gather(self, name: str, value: Any, meanwhile: Callable[[], None] | None = None) -> list[Any]:
        """As of `Alone`."""
        self.round += 1
        key = f"{self.round}-{name}"
        self._tell(key, value)
        while True:
            left = set(self._told("left"))  # before what is told, which comes before leaving
            told = self._told(key)
            if len(told) == self.count:
                return [told[k] for k in range(self.count)]
            self.check()
            if gone := sorted(left - set(told)):
                raise GroupError(f"{self._named(gone[0])} has left before all were done; {REMEDY}")
            if meanwhile is not None:
                meanwhile()
            time.sleep(POLL)

    def others(self, since: int) -> list[tuple[int, ...]]:
        """As of `Alone`."""
        told = [values for k, values in self.seen.items() if k != self.index]
        return [tuple(values) for number, *values in told if number >= since and values]

    def check(self) -> None:
        """As of `Alone`."""
        if self.cause:
            self.heard.set()
            raise GroupError(f"{self.cause}; {REMEDY}")

    def leave(self, error: BaseException | None, wait: float) -> None:
        """Says that this process goes, and why if not in order.

        Args:
          error: What it goes for; None where it is done.
          wait: Seconds at most in which process 0 waits until the others are gone, which need its coordinator.
        """
        self.heard.set()
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            if error is None:
                self._tell("left", True)
            elif not self.cause:
                interrupted = isinstance(error, KeyboardInterrupt)
                # The remedy after the semicolon is for that process.
                reason = "was interrupted" if interrupted else f"stopped: {_line(error).partition('; ')[0]}"
                self._tell("stopped", f"{self._named(self.index)} {reason}")
        end = time.monotonic() + wait
        while self.index == 0 and len(self.live) > 1 and time.monotonic() < end:
            time.sleep(POLL)
        self.over.set()

    def _watch(self) -> None:
        while not self.over.wait(PULSE):
            # Without a coordinator JAX ends this process.
            with contextlib.suppress(jax.errors.JaxRuntimeError):
                self._tell("progress", [self.round, *self.progress])
                self.seen = self._told("progress")
                self.cause = self._found()
            if self.cause:
                self.heard.wait(GRACE)
                if not self.heard.is_set():
                    self._end()
                return

    def _found(self) -> str:
        """Returns which process has stopped or died, and why; empty where none has."""
        gone = set(range(self.count)) - self.live  # before what they have said on going
        if stopped := self._told("stopped"):
            return str(stopped[min(stopped)])
        if dead := sorted(gone - set(self._told("left"))):
            return f"{self._named(dead[0])} was killed, or cannot be reached any more"
        return ""

    def _listen(self) -> None:
        # It returns when all that are alive have called it, so it has a thread of its own.
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            while not self.over.is_set():
                self.live = set(self.client.get_live_nodes(list(range(self.count))))
                self.over.wait(PULSE)

    def _end(self) -> None:
        """Ends this process, whose work goes on: files are written whole or not at all."""
        print(f"jaxviz: {self.cause}; {REMEDY}", file=sys.stderr, flush=True)  # noqa: T201
        jax.distributed.shutdown()
        os._exit(1)

    def _named(self, index: int) -> str:
        return f"process {index}" + (f" on {self.hosts[index]}" if self.hosts else "")

    def _tell(self, key: str, value: Any) -> None:
        self.client.key_value_set(f"{self.name}/{key}/{self.index}", json.dumps(value), allow_overwrite=True)

    def _told(self, key: str) -> dict[int, Any]:
        found = self.client.key_value_dir_get(f"{self.name}/{key}/")
        return {int(path.rpartition("/")[2]): json.loads(text) for path, text in found}


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
