"""A field is fitted to the pictures of a scene: coarse to fine, in compiled steps, and can be gone on with."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array

from jaxviz._typing import Key, symbol
from jaxviz.radiance import occupancy as occupying
from jaxviz.radiance.field import Factors, Field, initialize, magnitude, nodes_for, resampled, roughness
from jaxviz.radiance.models import Model, background_of, model, within
from jaxviz.radiance.occupancy import Occupancy
from jaxviz.radiance.planning import Plan, Settings, changes, nodes_at, planned
from jaxviz.radiance.rays import whole
from jaxviz.radiance.rendering import render
from jaxviz.radiance.scenes import Cameras, Scene, Space
from jaxviz.sharding import AXIS
from jaxviz.training.stopping import stopped

ADAM = optax.scale_by_adam(b1=0.9, b2=0.99)
CHUNK = 16384
"""Rays of which it is found at a time whether they meet anything."""


class FitError(RuntimeError):
    """A fit that cannot go on; the message says what is left, and the remedy."""


@symbol
class State:
    """How a fit stands, beside its step.

    Attributes:
      field: As it is.
      moments: Of Adam.
      occupancy: Where the field is not empty.
    """

    field: Field
    moments: Any
    occupancy: Occupancy


@dataclasses.dataclass(frozen=True)
class Step:
    """How far a fit is, as `on_step` gets it.

    Attributes:
      step: Steps made, since the very beginning.
      psnr: In decibels, of the rays of the last steps that meet something.
      rays: Of a step.
      resolution: Nodes of the field along x, y and z.
      cut: Share of the rays of a step that found no place in its budget.
    """

    step: int
    psnr: float
    rays: int
    resolution: tuple[int, int, int]
    cut: float


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What a fit gave.

    Attributes:
      model: The scene.
      step: Steps made, since the very beginning.
      losses: Mean squared error of each step of this run, over the rays that meet something.
      seconds: Of this run, by what they were spent on: "compile" of first steps, "steps", "refresh".
      interrupted: Whether Ctrl-C or SIGTERM ended it.
    """

    model: Model
    step: int
    losses: np.ndarray
    seconds: Mapping[str, float]
    interrupted: bool


def fit(
    scene: Scene,
    settings: Settings | None = None,
    *,
    seed: int = 0,
    mesh: Mesh | None = None,
    tell_every: int = 20,
    start: tuple[State, int, Plan] | None = None,
    keep: Callable[[State, int, Plan], None] | None = None,
    keep_every: int = 500,
    on_step: Callable[[Step], None] | None = None,
) -> Fitted:
    r"""Fits a field to the pictures of a scene that are for fitting.

    .. math:: L = \frac{1}{3 n} \sum_r \lVert C(r) - c_r \rVert^2 + \lambda_1 |P, L|_1
              + \lambda_\sigma TV(P_\sigma) + \lambda_c TV(P_c)

    Every step takes random rays of those that meet something. What they meet is found again and again: where the
    field is empty nothing is computed, and its box shrinks to the rest. At steps that the settings tell it gets
    more nodes. Rays and where they are sampled depend on the seed and the number of the step alone.

    Args:
      scene: Its rays and colors.
      settings: What decides the result; None for those of the kind of scene, `Settings.of(scene)`.
      seed: Of field and rays.
      mesh: From `jaxviz.mesh`: devices that share the rays of each step.
      tell_every: Steps between calls of `on_step`.
      start: State, step and plan to go on from, as `keep` got them.
      keep: Called with the state every `keep_every` steps and at the end.
      keep_every: Steps.
      on_step: Called after every `tell_every` steps.

    Raises:
      FitError: If the loss is NaN or infinite, or no ray meets the field any more.
      ValueError: If a number is out of range.
    """
    settings = settings or Settings.of(scene)
    run = _Run(scene, settings, jax.random.key(seed), mesh)
    return run.go(start, tell_every, keep, keep_every, on_step)


