"""Texture synthesis, from pictures to a picture."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxviz._checks import shares as checked_shares
from jaxviz._typing import AnyImage, Array, Number
from jaxviz.colors import match_histogram
from jaxviz.memory import Plan
from jaxviz.networks import Network
from jaxviz.optimization import Interrupted, Solution
from jaxviz.optimizers import Optimizer
from jaxviz.techniques.pyramid import scaled, sizes_by_sqrt2, solve_pyramid
from jaxviz.techniques.solving import planned, schedule_of, seen_as, solve
from jaxviz.techniques.texture.posing import (
    checked_exemplars,
    chosen_layers,
    problem,
    size_of,
    stride_of,
)
from jaxviz.techniques.texture.presets import PRESETS

schedule = schedule_of(PRESETS)


def synthesize(
    network: Network,
    exemplar: AnyImage | Sequence[AnyImage],
    *,
    preset: str = "default",
    steps: int | None = None,
    optimizer: Optimizer | None = None,
    pyramid: int | None = None,
    memory: str | int | float | Plan | None = None,
    window: int | None = None,
    snapshot: str | Path | None = None,
    snapshot_every: int = 100,
    resume: bool = False,
    mesh: Mesh | None = None,
    on_chunk: Callable[[Solution], None] | None = None,
    **options: Any,
) -> Solution:
    """Returns a texture like an exemplar; its `value` is the image, [height, width, 3], in [0, 1].

    Args:
      network: Φ.
      exemplar: y, RGB, float32, [h, w, 3], in [0, 1]; or several.
      preset: "default" or "paper". With "paper" the result gets the exemplar's histogram of each channel; of
        several exemplars one between theirs, :math:`\\sum_k s_k F_k^{-1}`, with F the distribution of a channel and
        s the shares. The losses are those before.
      steps: Evaluations; None for the preset's 300 or 2000. With a pyramid, of each scale.
      optimizer: None for the preset's L-BFGS.
      pyramid: Longer side in pixels of the coarsest of several scales, of texture and exemplars together, each of
        twice the pixels: what is larger than the deepest layer sees becomes like the exemplar too. None for one.
      memory: What the run may take, such as "4GB", the process on a CPU included: a texture that needs more is seen
        through windows. None for what the device has; or a plan, as `solving.planned` returns it.
      window: About how many pixels are seen at a time, down and across; None for what `memory` allows.
      snapshot: File to keep the run's state in, to go on from after a kill; None for none.
      snapshot_every: Evaluations between two snapshots, at least 1.
      resume: Whether to go on from the snapshot where it exists.
      mesh: Devices that share the rows of the picture, `jaxviz.mesh(n, rows=n)`; None for one device.
      on_chunk: As for `minimize`.
      options: As for `problem`.

    Raises:
      KeyError, ValueError, Interrupted: As `problem`, `minimize` and `snapshots.minimize` do; ValueError if an
        exemplar is too small for the layers at the coarsest scale, or the memory: the message says the least that
        would do.

    Example:
      >>> network = jaxviz.load("vgg16")
      >>> exemplar = jnp.full((32, 32, 3), 0.5)
      >>> jaxviz.texture.synthesize(network, exemplar, size=(32, 48), up_to="pool1", steps=1).value.shape
      (32, 48, 3)
    """
    if pyramid is not None and pyramid < 1:
        raise ValueError(f"pyramid is {pyramid}; expected at least 1 pixel")
    given = {**options, "preset": preset}
    sides = size_of(exemplar, options.get("size"))
    # A tileable texture is seen whole; whether that fits is asked where a memory is named.
    if window is None and not (options.get("tileable") and memory is None):
        made = planned(
            problem,
            schedule,
            network,
            exemplar,
            shape=sides,
            memory=memory,
            optimizer=optimizer,
            mesh=mesh,
            **given,
        )
        network, window = seen_as(network, made, None)
    given["window"] = window
    shares = options.get("shares")
    kept: dict[str, Any] = {"snapshot": snapshot, "every": snapshot_every, "resume": resume, "mesh": mesh}
    try:
        if pyramid is None:
            posed, start = problem(network, exemplar, **given)
            evaluations, chosen = schedule(start, preset=preset, steps=steps, optimizer=optimizer)
            found = solve(posed, start, steps=evaluations, optimizer=chosen, on_chunk=on_chunk, **kept)
        else:
            whole = jax.ShapeDtypeStruct((*sides, 3), jnp.float32)
            evaluations, chosen = schedule(whole, preset=preset, steps=steps, optimizer=optimizer)
            pose, sizes = _scales(network, exemplar, sides, pyramid, given)
            found = solve_pyramid(pose, sizes, evaluations, chosen, on_chunk=on_chunk, **kept)
    except Interrupted as interruption:
        raise Interrupted(_colored(interruption.solution, exemplar, shares, preset)) from None
    return _colored(found, exemplar, shares, preset)


def strip(
    network: Network,
    exemplar: AnyImage | Sequence[AnyImage],
    *,
    layers: Sequence[str] | None = None,
    on_chunk: Callable[[str, Solution], None] | None = None,
    **options: Any,
) -> dict[str, Solution]:
    """Returns a texture for each layer: of the statistics up to it, more of the exemplar with each [1, figure 2].

    Args:
      network: Φ.
      exemplar: As for `synthesize`.
      layers: Of those that count, in this order; None for all of them.
      on_chunk: Called about twice a second with the layer and the solution so far.
      options: As for `synthesize`, all but `up_to`.

    Raises:
      KeyError, ValueError, Interrupted: As `synthesize` does.

    References:
      [1] Gatys, Ecker, Bethge. Texture Synthesis Using Convolutional Neural Networks. NeurIPS 2015.

    Example:
      >>> exemplar = jnp.full((32, 32, 3), 0.5)
      >>> found = jaxviz.texture.strip(jaxviz.load("vgg16"), exemplar, layers=["relu1_1", "pool1"], steps=1)
      >>> {layer: solution.value.shape for layer, solution in found.items()}
      {'relu1_1': (32, 32, 3), 'pool1': (32, 32, 3)}
    """
    chosen = chosen_layers(network, options.get("weights"), None, options.get("preset", "default"))
    found = {}
    for layer in [layer for layer in network.layers if layer in chosen] if layers is None else layers:
        told = None if on_chunk is None else lambda solution, layer=layer: on_chunk(layer, solution)
        found[layer] = synthesize(network, exemplar, up_to=layer, on_chunk=told, **options)
    return found


def _scales(
    network: Network, exemplar: Any, size: tuple[int, ...], smallest: int, given: dict[str, Any]
) -> tuple[Callable[[int], Any], list[int]]:
    """Returns what poses the problem at a scale, and the longer sides of all of them."""
    longest = max(size)
    sizes = sizes_by_sqrt2(min(smallest, longest), longest)
    pictures = checked_exemplars(exemplar)
    steps = (1, 1)
    if given.get("tileable"):
        layers = chosen_layers(network, given.get("weights"), given.get("up_to"), given["preset"])
        steps = stride_of(network, tuple(layers))

    def pose(side: int) -> Any:
        scale = side / longest

        h, w = (max(1, round(n * scale / step)) * step for n, step in zip(size, steps, strict=True))
        return problem(network, [scaled(picture, scale) for picture in pictures], **{**given, "size": (h, w)})

    return pose, sizes


def _colored(
    found: Solution, exemplar: AnyImage | Sequence[AnyImage], shares: Sequence[Number] | None, preset: str
) -> Solution:
    if PRESETS[preset].values["histogram"] == "as found" or not found.finite:
        return found
    pictures = checked_exemplars(exemplar)
    parts = checked_shares(shares, len(pictures), "exemplar")
    matched: list[Array] = [match_histogram(found.value, picture) for picture in pictures]
    value = sum(part * picture for part, picture in zip(parts, matched, strict=True))
    return dataclasses.replace(found, value=value if len(matched) > 1 else matched[0])
