"""How processes come together and part: `jax.distributed.initialize`, with a line where that would end in C++."""

import contextlib
import ctypes
import importlib.util
import itertools
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

from jaxviz.distributed.group import GRACE, REMEDY, Alone, Group, GroupError

WAIT = 300
"""Seconds in which all processes must have come."""
HEARTBEAT = 30
"""Seconds without a sign of life after which a process counts as dead."""
_numbers = itertools.count()
"""Of groups: all processes make the same ones, in the same order."""
_now: list[Group] = []
"""The group of this process, while it is in one."""


@contextlib.contextmanager
def joined(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    *,
    wait: int = WAIT,
    heartbeat: int = HEARTBEAT,
) -> Iterator[Group]:
    """Makes this process one of several for the length of its block, by `jax.distributed.initialize`.

    To be entered before JAX has touched a device. When a process stops or dies, the others learn of it and stop.
    Where process 0 dies, and the coordinator with it, JAX ends the others: with a line that says so, and exit
    code 1.

    Args:
      coordinator: HOST:PORT of process 0, reachable from all; None for what Slurm, Open MPI, Kubernetes or Cloud
        TPU say, which then say the two others as well.
      processes: How many there are.
      process: Which one this is, from 0.
      wait: Seconds in which all processes must have come, at least 1.
      heartbeat: Seconds without a sign of life after which a process counts as dead.

    Raises:
      ValueError: If some of the three are given and others are not, or no such process can be.
      GroupError: If nothing says where the coordinator is, or it cannot be started.
    """
    given = (coordinator, processes, process)
    if None in given and given != (None, None, None):
        raise ValueError("of coordinator, processes and process some are missing; give all three, or none")
    if processes is not None and process is not None and not 0 <= process < processes:
        raise ValueError(f"process is {process} of {processes}; expected a number from 0 to {processes - 1}")
    if coordinator is not None and not coordinator.rpartition(":")[2].isdecimal():
        raise ValueError(f"coordinator is {coordinator!r}; expected HOST:PORT")
    # Otherwise JAX ends all processes when one dies.
    jax.config.update("jax_enable_recoverability", True)
    # Otherwise JAX keeps SIGTERM to itself, and the process lives on.
    jax.config.update("jax_enable_preemption_service", False)
    with _told_of_abort() as tell:
        state = _state()
        tell(
            lambda: (
                f"not all of {state.num_processes} processes came to the coordinator {state.coordinator_address} "
                f"within {wait} s; start each of them once, where that address can be reached"
            )
        )
        try:
            jax.distributed.initialize(
                coordinator,
                processes,
                process,
                cluster_detection_method=None if coordinator is None else "deactivate",
                initialization_timeout=max(1, wait - 5),  # JAX takes 5 s more than it is given
                heartbeat_timeout_seconds=heartbeat,
            )
        except ValueError as error:
            raise GroupError(
                f"nothing here says how many processes there are ({error}); give coordinator, processes and process"
            ) from error
        except RuntimeError as error:
            raise GroupError(f"the processes cannot be joined: {' '.join(str(error).split())}") from error
        tell(lambda: f"process 0, where the coordinator is, has ended or cannot be reached; {REMEDY}")
        try:
            # By then the others have ended in order, or been ended, or are counted as dead.
            with _grouped(wait=heartbeat + GRACE) as group:
                yield group
        finally:
            jax.distributed.shutdown()


@contextlib.contextmanager
def present() -> Iterator[Alone]:
    """Yields the group that this process is in: of `joined`, of its own `jax.distributed.initialize`, or none."""
    if _now:
        yield _now[-1]
    elif _state().client is None or _state().num_processes == 1:
        yield Alone()
    else:
        # Who has called initialize parts from the others as well.
        with _grouped(wait=0) as group:
            yield group


def is_said(environment: Mapping[str, str] = os.environ) -> bool:
    """Returns whether the environment says that this process is one of several that JAX can find.

    That is a step of Slurm or Open MPI with several tasks, a Cloud TPU slice of several hosts in Kubernetes, or an
    indexed Job of Kubernetes where the package `kubernetes` is installed. No network is asked.

    Example:
      >>> from jaxviz import distributed
      >>> distributed.is_said({"TPU_WORKER_HOSTNAMES": "host0,host1"})
      True
    """
    # srun alone sets SLURM_STEP_NODELIST: a batch script itself is one process.
    if "SLURM_STEP_NODELIST" in environment and "SLURM_PROCID" in environment:
        return int(environment.get("SLURM_NTASKS", "1")) > 1
    if "OMPI_MCA_orte_hnp_uri" in environment:
        return int(environment.get("OMPI_COMM_WORLD_SIZE", "1")) > 1
    hosts = environment.get("TPU_PROCESS_ADDRESSES") or environment.get("TPU_WORKER_HOSTNAMES", "")
    if "," in hosts:
        return True
    job = "KUBERNETES_SERVICE_HOST" in environment and "JOB_COMPLETION_INDEX" in environment
    return job and importlib.util.find_spec("kubernetes") is not None


@contextlib.contextmanager
def _grouped(wait: float) -> Iterator[Group]:
    state, error = _state(), None
    name = f"jaxviz/{next(_numbers)}"
    group = Group(state.client, name, state.process_id, state.num_processes)
    _now.append(group)
    try:
        group.start()
        yield group
    except BaseException as raised:
        error = raised
        raise
    finally:
        _now.remove(group)
        group.leave(error, wait)


def _state() -> Any:
    """Returns where JAX keeps its coordinator's client, which has no public name.

    What is public of it needs devices, and waits forever.
    """
    from jax._src import distributed

    return distributed.global_state


@contextlib.contextmanager
def _told_of_abort() -> Iterator[Callable[[Callable[[], str]], None]]:
    """Yields the setter of what is said when JAX's runtime ends this process.

    It does so by abort(), from a thread in C++, and its callback for this cannot take its own argument. What is
    left is the signal, whose handler has to be one of C, since Python's run in the main thread.
    """
    texts: list[Callable[[], str]] = []

    def told(number: int) -> None:
        os.write(2, f"jaxviz: {texts[-1]()}\n".encode())
        os._exit(1)

    if os.name != "posix":
        yield texts.append
        return
    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(told)
    set_handler = ctypes.CDLL(None).signal
    set_handler.restype, set_handler.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]
    before = set_handler(signal.SIGABRT, ctypes.cast(handler, ctypes.c_void_p))
    try:
        yield texts.append
    finally:
        set_handler(signal.SIGABRT, before)
