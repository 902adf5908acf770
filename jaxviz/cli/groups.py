"""Commands over many pictures as one of several processes: the first one speaks, all of them work."""

import contextlib
import signal
from collections.abc import Iterator

from jaxviz import distributed, jobs
from jaxviz.cli.session import Session

OPTIONS = ("distributed", "coordinator", "processes", "process")


class Helped(Exception):
    """A process has done its part of the work; what is made of the whole is the first one's."""


@contextlib.contextmanager
def joined(session: Session) -> Iterator[None]:
    """Puts a command into its group of processes, where there is one; it ends at `Helped` in all but the first.

    Raises:
      ValueError: If the options contradict each other.
      GroupError: As `distributed.joined` does.
    """
    given = session.given
    named = [given[name] for name in OPTIONS[1:]]
    if given["distributed"] is False and named != [None] * 3:
        raise ValueError("--no-distributed is given with a group of processes; leave one of them out")
    wanted = given["distributed"] or named != [None] * 3
    if given["distributed"] is None:
        wanted = wanted or distributed.is_said()
    one_result = session.choice is not None and session.choice.method.of_many
    if not wanted or one_result or not jobs.is_many(given["picture"]):
        yield
        return
    with _terminated_in_order(), distributed.joined(*named, wait=given["wait"]) as group:
        if group.index:
            session.quiet, session.json_path = True, None
        with contextlib.suppress(Helped):
            yield


@contextlib.contextmanager
def _terminated_in_order() -> Iterator[None]:
    """Makes SIGTERM, by which Slurm and Kubernetes end processes, what Ctrl-C is: the others are told."""

    def interrupted(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
