"""Style transfer until it is at the loss that PyTorch has reached, and left in the scratch folder."""

import contextlib
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxviz
from benchmarks.ours import problems
from benchmarks.worker import Work
from jaxviz import optimizers, preconditioners


class Reached(Exception):
    """Ends a run."""


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns L-BFGS with the learned preconditioner, with colors free as PyTorch's are, and without it."""
    problem, start = problems.style(options["size"], options["precision"])
    target = json.loads((Path(options["scratch"]) / f"descent-{options['size']}.json").read_text())
    free = dataclasses.replace(problem, constraint=None)
    spectral = optimizers.lbfgs(preconditioner=preconditioners.spectral())
    kinds = {
        "jaxviz, spectral": (problem, spectral),
        "jaxviz, spectral, colors unbounded": (free, spectral),
        "jaxviz, lbfgs": (problem, optimizers.lbfgs()),
    }
    return {
        "": {
            name: lambda posed=posed, optimizer=optimizer: descent(posed, start, optimizer, target, options)
            for name, (posed, optimizer) in kinds.items()
        }
    }


def descent(problem, start, optimizer, target, options) -> Work:
    """Returns the work of a run that ends when it is there, or after all evaluations."""
    value = jax.jit(lambda z, problem: problem.loss(z, jax.random.key(0)))
    shown = problem.constraint is not None  # such losses are those of pictures that can be shown
    work = Work(lambda: None, facts={"loss_at_start": float(value(start, problem))})

    def call(steps=options["evaluations"]):
        found, began = None, time.perf_counter()
        work.facts.pop("seconds_to_clipped", None)

        def on_chunk(solution):
            nonlocal found
            found, lowest = solution, np.fmin.reduce(solution.losses, initial=np.inf)
            if shown and lowest <= target["clipped"]:
                work.facts.setdefault("seconds_to_clipped", time.perf_counter() - began)
            if lowest <= target["lowest"]:
                raise Reached

        with contextlib.suppress(Reached):
            found = jaxviz.minimize(problem, start, steps=steps, optimizer=optimizer, on_chunk=on_chunk)
        lowest = np.minimum.accumulate(found.losses)
        for name in ("lowest", "clipped") if shown else ("lowest",):
            there = lowest <= target[name]
            work.facts[f"evaluations_to_{name}"] = int(there.argmax()) + 1 if there.any() else None
        work.facts |= {
            "evaluations": len(lowest),
            "reached": bool(lowest[-1] <= target["lowest"]),
            "loss_reached": float(lowest[-1]),
            "loss_reached_clipped_to_colors": float(value(np.clip(found.value, 0, 1), problem)),
            "rejections": int(found.rejections),
            "seconds": time.perf_counter() - began,
        }

    began = time.perf_counter()
    call(options["warmup"])
    work.first = (time.perf_counter() - began, 0)
    work.call = call
    work.result = lambda: {"loss_at_start": work.facts["loss_at_start"]}
    return work
