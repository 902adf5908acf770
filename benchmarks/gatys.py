"""Value and gradient of the Gatys loss with VGG-16."""

import time

import jax
import numpy as np

from benchmarks import protocol, workload
from benchmarks.protocol import Settings, Side
from jaxviz import optimization, optimizers

TITLE = "Value and gradient of the Gatys loss, VGG-16"
UNIT = "one evaluation of value and gradient"
SIZES = (256, 512)
LOOP_SECONDS = 0.5


def run(settings: Settings) -> list[dict]:
    """Returns a row per size."""
    return [measured(size, settings) for size in ((64,) if settings.quick else SIZES)]


def measured(size: int, settings: Settings) -> dict:
    problem, start = workload.style_problem(size, settings)
    alone, found = lone(problem, start)
    loop = looped(problem, start)
    rivals, expected = torch_sides(size, settings)
    protocol.alternate([loop, alone, *rivals], settings.rounds(7))
    agreement = None if expected is None else compare(found(), expected())
    return protocol.row(f"{size}²", loop, [alone], rivals, size=size, agreement=agreement)


def lone(problem, start):
    """Returns the side that calls one compiled value and gradient, and what returns its result."""
    function = jax.jit(jax.value_and_grad(lambda z, problem, key: problem.loss(z, key)))
    arguments = (start, problem, jax.random.key(0))

    def found():
        value, gradient = jax.block_until_ready(function(*arguments))
        return float(value), np.asarray(gradient)

    return Side("jaxviz alone", lambda: jax.block_until_ready(function(*arguments))), found


def looped(problem, start) -> Side:
    """Returns the side that evaluates as the library does: inside its compiled loop, Adam's step included."""
    run = jax.jit(optimization.advance, donate_argnums=1)
    # Copied, since outputs of one program may share a buffer, which cannot be donated twice.
    initial = optimization.init(problem, start, optimizers.adam(), jax.random.key(0))
    state = jax.tree.map(lambda leaf: leaf.copy(), initial)
    side = Side("jaxviz in its loop", lambda: None)

    def call():
        nonlocal state
        state = jax.block_until_ready(run(problem, state, np.int32(side.units)))

    def fresh():
        nonlocal state
        state = jax.block_until_ready(jax.tree.map(lambda leaf: leaf.copy(), initial))

    side.call, side.prepare = call, fresh
    side.timed()
    side.units = 2
    began = time.perf_counter()
    side.timed()
    pace = (time.perf_counter() - began) / 2
    side.units = int(np.clip(LOOP_SECONDS / pace, 2, 256))
    return side


def torch_sides(size: int, settings: Settings):
    """Returns the sides of PyTorch, and what returns the result of one."""
    device = workload.torch_device(settings)
    if device is None:
        return [], None
    import torch

    from benchmarks.peers import torch_gatys as peer

    content, style = workload.pair(size)

    def side(name, layout, compiled=False):
        loss = peer.GatysLoss(content, style, device, layout)
        loss = torch.compile(loss, dynamic=False) if compiled else loss
        x = peer.tensor(content[None], device, layout)

        def call():
            result = peer.value_and_gradient(loss, x)
            peer.synchronize(device)
            return result

        return Side(f"torch {name}", call)

    sides = [side(f"eager, {name}", layout) for name, layout in peer.LAYOUTS.items()]

    def expected():
        value, gradient = sides[0].call()
        return float(value), peer.array(gradient)[0]

    if device == "cuda":
        chosen = protocol.fastest(
            {name: eager.timed for name, eager in zip(peer.LAYOUTS, sides, strict=True)}
        )
        sides += protocol.surviving([side(f"compiled, {chosen}", peer.LAYOUTS[chosen], True)])
    return sides, expected


def compare(found, expected) -> dict:
    """Returns how far the sides' results differ."""
    (value, gradient), (other, wanted) = found, expected
    return {
        "loss": [value, other],
        "value_relative_difference": abs(value - other) / abs(other),
        "gradient": protocol.agreement(gradient, wanted),
    }
