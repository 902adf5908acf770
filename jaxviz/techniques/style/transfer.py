"""Style transfer, from pictures to a picture."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxviz import colors
from jaxviz._checks import image as checked_image
from jaxviz._checks import known
from jaxviz._typing import AnyImage, Array, Image, Key
from jaxviz.memory import Plan
from jaxviz.networks import Network
from jaxviz.optimization import Solution
from jaxviz.optimizers import Optimizer
from jaxviz.techniques.pyramid import scaled, sizes_by_sqrt2, solve_pyramid
from jaxviz.techniques.solving import over_rows, planned, schedule_of, seen_as, solve
from jaxviz.techniques.style.posing import problem
from jaxviz.techniques.style.presets import PRESETS

schedule = schedule_of(PRESETS)


def transfer(
    network: Network,
    content: Image,
    styles: Sequence[AnyImage],
    *,
    preset: str = "default",
    steps: int | None = None,
    optimizer: Optimizer | None = None,
    keep_colors: str | None = None,
    histogram: bool = False,
    pyramid: int | None = None,
    memory: str | int | float | Plan | None = None,
    window: int | None = None,
    snapshot: str | Path | None = None,
    snapshot_every: int = 100,
    resume: bool = False,
    key: Key | None = None,
    mesh: Mesh | None = None,
    on_chunk: Callable[[Solution], None] | None = None,
    **options: Any,
) -> Solution:
    """Returns the content image in the style of others; its `value` is the image, [h, w, 3], in [0, 1].

    Args:
      network: Φ.
      content: RGB, float32, [h, w, 3], in [0, 1].
      styles: One or more images of any size.
      preset: "default", "gatys2016", "gatys_notebook", "neural_style" or "crowsonkb".
      steps: Evaluations; None for the preset's. With a pyramid, of each scale.
      optimizer: None for the preset's.
      keep_colors: One of `colors.KEEP`, to keep the content's colors: "luminance" and "lab" take them over
        afterwards; "cholesky", "pca" and "sqrt" first give the styles mean and covariance of the content's. None
        for the styles' colors.
      histogram: Whether the result is given exactly the styles' histograms of each channel.
      pyramid: Longer side in pixels of the coarsest of several scales, each of twice the pixels; None for the
        preset's, which is one scale but for "crowsonkb".
      memory: What the run may take, such as "4GB", the process on a CPU included: a picture that needs more is seen
        through windows. None for what the device has; or a plan, as `solving.planned` returns it.
      window: About how many pixels are seen at a time, down and across; None for what `memory` allows.
      snapshot: File to keep the run's state in, to go on from after a kill; None for none.
      snapshot_every: Evaluations between two snapshots, at least 1.
      resume: Whether to go on from the snapshot where it exists.
      key: Seeds the noise; None stands for `jax.random.key(0)`.
      mesh: Devices that share the rows of the picture, `jaxviz.mesh(n, rows=n)`; None for one device.
      on_chunk: As for `minimize`.
      options: As for `problem`.

    Raises:
      KeyError, ValueError: As `problem`, `minimize` and `snapshots.minimize` do; if both `keep_colors` and
        `histogram` are asked for, or the memory is too small: the message says the least that would do.

    Note:
      A run of a preset with free colors is cut to [0, 1] at the end.

    Example:
      >>> network = jaxviz.load("vgg16")
      >>> content, style = jnp.full((32, 48, 3), 0.5), jnp.full((32, 32, 3), 0.25)
      >>> layers = {"content_weights": {"relu1_2": 1}, "style_weights": {"relu1_1": 1}}
      >>> jaxviz.style.transfer(network, content, [style], steps=1, **layers).value.shape
      (32, 48, 3)
    """
    known(preset, PRESETS, "preset of style")
    if keep_colors is not None:
        known(keep_colors, colors.KEEP, "way to keep colors")
        if histogram:
            raise ValueError(
                "keep_colors and histogram are both given; the result has one's colors or the other's"
            )
    values = PRESETS[preset].values
    smallest = values.get("pyramid") if pyramid is None else pyramid
    if smallest is not None and smallest < 1:
        raise ValueError(f"pyramid is {smallest:g}; expected at least 1 pixel")
    content = jnp.asarray(checked_image(content, "content"))
    wanted = [jnp.asarray(checked_image(style, f"style {i}")) for i, style in enumerate(styles)]
    seen = recolored(keep_colors, content, wanted)
    given = {**options, "preset": preset, "key": key}
    if window is None:
        made = planned(
            problem,
            schedule,
            network,
            content,
            seen,
            shape=content.shape[:2],
            memory=memory,
            optimizer=optimizer,
            mesh=mesh,
            **given,
        )
        network, window = seen_as(network, made, None)
    given["window"] = window
    kept: dict[str, Any] = {"every": snapshot_every, "resume": resume, "mesh": mesh}
    if smallest is None:
        posed, start = problem(*over_rows(network, content, mesh), seen, **given)
        evaluations, chosen = schedule(start, preset=preset, steps=steps, optimizer=optimizer)
        shared: dict[str, Any] = {"steps": evaluations, "optimizer": chosen, "key": key, "on_chunk": on_chunk}
        solution = solve(posed, start, snapshot=snapshot, **kept, **shared)
    else:
        solution = _over_scales(
            network, content, seen, smallest, steps, optimizer, on_chunk, snapshot, kept, given
        )
    value = jnp.clip(solution.value, 0, 1)
    if keep_colors is not None:
        value = colors.after(keep_colors, content, value)
    if histogram:
        every_pixel = jnp.concatenate([style.reshape(-1, 1, 3) for style in wanted])
        value = colors.match_histogram(value, every_pixel)
    return dataclasses.replace(solution, value=value)


def recolored(keep_colors: str | None, content: Image, styles: Sequence[AnyImage]) -> list[Array]:
    """Returns the styles as they are to be seen, so that the result has the content's colors; None changes none.

    Raises:
      KeyError: If there is no such way to keep colors.

    Example:
      >>> grey, red = jnp.full((2, 2, 3), 0.5), jnp.array([[[0.8, 0.1, 0.1]]])
      >>> jaxviz.style.recolored("luminance", grey, [red])[0].ptp(-1).tolist()
      [[0.0]]
    """
    if keep_colors is None:
        return [jnp.asarray(style) for style in styles]
    return [colors.before(keep_colors, content, style) for style in styles]


def _over_scales(
    network: Network,
    content: Any,
    styles: list[Any],
    smallest: int,
    steps: int | None,
    optimizer: Optimizer | None,
    on_chunk: Any,
    snapshot: Any,
    kept: dict[str, Any],
    given: dict[str, Any],
) -> Solution:
    preset = PRESETS[given["preset"]]
    longest = max(content.shape[:2])
    sizes = sizes_by_sqrt2(min(smallest, longest), longest)
    each = [preset.steps if steps is None else steps] * len(sizes)
    if steps is None:
        each[0] = preset.values.get("first_steps", each[0])

    def pose(size: int) -> Any:
        scale, options = size / longest, dict(given)
        if options.get("masks") is not None:
            options["masks"] = [scaled(mask, scale) for mask in options["masks"]]
        if hasattr(options.get("init"), "shape"):
            options["init"] = scaled(options["init"], scale)
        smaller = [scaled(style, scale) for style in styles]
        return problem(network, scaled(content, scale), smaller, **options)

    start = jax.ShapeDtypeStruct(content.shape, jnp.float32)
    chosen = schedule(start, preset=given["preset"], optimizer=optimizer)[1]
    return solve_pyramid(
        pose, sizes, each, chosen, key=given["key"], on_chunk=on_chunk, snapshot=snapshot, **kept
    )
