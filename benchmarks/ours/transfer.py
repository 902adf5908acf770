"""Style transfer by L-BFGS, with colors in their box as the library has them, and free as PyTorch has them."""

import dataclasses
import time
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.ours import problems
from benchmarks.worker import Work
from jaxviz import optimization, optimizers


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns both."""
    problem, start = problems.style(options["size"], options["precision"])
    free = dataclasses.replace(problem, constraint=None)
    return {
        "": {
            "jaxviz": lambda: transfer(problem, start, options),
            "jaxviz, colors unbounded": lambda: transfer(free, start, options),
        }
    }


def transfer(problem, start, options) -> Work:
    """Returns the work of a run of `minimize`."""
    value = jax.jit(lambda z, problem: problem.loss(z, jax.random.key(0)))
    work = Work(lambda: None, facts={"loss_at_start": float(value(start, problem))})

    def call(steps=options["evaluations"]):
        found = optimization.minimize(problem, start, steps=steps, optimizer=optimizers.lbfgs(20))
        work.facts |= {
            "evaluations": int(found.evaluations),
            "loss_reached": float(value(found.value, problem)),
            "loss_reached_clipped_to_colors": float(value(jnp.clip(found.value, 0, 1), problem)),
            "loop_s": found.run_seconds,
        }

    began = time.perf_counter()
    call(options["warmup"])
    work.first = (time.perf_counter() - began, options["warmup"] / options["evaluations"])
    work.call = call
    work.result = lambda: {"loss_at_start": work.facts["loss_at_start"]}
    return work
