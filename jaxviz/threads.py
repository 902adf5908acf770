"""Compiled programs side by side in threads of the host, with the settings of the thread that asks for them."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax


def cores() -> int:
    """Returns how many of the processor's cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_SETTINGS: dict[str, Callable[[Any], Any]] = {
    "jax_enable_x64": jax.enable_x64,
    "jax_default_matmul_precision": jax.default_matmul_precision,
    "jax_disable_jit": jax.disable_jit,
    "jax_debug_nans": jax.debug_nans,
}
"""Settings of JAX that a `with` may have changed, for its own thread alone."""


@contextlib.contextmanager
def _settings(wanted: dict[str, Any]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for name, value in wanted.items():
            if getattr(jax.config, name) != value:
                stack.enter_context(_SETTINGS[name](value))
        yield


def side_by_side(function: Callable[[Any], Any], inputs: Iterable[Any], threads: int) -> list[Any]:
    """Returns a function's results for all inputs, computed in threads that have this one's settings."""
    here = {name: getattr(jax.config, name) for name in _SETTINGS}

    def one(value: Any) -> Any:
        with _settings(here):
            return function(value)

    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(one, value) for value in inputs]
        try:
            return [future.result() for future in waiting]
        finally:
            for future in waiting:
                future.cancel()
