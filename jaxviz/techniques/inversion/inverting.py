"""Feature inversion, from a picture to a picture, or to several."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxviz._typing import Image
from jaxviz.memory import Plan
from jaxviz.networks import Network
from jaxviz.optimization import Solution, minimize
from jaxviz.optimizers import Optimizer
from jaxviz.techniques.inversion.posing import Layers, inverted_layers, problem, start
from jaxviz.techniques.inversion.presets import PRESETS
from jaxviz.techniques.solving import over_rows, planned, schedule_of, seen_as, solve

STRIP = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
"""The last features of each of VGG-16's five stages."""
schedule = schedule_of(PRESETS)


def invert(
    network: Network,
    image: Image,
    *,
    layer: Layers,
    preset: str = "default",
    steps: int | None = None,
    optimizer: Optimizer | None = None,
    memory: str | int | float | Plan | None = None,
    window: int | None = None,
    snapshot: str | Path | None = None,
    snapshot_every: int = 100,
    resume: bool = False,
    mesh: Mesh | None = None,
    on_chunk: Callable[[Solution], None] | None = None,
    **options: Any,
) -> Solution:
    """Returns the inversion of an image's features of one layer or more; its `value` is the image found.

    Args:
      network: Φ.
      image: x₀, RGB, float32, [h, w, 3], in [0, 1].
      layer: The tap to invert, or several, or weights by tap.
      preset: "default" or "paper".
      steps: Evaluations; None for the preset's 200 or 400.
      optimizer: None for the preset's.
      memory: What the run may take, such as "4GB", the process on a CPU included: a picture that needs more is seen
        through windows. None for what the device has; or a plan, as `solving.planned` returns it.
      window: About how many pixels are seen at a time, down and across; None for what `memory` allows.
      snapshot: File to keep the run's state in, to go on from after a kill; None for none.
      snapshot_every: Evaluations between two snapshots, at least 1.
      resume: Whether to go on from the snapshot where it exists.
      mesh: Devices that share the rows of the picture, `jaxviz.mesh(n, rows=n)`; None for one device.
      on_chunk: As for `minimize`.
      options: As for `problem`.

    Raises:
      KeyError, ValueError: As `problem`, `minimize` and `snapshots.minimize` do; if the memory is too small: the
        message says the least that would do.

    Example:
      >>> network = jaxviz.load("vgg16")
      >>> image = jnp.full((32, 32, 3), 0.5)
      >>> jaxviz.inversion.invert(network, image, layer="relu1_1", steps=2).value.shape
      (32, 32, 3)
    """
    given = {**options, "layer": layer, "preset": preset}
    if window is None:
        shape = np.shape(image)[:2]
        made = planned(
            problem,
            schedule,
            network,
            image,
            shape=shape,
            memory=memory,
            optimizer=optimizer,
            mesh=mesh,
            **given,
        )
        network, window = seen_as(network, made, None)
    posed, start = problem(*over_rows(network, image, mesh), window=window, **given)
    evaluations, chosen = schedule(start, preset=preset, steps=steps, optimizer=optimizer)
    kept: dict[str, Any] = {"snapshot": snapshot, "every": snapshot_every, "resume": resume, "mesh": mesh}
    return solve(posed, start, steps=evaluations, optimizer=chosen, on_chunk=on_chunk, **kept)


def restarts(
    network: Network,
    image: Image,
    *,
    layer: Layers,
    count: int = 4,
    seed: int = 0,
    preset: str = "default",
    steps: int | None = None,
    optimizer: Optimizer | None = None,
    mesh: Mesh | None = None,
    on_chunk: Callable[[Solution], None] | None = None,
    **options: Any,
) -> Solution:
    """Returns several inversions that differ in their start alone: what they share, the layer has kept.

    All are one program, with the network and the features to be matched shared.

    Args:
      network: Φ.
      image: x₀, RGB, float32, [h, w, 3], in [0, 1].
      layer: As for `invert`.
      count: How many, n, at least 1.
      seed: Start k is that of `invert(…, key=jax.random.key(seed + k))`, to the bit.
      preset: "default" or "paper".
      steps: Evaluations of each; None for the preset's 200 or 400.
      optimizer: None for the preset's.
      mesh: Devices to share the starts among, or the rows of each, from `jaxviz.mesh`.
      on_chunk: As for `minimize`.
      options: As for `problem`, all but `key`.

    Returns:
      The solutions as one, with `value` [n, h, w, 3] and `losses` [n, evaluations].

    Raises:
      KeyError, ValueError: As `problem` and `minimize` do; if `count` is below 1.

    Note:
      A picture is that of its seed alone up to rounding: convolutions of a batch may add in another order, and
      what differs in the last bit grows with the steps.

    Example:
      >>> image = jnp.full((32, 32, 3), 0.5)
      >>> jaxviz.inversion.restarts(jaxviz.load("vgg16"), image, layer="relu1_1", count=2, steps=1).value.shape
      (2, 32, 32, 3)
    """
    if count < 1:
        raise ValueError(f"count is {count}; expected at least 1")
    if "key" in options:
        raise ValueError("restarts takes seed, not key: start k is of jax.random.key(seed + k)")
    posed, one = problem(network, image, layer=layer, preset=preset, **options)
    keys = [jax.random.key(seed + k) for k in range(count)]
    starts = jnp.stack([start(one.shape, key, preset) for key in keys])
    evaluations, chosen = schedule(one, preset=preset, steps=steps, optimizer=optimizer)
    shared = jax.tree.map(lambda _: None, posed)
    return minimize(
        posed,
        starts,
        steps=evaluations,
        optimizer=chosen,
        batch_axes=shared,
        mesh=mesh,
        on_chunk=on_chunk,
    )


def strip(
    network: Network,
    image: Image,
    *,
    layers: Sequence[str] = STRIP,
    on_chunk: Callable[[str, Solution], None] | None = None,
    **options: Any,
) -> dict[str, Solution]:
    """Returns the inversion of each of several layers: what is lost on the way through the network.

    Args:
      network: Φ.
      image: x₀, RGB, float32, [h, w, 3], in [0, 1].
      layers: In this order.
      on_chunk: Called about twice a second with the layer and the solution so far.
      options: As for `invert`, all but `layer`.

    Raises:
      KeyError, ValueError, Interrupted: As `invert` does; all layers are checked first.

    Example:
      >>> image = jnp.full((32, 32, 3), 0.5)
      >>> found = jaxviz.inversion.strip(jaxviz.load("vgg16"), image, layers=["relu1_1", "relu1_2"], steps=1)
      >>> {layer: solution.value.shape for layer, solution in found.items()}
      {'relu1_1': (32, 32, 3), 'relu1_2': (32, 32, 3)}
    """
    inverted_layers(network, layers)
    found = {}
    for layer in layers:
        told = None if on_chunk is None else lambda solution, layer=layer: on_chunk(layer, solution)
        found[layer] = invert(network, image, layer=layer, on_chunk=told, **options)
    return found
