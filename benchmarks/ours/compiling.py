"""Techniques operation by operation, compiled, compiled for batches, and in the library's form for batches."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxviz
from benchmarks import workload
from benchmarks.ours import problems
from benchmarks.worker import Work
from jaxviz import optimization, optimizers
from jaxviz.batching import batched
from jaxviz.sharding import map_stacked


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns every form of one technique."""
    counts = options["counts"]
    most = max(counts)
    function, arguments, axes, evaluations = posed(options, most)

    def made(call, images: int, units: float) -> Work:
        def waited():
            return jax.block_until_ready(call())

        def result():
            if images < most:
                return {}
            found = np.asarray(waited())
            return {f"result of {images}": found.sum() if found.ndim == 1 else found}

        return Work(waited, units=units, result=result)

    def part(cut):
        return map_stacked(lambda leaf: leaf[cut], axes, arguments)

    def by_operations() -> Work:
        one = part(0)

        def call():
            with jax.disable_jit():
                return function(1)(*one)

        return made(call, 1, 1)

    def compiled() -> Work:
        one, program = part(0), jax.jit(function(evaluations))
        return made(lambda: program(*one), 1, evaluations)

    def mapped(count: int) -> Work:
        several, program = part(slice(count)), jax.jit(jax.vmap(function(evaluations), in_axes=axes))
        return made(lambda: program(*several), count, count * evaluations)

    def in_batches() -> Work:
        program = batched(function(evaluations), in_axes=axes)
        return made(lambda: program(*arguments), most, most * evaluations)

    return {
        "": {
            f"batched, {most}": in_batches,
            **{f"jit(vmap), {count}": lambda count=count: mapped(count) for count in counts},
            "jit": compiled,
            "operation by operation": by_operations,
        }
    }


def posed(options: dict[str, Any], count: int):
    """Returns evaluations → the function of one image, its stacked arguments, their axes, and evaluations."""
    technique, size = options["technique"], options["size"]
    if technique in ("saliency", "fgsm"):
        network = jax.device_put(jaxviz.load("squeezenet1_1", precision=options["precision"]))
        images = jax.device_put(workload.crops(count, size))
        labels = jnp.full(count, workload.LABEL, jnp.int32)
        method = jaxviz.saliency.gradient if technique == "saliency" else jaxviz.attacks.fgsm
        return (lambda evaluations: method), (network, images, labels), (None, 0, 0), 1
    problem, starts, axes = problems.batch(technique, count, size, options["precision"])

    def function(evaluations: int):
        def run(problem, start, key, optimizer):
            state = optimization.init(problem, start, optimizer, key)
            return optimization.advance(problem, state, evaluations).losses[evaluations - 1]

        return run

    arguments = (problem, starts, jax.random.key(0), optimizers.adam(workload.ADAM_RATE))
    return function, arguments, (axes, 0, None, None), options["evaluations"]
