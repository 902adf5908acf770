"""How the shards of a run are shared among the processes of a group, which all see one folder."""

import contextlib
import math
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from jaxviz.distributed import Alone
from jaxviz.jobs import shards
from jaxviz.jobs.manifest import RunError

SHARD = 256
SEEN = 90.0
"""Seconds after which what one host has written must be seen by another: NFS remembers folders for 60."""
POLL = 0.2


def shard_size(pictures: int, processes: int) -> int:
    """Returns how many pictures a shard has where nothing else is said: few enough that each process gets one.

    Example:
      >>> from jaxviz.jobs import sharing
      >>> sharing.shard_size(10_000, 4), sharing.shard_size(100, 4), sharing.shard_size(2, 4)
      (256, 25, 1)
    """
    return min(SHARD, math.ceil(pictures / processes))


def share(missing: Sequence[int], group: Alone) -> Sequence[int]:
    """Returns the shards that are this process's to make.

    Grain's ShardOptions would deal out single pictures. But a shard's files are written by one process, and some
    may be there already, of a run by any number of processes: so of those that are missing each gets its part.
    """
    return missing[group.index :: group.count]


def check_shared(group: Alone, folder: Path) -> None:
    """Checks that all processes see the folder that process 0 writes to.

    Raises:
      RunError: If one does not.
    """
    mark = folder / f"{shards.TEMPORARY[:-1]}{uuid.uuid4().hex}"
    with contextlib.ExitStack() as stack:
        if group.index == 0:
            mark.touch()
            stack.callback(mark.unlink, missing_ok=True)
        mark = folder / group.gather("mark", mark.name)[0]
        seen = group.gather("seen", _seen(mark.exists, group))
    if not all(seen):
        raise RunError(
            f"process {seen.index(False)} does not see what process 0 writes to {folder}; take a folder on a file "
            "system that all of them share"
        )


def await_shards(group: Alone, folder: Path, pictures: int, shard: int) -> None:
    """Waits until the shards of all processes are seen here.

    Raises:
      RunError: If one does not come.
    """
    count = math.ceil(pictures / shard)
    if not _seen(lambda: len(shards.complete(folder, pictures, shard)) == count, group):
        raise RunError(
            f"{folder} lacks shards that other processes have written; run the same again to go on"
        )


def _seen(condition: Callable[[], bool], group: Alone) -> bool:
    end = time.monotonic() + SEEN
    while not condition():
        if time.monotonic() > end:
            return False
        group.check()
        time.sleep(POLL)
    return True
