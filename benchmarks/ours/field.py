"""A step of `jaxviz field fit`: rays, samples in occupied space, their colors, the gradient, and Adam's update."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import fields
from benchmarks.worker import Work
from jaxviz.radiance import fitting, planning
from jaxviz.radiance.field import Factors, Field
from jaxviz.radiance.occupancy import Occupancy
from jaxviz.radiance.scenes import Cameras, Space

SAMPLES = 68
"""Of a ray, for which there is room: 58 are in occupied space, and a fit leaves so much to spare."""


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the step."""
    return {"": {"jaxviz": lambda: made(options)}}


def made(options: dict[str, Any]) -> Work:
    """Returns the work of a step, and the losses of the first two."""
    nodes, count = options["nodes"], options["rays"]
    given, seen = fields.tables(nodes), fields.rays(count)
    box = np.array([[-1.0] * 3, [1.0] * 3], np.float32)
    density, color = (
        Factors(given[f"{name} planes"].reshape(-1, n), given[f"{name} lines"].reshape(-1, n))
        for name, n in (("density", 8), ("color", 24))
    )
    unit = np.float32(fields.STEEPNESS / np.linalg.norm(box[1] - box[0]))
    field = Field(density, color, given["basis"], box, unit, (nodes,) * 3)
    lens = np.tile(
        np.float32([fields.FOCAL, fields.FOCAL, fields.SIDE / 2, fields.SIDE / 2]), (fields.VIEWS, 1)
    )
    cameras = Cameras(fields.poses(), lens, (fields.SIDE, fields.SIDE))
    space = Space(box, np.float32(fields.NEAR), np.zeros(3, np.float32), False, "white")
    cells = fields.occupied(given)
    samples = count * SAMPLES
    budget = planning.Budget(fields.steps_through(nodes), samples, samples, 1.0)
    numbers = planning.Settings(
        sparsity=fields.SPARSITY,
        smoothness=fields.SMOOTHNESS,
        color_smoothness=fields.COLOR_SMOOTHNESS,
        basis_rate=fields.BASIS_RATE,
    ).numbers()
    data = jax.device_put((cameras, space, seen["colors"]))
    chosen = jax.device_put((seen["index"], seen["shift"], jnp.ones(3)))
    program = jax.jit(fitting.advanced, static_argnums=0, donate_argnums=1)

    def fresh():
        placed = jax.tree.map(jnp.array, field)
        moments = fitting.ADAM.init(fitting.parameters_of(placed))
        return fitting.State(placed, moments, Occupancy(jnp.asarray(cells)))

    state = fresh()

    def call():
        nonlocal state
        state, told = jax.block_until_ready(
            program((budget, count, None), state, data, chosen, fields.RATE, numbers)
        )
        return told

    def result():
        nonlocal state
        state = fresh()
        first, second = call(), call()
        if float(first[3]) < count:
            raise ValueError(f"of {count} rays {first[3]:.0f} found a place among {samples} samples")
        return {"loss": float(first[0]), "loss after a step": float(second[0])}

    facts = {"samples": float(call()[1])}
    state = fresh()
    return Work(call, result=result, facts=facts)
