"""Runs that end in order where they are interrupted."""

import signal
import threading
from typing import Any


class stopped:
    """Yields a flag that Ctrl-C and SIGTERM set: a step is not broken, since its state was given away to it."""

    def __init__(self) -> None:
        self.flag = threading.Event()
        self.before: dict[int, Any] = {}

    def __enter__(self) -> threading.Event:
        if threading.current_thread() is threading.main_thread():
            for name in (signal.SIGINT, signal.SIGTERM):
                self.before[int(name)] = signal.signal(name, self._set)
        return self.flag

    def _set(self, number: int, frame: Any) -> None:
        self.flag.set()
        # The second one is meant: it ends the program as if this were not here.
        signal.signal(number, self.before[number])

    def __exit__(self, *error: object) -> None:
        for name, handler in self.before.items():
            signal.signal(name, handler)
