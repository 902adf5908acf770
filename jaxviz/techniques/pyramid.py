"""Coarse to fine: the same problem at growing sizes, each begun where the one before it has ended."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxviz import images, snapshots
from jaxviz._typing import Array
from jaxviz.optimization import Interrupted, Solution, minimize, settled, state_shapes
from jaxviz.optimizers import Averaged, Optax, Optimizer
from jaxviz.stepping import State, init


@dataclasses.dataclass(frozen=True, repr=False)
class PyramidSolution(Solution):
    """What a run over scales found: the solution of the last, with the losses and counts of all.

    Attributes:
      scales: Height, width and evaluations of each scale, in order.
    """

    scales: tuple[tuple[int, int, int], ...] = ()


def sizes_by_sqrt2(smallest: int, largest: int) -> list[int]:
    r"""Returns sizes that grow by the square root of 2 up to the largest: each scale has twice the pixels.

    .. math:: \mathrm{round}(\mathrm{largest} / 2^{i/2}) \ge \mathrm{smallest}

    Args:
      smallest: Below which no size lies, at least 1.
      largest: The last size, at least `smallest`.

    Raises:
      ValueError: If a number is out of range.

    References:
      crowsonkb, style-transfer-pytorch, 2021, gen_scales.

    Example:
      >>> sizes_by_sqrt2(128, 512)
      [128, 181, 256, 362, 512]
    """
    if not 1 <= smallest <= largest:
        raise ValueError(f"smallest is {smallest} and largest {largest}; expected 1 ≤ smallest ≤ largest")
    sizes: list[int] = []
    while (size := round(largest / 2 ** (len(sizes) / 2))) >= smallest:
        sizes.append(size)
    # Near 1, rounding repeats sizes.
    return sorted(set(sizes))


def scaled(picture: Any, factor: float) -> Array:
    """Returns a picture [h, w, 3], or a mask [h, w], with sides multiplied by a factor, at least 1 pixel each."""
    values = np.asarray(picture, np.float32)
    h, w = (max(1, round(n * factor)) for n in values.shape[:2])
    whole = values if values.ndim == 3 else np.repeat(values[..., None], 3, -1)
    resized = images.resize(whole, h, w)
    return jnp.asarray(resized if values.ndim == 3 else resized[..., 0])


def solve_pyramid(
    pose: Callable[[Any], tuple[Any, Any]],
    sizes: Sequence[Any],
    steps: int | Sequence[int],
    optimizer: Any = None,
    *,
    key: Any = None,
    on_chunk: Callable[[Solution], None] | None = None,
    snapshot: str | Path | None = None,
    every: int = 100,
    resume: bool = False,
    mesh: Mesh | None = None,
) -> PyramidSolution:
    r"""Returns the solution at the last of several sizes, each of which starts from the one before.

    .. math:: z_0^{(i+1)} = P_C \left( \mathrm{resize}(z^{*(i)}) \right)

    bicubically (the cubic of -1/2). The optimizer begins a scale with what it has learned in the one before:
    Adam's mean of gradients is resized bicubically, that of their squares bilinearly and kept at 0 or above,
    and its count goes on. `averaged` begins a new average at the new start, L-BFGS an empty history: pairs of
    another size do not fit.

    Args:
      pose: From a size to its problem and start, as the `problem` of a technique returns them. The start's
        shapes are those of the scale; its numbers count at the first size only. Arrays [h, w, c] may differ
        in shape from scale to scale, anything else not.
      sizes: What `pose` takes, from coarse to fine: numbers, or pairs of them; at least one.
      steps: Evaluations in each scale, or a list with those of every scale.
      optimizer: From `optimizers`; None stands for `lbfgs()`.
      key: Seeds what random losses draw, in each scale other numbers; None stands for `jax.random.key(0)`.
      on_chunk: Called about twice a second with the solution so far, of all scales.
      snapshot: File to keep the state in, as `snapshots.minimize` does; None for none.
      every: Evaluations between two snapshots; one more is written at the end of each scale.
      resume: Whether to go on from the snapshot where it exists, at its scale.
      mesh: Devices that share the rows of each scale, `jaxviz.mesh(n, rows=n)`; None for one device.

    Returns:
      The solution. It ends with a scale whose result is not finite.

    Raises:
      ValueError: If there is no size, or `steps` has another length or is negative.
      SnapshotError: As `snapshots.minimize` does.
      Interrupted: On Ctrl-C, with the best of the scale at which it happened.

    References:
      Gatys, Ecker, Bethge, Hertzmann, Shechtman. Controlling Perceptual Factors in Neural Style Transfer.
        CVPR 2017, section 6.
      crowsonkb, style-transfer-pytorch, 2021.

    Example:
      >>> network, picture = jaxviz.load("vgg16"), np.full((24, 24, 3), 0.5, np.float32)
      >>> def pose(size):
      ...     return jaxviz.inversion.problem(network, jaxviz.images.fit_longer(picture, size), layer="relu1_1")
      >>> solve_pyramid(pose, [16, 24], 2, jaxviz.optimizers.adam()).scales
      ((16, 16, 2), (24, 24, 2))
    """
    each = [int(steps)] * len(sizes) if isinstance(steps, int | np.integer) else [int(n) for n in steps]
    if not sizes or len(each) != len(sizes) or min(each) < 0:
        raise ValueError(f"there are {len(sizes)} sizes and steps {each}; expected steps ≥ 0 for each size")
    optimizer, key = settled(optimizer, key)
    saved, before, memory = None, None, None
    if snapshot is not None:
        snapshots.check_writable(snapshot)
        if resume and Path(snapshot).exists():
            saved = snapshots.load(snapshot)
            before = _from_snapshot(saved, len(sizes))
    i = 0 if before is None else len(before.scales)
    while True:
        try:
            problem, z = pose(sizes[i])
        except KeyboardInterrupt:
            if before is None or before.value is None:
                raise
            raise Interrupted(before) from None
        own_key = jax.random.fold_in(key, i)
        marks = {}
        if snapshot is not None:
            plan = {"sizes": np.asarray(sizes), "steps": np.asarray(each)}
            marks = snapshots.fingerprint(problem=problem, z=z, optimizer=optimizer, key=key, **plan)
        start, begun = z, None
        if saved is not None:
            saved.check(marks)
            shapes = state_shapes(problem, z, optimizer=optimizer, key=own_key)
            begun, saved = (saved.state(shapes), saved.losses), None
        elif before is not None:
            start = jax.tree.map(_resized, before.value, z)
            if memory is not None and carries(optimizer):
                state = jax.jit(init)(problem, start, optimizer, own_key)
                warm = warmed(optimizer, memory, state.memory)
                begun = dataclasses.replace(state, memory=warm), np.zeros(0, np.float32)
        keeper = _Keeper(snapshot, before, marks)
        try:
            found = minimize(
                problem,
                start,
                steps=each[i],
                key=own_key,
                optimizer=optimizer,
                state=begun,
                on_chunk=_reporting(on_chunk, before, z),
                on_state=keeper,
                every=None if snapshot is None else every,
                mesh=mesh,
            )
        except Interrupted as interruption:
            raise Interrupted(_joined(before, interruption.solution, z)) from None
        before, memory = _joined(before, found, z), keeper.memory
        if i == len(sizes) - 1 or not found.finite:
            return before
        i += 1


def carries(optimizer: Optimizer) -> bool:
    """Returns whether an optimizer begins a scale with what it has learned in the one before."""
    return isinstance(optimizer, Optax) or (isinstance(optimizer, Averaged) and carries(optimizer.optimizer))


def warmed(optimizer: Optimizer, memory: Any, fresh: Any) -> Any:
    """Returns what an optimizer remembers of one scale, for the next.

    Args:
      optimizer: What the memories are of.
      memory: At the end of a scale.
      fresh: As `init` returns it at the next.
    """
    if isinstance(optimizer, Averaged):
        return dataclasses.replace(fresh, inner=warmed(optimizer.optimizer, memory.inner, fresh.inner))
    if not isinstance(optimizer, Optax):
        return fresh

    def moved(path: Any, old: Any, new: Any) -> Any:
        # Optax calls means of squares nu; an overshoot below 0 would have no square root.
        squares = any(str(getattr(part, "name", "")).startswith("nu") for part in path)
        resized = _resized(old, new, "linear" if squares else "cubic")
        return jnp.maximum(resized, 0) if squares else resized

    return jax.tree_util.tree_map_with_path(moved, memory, fresh)


class _Keeper:
    """Holds the memory at the end of a scale, and writes the snapshots on the way."""

    def __init__(self, path: str | Path | None, before: PyramidSolution | None, marks: Any):
        self.path, self.before, self.marks = path, before, marks
        self.memory: Any = None

    def __call__(self, state: State, losses: np.ndarray) -> None:
        self.memory = state.memory
        if self.path is not None:
            before = self.before
            about: dict[str, Any] = {"scales": [], "rejections": 0, "restarts": 0}
            if before is not None:
                about["scales"] = before.scales
                about |= {"rejections": int(before.rejections), "restarts": int(before.restarts)}
            arrays = {"losses before": np.zeros(0, np.float32) if before is None else before.losses}
            snapshots.save(self.path, state, losses, self.marks, arrays=arrays, about=about)


def _from_snapshot(saved: snapshots.Saved, count: int) -> PyramidSolution | None:
    """Returns what there was before the scale of the snapshot, without its value."""
    about, losses = saved.about, saved.arrays.get("losses before")
    if losses is None:
        raise snapshots.SnapshotError(f"{saved.path} is of a run without scales; choose another file")
    if len(about["scales"]) >= count:
        raise snapshots.SnapshotError(
            f"{saved.path} is of a run with other settings: it is at scale {len(about['scales']) + 1}, and "
            f"there are {count} sizes here"
        )
    if not about["scales"]:
        return None
    return PyramidSolution(
        value=None,
        losses=losses,
        finite=np.asarray(True),
        evaluations=np.asarray(len(losses), np.int32),
        rejections=np.asarray(about["rejections"], np.int32),
        restarts=np.asarray(about["restarts"], np.int32),
        scales=tuple((h, w, n) for h, w, n in about["scales"]),
    )


def _joined(before: PyramidSolution | None, found: Solution, z: Any) -> PyramidSolution:
    """Returns the solution of one scale with the losses, counts and seconds of those before it."""
    height, width = next((np.shape(leaf)[:2] for leaf in jax.tree.leaves(z) if np.ndim(leaf) == 3), (0, 0))
    fields = {field.name: getattr(found, field.name) for field in dataclasses.fields(Solution)}
    scale = int(height), int(width), int(found.evaluations)
    if before is None:
        return PyramidSolution(**fields, scales=(scale,))
    for name in ("evaluations", "rejections", "restarts"):
        fields[name] = np.asarray(getattr(before, name) + fields[name])
    for name in ("compile_seconds", "run_seconds"):
        fields[name] += getattr(before, name)
    fields["losses"] = np.concatenate([before.losses, found.losses])
    return PyramidSolution(**fields, scales=(*before.scales, scale))


def _reporting(
    on_chunk: Callable[[Solution], None] | None, before: PyramidSolution | None, z: Any
) -> Callable[[Solution], None] | None:
    return None if on_chunk is None else lambda found: on_chunk(_joined(before, found, z))


def _resized(old: Any, new: Any, how: str = "cubic") -> Any:
    """Returns `old` in the shape of `new`."""
    if jnp.shape(old) == jnp.shape(new):
        return old
    if jnp.ndim(old) != 3 or jnp.ndim(new) != 3 or old.shape[2] != new.shape[2]:
        raise ValueError(
            f"an array of shape {list(jnp.shape(old))} is {list(jnp.shape(new))} at the next size; "
            "only [height, width, channels] can change from size to size"
        )
    return jax.image.resize(old, new.shape, how)