class _Run:
    def __init__(self, scene: Scene, settings: Settings, key: Key, mesh: Mesh | None):
        self.settings, self.key, self.mesh, self.space = settings, key, mesh, scene.space
        self.cameras = jax.tree.map(jnp.asarray, scene.train.cameras)
        self.colors = jnp.asarray(scene.train.colors).reshape(-1, 3)
        self.share = 1.0
        self.seconds = {"compile": 0.0, "steps": 0.0, "refresh": 0.0}

    def go(
        self,
        start: tuple[State, int, Plan] | None,
        tell_every: int,
        keep: Callable[[State, int, Plan], None] | None,
        keep_every: int,
        on_step: Callable[[Step], None] | None,
    ) -> Fitted:
        settings, growth = self.settings, changes(self.settings)
        state, at, plan = start or self._begun()
        self.nodes = nodes_at(settings, at)
        kept = self._kept(state)
        losses: list[float] = []
        fresh = True
        with stopped() as stop:
            while at < settings.steps and not stop.is_set():
                began = time.perf_counter()
                if at in growth:
                    state = self._refreshed(state, growth[at])
                    kept, fresh = self._kept(state), True
                    plan = planned(settings, state.field.resolution, kept[2], plan, self._devices)
                    self.seconds["refresh"] += time.perf_counter() - began
                    began = time.perf_counter()
                state, told = self._step(state, plan, kept, at)
                error, used, shown, complete = (float(value) for value in told)
                self.seconds["compile" if fresh else "steps"] += time.perf_counter() - began
                fresh = False
                at += 1
                losses.append(error)
                if not math.isfinite(error):
                    raise FitError(f"the loss of step {at} is NaN or infinite; take a smaller learning rate")
                plan = dataclasses.replace(plan, visible=shown / max(used, 1.0))
                if on_step is not None and (at % tell_every == 0 or at == settings.steps):
                    recent = float(np.mean(losses[-tell_every:]))
                    cut = 1 - complete / plan.rays
                    on_step(
                        Step(at, -10 * math.log10(max(recent, 1e-12)), plan.rays, state.field.resolution, cut)
                    )
                if keep is not None and at % keep_every == 0 and at < settings.steps:
                    keep(state, at, plan)
        if keep is not None:
            keep(state, at, plan)
        occupancy = self._occupied(state.field)
        made = model(state.field, occupancy, self.space, self.cameras, step=settings.stride)
        return Fitted(made, at, np.asarray(losses), self.seconds, at < settings.steps)

    def _begun(self) -> tuple[State, int, Plan]:
        settings = self.settings
        box = np.asarray(self.space.box)
        field = initialize(
            self.key,
            box,
            nodes_for(box, settings.first_nodes**3),
            density_channels=settings.density_channels,
            color_channels=settings.color_channels,
        )
        state = State(field, ADAM.init(parameters_of(field)), occupying.full(field))
        return state, 0, planned(settings, field.resolution, settings.samples / 512, None, self._devices)

    @property
    def _devices(self) -> int:
        return 1 if self.mesh is None else self.mesh.size

    def _step(self, state: State, plan: Plan, kept: tuple[Array, Array, float], at: int) -> Any:
        rates = self.settings.learning_rate * self.settings.decay ** (at / self.settings.steps)
        key = jax.random.fold_in(self.key, at + 1)
        numbers = self.settings.numbers()
        return _stepped(
            (plan.budget, plan.rays, self.mesh),
            state,
            kept[:2],
            (self.cameras, self.space, self.colors),
            key,
            rates,
            numbers,
        )

    def _kept(self, state: State) -> tuple[Array, Array, float]:
        """Returns the rays that meet something, in an array of fixed length, their number, and mean samples."""
        steps = occupying.steps_through(state.field.resolution, 2 * self.settings.stride)
        total = self.colors.shape[0]
        counts = np.concatenate(
            [
                np.asarray(_met(state, self.cameras, self.space, jnp.int32(at), self.settings.stride, steps))
                for at in range(0, total, CHUNK)
            ]
        )[:total]
        there = np.flatnonzero(counts)
        if there.size == 0:
            raise FitError(
                "no ray meets anything that was fitted; check the poses, or take a smaller sparsity"
            )
        return (
            jnp.asarray(np.resize(there, total).astype(np.int32)),
            jnp.int32(there.size),
            2 * float(counts[there].mean()),
        )

    def _refreshed(self, state: State, nodes: int) -> State:
        found = self._occupied(state.field)
        if nodes == self.nodes:
            return State(state.field, state.moments, found)
        self.nodes = nodes
        box = np.asarray(state.field.box)
        if not self.space.forward:
            cells = np.argwhere(np.asarray(found.cells))
            spacing = (box[1] - box[0]) / (np.asarray(state.field.resolution) - 1)
            box = np.stack([box[0] + cells.min(0) * spacing, box[0] + cells.max(0) * spacing])
        field = resampled(state.field, jnp.asarray(box, jnp.float32), nodes_for(box, nodes**3))
        return State(field, ADAM.init(parameters_of(field)), self._occupied(field))

    def _occupied(self, field: Field) -> Occupancy:
        found = occupying.of_field(field)
        # Where nothing has grown yet, all is still to be looked at.
        return found if bool(found.cells.any()) else occupying.full(field)


