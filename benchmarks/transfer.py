"""Style transfer by L-BFGS: a fixed number of evaluations on both sides, from the same start."""

import dataclasses
import functools
import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import protocol, workload
from benchmarks.protocol import Settings, Side
from jaxviz import optimization, optimizers

TITLE = "Style transfer by L-BFGS, memory 20, VGG-16"
UNIT = "one run"
SIZE, EVALUATIONS = 256, 160
WARMUP = 3


def run(settings: Settings) -> list[dict]:
    """Returns one row."""
    size, evaluations = (64, 10) if settings.quick else (SIZE, EVALUATIONS)
    problem, start = workload.style_problem(size, settings)
    value = jax.jit(lambda z, problem: problem.loss(z, jax.random.key(0)))
    boxed = jaxviz_side("jaxviz", problem, start, evaluations)
    free = jaxviz_side(
        "jaxviz, colors unbounded", dataclasses.replace(problem, constraint=None), start, evaluations
    )
    rivals = torch_sides(size, evaluations, settings)
    protocol.alternate([boxed, free, *rivals], settings.rounds(2), warmups=0)
    for side in (boxed, free, *rivals):
        image = side.facts.pop("image")
        side.facts["loss_reached"] = float(value(jnp.asarray(image), problem))
        side.facts["loss_reached_clipped_to_colors"] = float(value(jnp.clip(image, 0, 1), problem))
    return [
        protocol.row(
            f"{size}², {evaluations} evaluations",
            boxed,
            [free],
            rivals,
            size=size,
            evaluations=evaluations,
            loss_at_start=float(value(start, problem)),
        )
    ]


def jaxviz_side(name, problem, start, evaluations) -> Side:
    """Returns the side of `minimize`; the box of colors is the library's default, and PyTorch has none."""
    side = Side(name, lambda: None)

    def call(steps=evaluations):
        solution = optimization.minimize(problem, start, steps=steps, optimizer=optimizers.lbfgs(20))
        side.facts |= {
            "image": np.asarray(solution.value),
            "evaluations": int(solution.evaluations),
            "loop_s": solution.run_seconds,
            "setup_s": solution.compile_seconds,
        }

    side.call = call
    return warmed(side, evaluations)


def warmed(side: Side, evaluations: int) -> Side:
    """Returns the side after a run of a few evaluations, which compiles."""
    began = time.perf_counter()
    side.call(WARMUP)
    side.first = (time.perf_counter() - began, WARMUP / evaluations)
    return side


def torch_sides(size, evaluations, settings: Settings) -> list[Side]:
    """Returns torch.optim.LBFGS in the layout that is the faster for a few evaluations; on a GPU, compiled too."""
    device = workload.torch_device(settings)
    if device is None:
        return []
    import torch

    from benchmarks.peers import torch_gatys as peer

    content, style = workload.pair(size)

    def side(name, layout, compiled=False):
        loss = peer.GatysLoss(content, style, device, layout)
        loss = torch.compile(loss, dynamic=False) if compiled else loss
        side = Side(f"torch.optim.LBFGS {name}", lambda: None)

        def call(steps=evaluations):
            image, losses = peer.minimize(loss, peer.tensor(content[None], device, layout), steps)
            side.facts |= {"image": peer.array(image)[0], "evaluations": len(losses)}

        side.call = call
        return side

    both = {
        name: warmed(side(f"eager, {name}", layout), evaluations) for name, layout in peer.LAYOUTS.items()
    }
    chosen = protocol.fastest({name: functools.partial(eager.call, 4) for name, eager in both.items()})
    sides = [both[chosen]]
    if device == "cuda":
        compiled = side(f"compiled, {chosen}", peer.LAYOUTS[chosen], True)
        sides += protocol.surviving([compiled], lambda side: warmed(side, evaluations))
    return sides
