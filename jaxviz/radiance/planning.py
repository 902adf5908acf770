"""What decides a fit: its settings, when its field grows, and how many rays a step takes."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxviz._checks import number, whole
from jaxviz.radiance.occupancy import steps_through
from jaxviz.radiance.rendering import Budget
from jaxviz.radiance.scenes import Scene

GROWTH = (0.12, 0.3)
"""When the field gets more nodes, in parts of all steps; each number of them compiles a program."""
LOOKS = (0.05, 0.6)
"""When it is looked at again where the field is empty, beside."""
FULL = 0.85
"""How much of a budget is to be used on average."""
MARGIN = 1.3
"""How many more samples may have a color than had one before."""
SLACK = 0.25
"""By how much the rays of a step may differ from what would be best, for a program to serve again."""
FEWEST, MOST = 256, 8192
"""Rays of a step."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What decides a fit.

    Attributes:
      steps: Of the optimizer.
      nodes: Of the field at the end: as many as a cube with so many along its side has.
      first_nodes: The same at the beginning.
      samples: Of a step, in occupied space.
      density_channels: Of each plane and line, for the density.
      color_channels: The same for colors.
      stride: Between samples, in nodes.
      learning_rate: Of planes and lines, at the beginning.
      basis_rate: That of the basis of colors, in parts of it.
      decay: What is left of the rates at the end.
      smoothness: λ of the total variation of the density's planes.
      color_smoothness: The same of the colors' planes.
      sparsity: λ of the mean absolute value of the density's planes and lines.
    """

    steps: int = 4000
    nodes: int = 128
    first_nodes: int = 40
    samples: int = 32768
    density_channels: int = 8
    color_channels: int = 24
    stride: float = 1.0
    learning_rate: float = 0.02
    basis_rate: float = 0.05
    decay: float = 0.1
    smoothness: float = 0.01
    color_smoothness: float = 0.001
    sparsity: float = 4e-5

    def __post_init__(self) -> None:
        for name in ("steps", "samples", "density_channels", "color_channels"):
            whole(getattr(self, name), name)
        whole(self.first_nodes, "first_nodes", 4), whole(self.nodes, "nodes", self.first_nodes)
        number(self.stride, "stride", 0.1, 8), number(self.learning_rate, "learning_rate", 0)
        for name in ("basis_rate", "decay", "smoothness", "color_smoothness", "sparsity"):
            number(getattr(self, name), name, 0)

    @classmethod
    def of(cls, scene: Scene, **changed: Any) -> "Settings":
        """Returns the settings for a kind of scene, some of them changed.

        Forward-facing scenes have few views and much air between them: their density is kept smoother.
        """
        forward = {"smoothness": 0.1, "color_smoothness": 0.01}
        return cls(**((forward if scene.space.forward else {}) | changed))

    def numbers(self) -> Mapping[str, Any]:
        """Returns what may vary without compiling."""
        names = ("smoothness", "color_smoothness", "sparsity", "basis_rate")
        return {name: jnp.float32(getattr(self, name)) for name in names}


@dataclasses.dataclass(frozen=True)
class Plan:
    """How the steps of a stage are made.

    Attributes:
      rays: Of a step.
      budget: Of samples, of each device.
      visible: Share of the samples that had a color.
    """

    rays: int
    budget: Budget
    visible: float


def changes(settings: Settings) -> dict[int, int]:
    """Returns at which steps the field is looked at again, and how many nodes it has after each.

    Example:
      >>> changes(Settings(steps=100, first_nodes=16, nodes=64))
      {5: 16, 12: 32, 30: 64, 60: 64}
    """
    grown = np.exp(np.linspace(np.log(settings.first_nodes), np.log(settings.nodes), len(GROWTH) + 1)[1:])
    at = {int(settings.steps * part): round(float(n)) for part, n in zip(GROWTH, grown, strict=True)}
    found, nodes = {}, settings.first_nodes
    for step in sorted({*at, *(int(settings.steps * part) for part in LOOKS)}):
        nodes = at.get(step, nodes)
        if step > 0:
            found[step] = nodes
    return found


def nodes_at(settings: Settings, step: int) -> int:
    """Returns how many nodes the field has along the side of a cube after so many steps."""
    return next((n for at, n in reversed(changes(settings).items()) if at < step), settings.first_nodes)


def planned(
    settings: Settings, resolution: tuple[int, int, int], mean: float, before: Plan | None, devices: int
) -> Plan:
    """Returns how many rays fill the samples of a step.

    Args:
      settings: Tell the number of samples.
      resolution: Of the field.
      mean: Samples of a ray.
      before: The plan until now, which stays where it is nearly as good; None at the beginning.
      devices: That share the rays.
    """
    # The same for any usual number of devices, so that each gives the same fit.
    unit = math.lcm(128, devices)
    best = FULL * settings.samples / max(mean, 1e-3)
    rays = int(np.clip(best // unit * unit, max(FEWEST // unit * unit, unit), max(MOST // unit * unit, unit)))
    if before is not None and abs(before.rays / rays - 1) < SLACK and before.rays % devices == 0:
        rays = before.rays
    steps = steps_through(resolution, settings.stride)
    samples = min(settings.samples, rays * steps) // devices
    visible = 1.0 if before is None else before.visible
    quarters = min(4, int(4 * MARGIN * visible) + 1)
    return Plan(rays, Budget(steps, samples, samples * quarters // 4, settings.stride), visible)