def parameters_of(field: Field) -> tuple[Factors, Factors, Array]:
    """Returns what of a field is fitted."""
    return field.density, field.color, field.basis


def _with(field: Field, parameters: tuple[Factors, Factors, Array]) -> Field:
    return Field(*parameters, field.box, field.unit, field.resolution)


@functools.partial(jax.jit, static_argnums=5)
def _met(state: State, cameras: Cameras, space: Space, first: Array, stride: Any, steps: int) -> Array:
    """Returns how many samples of some rays, at double steps, are in occupied space."""
    h, w = cameras.size
    index = jnp.minimum(first + jnp.arange(CHUNK), cameras.poses.shape[0] * h * w - 1)
    rays = whole(cameras, within(space, state.field), index)
    return occupying.counted(state.field, state.occupancy, rays, step=2 * stride, steps=steps)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def _stepped(
    how: tuple[Any, int, Mesh | None], state: State, kept: Any, data: Any, key: Key, rate: Any, numbers: Any
) -> Any:
    _, count, _ = how
    space = data[1]
    one, two, three = jax.random.split(key, 3)
    index = kept[0][jax.random.randint(one, (count,), 0, kept[1])]
    shift = jax.random.uniform(two, (count,))
    # What lets the background through differs from step to step, and so cannot take part in a scene without one.
    background = background_of(space) if space.background == "white" else jax.random.uniform(three, (3,))
    return advanced(how, state, data, (index, shift, background), rate, numbers)


def advanced(
    how: tuple[Any, int, Mesh | None],
    state: State,
    data: tuple[Cameras, Space, Array],
    chosen: tuple[Array, Array, Array],
    rate: Any,
    numbers: Any,
) -> tuple[State, tuple[Array, ...]]:
    """Returns the state after a step on some rays, the mean squared error before it, and what it took.

    Args:
      how: Budget, number of rays, and devices that share them.
      state: As it is.
      data: Cameras, space, and the colors of all pixels.
      chosen: Which pixels, where in its steps each ray has its samples, and the background.
      rate: Of Adam, for planes and lines.
      numbers: As `Settings.numbers` has them.
    """
    budget, _, mesh = how
    cameras, space, colors = data
    index, shift, background = chosen
    field = state.field

    def squares(parameters: Any, index: Array, shift: Array) -> Any:
        made = _with(field, parameters)
        rays = whole(cameras, within(space, field), index)
        found = render(made, state.occupancy, rays, budget, background=background, shift=shift)
        errors = jnp.square(found.color - colors[index]).sum(1)
        complete = found.complete
        told = jnp.stack([found.samples, found.visible, complete.sum()]).astype(jnp.float32)
        return jnp.sum(errors * complete), told

    def of_part(parameters: Any, index: Array, shift: Array) -> Any:
        (total, told), slope = jax.value_and_grad(squares, has_aux=True)(parameters, index, shift)
        return jax.lax.psum((total, told, slope), AXIS) if mesh is not None else (total, told, slope)

    if mesh is not None:
        shared, split = PartitionSpec(), PartitionSpec(AXIS)
        of_part = jax.shard_map(
            of_part, mesh=mesh, in_specs=(shared, split, split), out_specs=shared, check_vma=False
        )
    parameters = parameters_of(field)
    total, told, slope = of_part(parameters, index, shift)
    elements = 3 * jnp.maximum(told[2], 1)

    def regular(parameters: Any) -> Any:
        density, color, _ = parameters
        return (
            numbers["sparsity"] * magnitude(density)
            + numbers["smoothness"] * roughness(density, field.resolution)
            + numbers["color_smoothness"] * roughness(color, field.resolution)
        )

    slope = jax.tree.map(lambda a, b: a / elements + b, slope, jax.grad(regular)(parameters))
    updates, moments = ADAM.update(slope, state.moments)
    rates = rate, rate, rate * numbers["basis_rate"]
    moved = tuple(
        jax.tree.map(lambda p, u, r=r: p - r * u, part, update)
        for part, update, r in zip(parameters, updates, rates, strict=True)
    )
    return State(_with(field, moved), moments, state.occupancy), (total / elements, *told)
