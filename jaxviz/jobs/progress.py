"""How a run stands, over all processes that share it."""

import dataclasses
import time
from collections.abc import Callable, Sequence

from jaxviz.distributed import Alone


@dataclasses.dataclass(frozen=True)
class Progress:
    """How a run stands.

    Attributes:
      total: Pictures of the source.
      done: Those that are written, failures included.
      failed: Failures, of this call.
      per_second: Pictures of this call per second.
      seconds_left: At this pace; None before the first.
    """

    total: int
    done: int
    failed: int
    per_second: float
    seconds_left: float | None


class Counter:
    """Counts pictures, with those of other processes, and tells of it."""

    def __init__(
        self,
        total: int,
        already: int,
        on_progress: Callable[[Progress], None] | None,
        group: Alone,
    ):
        self.total, self.done, self.already, self.failed = total, already, already, 0
        self.began, self.on_progress, self.group = time.perf_counter(), on_progress, group
        self.own, self.round = (0, 0), group.round

    def add(self, made: int, failed: int) -> None:
        """Counts pictures that this process has made, failures included; raises GroupError as `Alone.check`."""
        self.own = self.group.progress = self.own[0] + made, self.own[1] + failed
        self.group.check()
        self.tell()

    def tell(self) -> None:
        """Tells how it stands in all processes, as far as is known."""
        self._told([self.own, *self.group.others(self.round)])

    def finish(self) -> None:
        """Waits for the other processes, and tells how it stands meanwhile and at the end."""
        self._told(self.group.gather("ended", self.own, self.tell))

    def _told(self, counts: Sequence[Sequence[int]]) -> None:
        done, self.failed = self.already + sum(n for n, _ in counts), sum(n for _, n in counts)
        if done == self.done:
            return
        self.done = done
        if self.on_progress is not None:
            pace = (self.done - self.already) / (time.perf_counter() - self.began)
            left = (self.total - self.done) / pace if pace else None
            self.on_progress(Progress(self.total, self.done, self.failed, pace, left))
