"""The derivative rules that the library states for this device, and the automatic ones in their place."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax import lax

import jaxviz
from benchmarks import workload
from benchmarks.ours import gatys, problems
from benchmarks.worker import Work


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns both, of what the options name."""
    return {
        "": {
            "own rules": lambda: made(options),
            "automatic rules": lambda: with_automatic(options),
        }
    }


def made(options: dict[str, Any]) -> Work:
    """Returns the work of a gradient of the Gatys loss, or of a batch of maps."""
    if options["technique"] == "gatys":
        problem, start = problems.style(options["size"], options["precision"])
        call = gatys.evaluation(problem, start)
        return Work(call, result=lambda: {"gradient": np.asarray(call()[1])})
    network = jax.device_put(jaxviz.load("squeezenet1_1", precision=options["precision"]))
    images = jax.device_put(workload.crops(options["batch"], options["size"]))
    maps = jax.jit(jax.vmap(lambda image: jaxviz.saliency.gradient(network, image, workload.LABEL)))
    return Work(
        lambda: jax.block_until_ready(maps(images)), result=lambda: {"gradient": np.asarray(maps(images))}
    )


def with_automatic(options: dict[str, Any]) -> Work:
    """Returns the work with XLA's own derivatives, which are chosen while the first call is traced."""
    with automatic():
        work = made(options)
        work.first = (work.timed(), work.units)
    return work


@contextlib.contextmanager
def automatic() -> Iterator[None]:
    """Lets every choice among platforms be that of platforms without rules of their own."""
    platform_dependent = lax.platform_dependent

    def default(*arguments: Any, default: Any, **branches: Any) -> Any:
        return default(*arguments)

    lax.platform_dependent = default
    try:
        yield
    finally:
        lax.platform_dependent = platform_dependent
