"""A fitted scene: its field, where it is not empty, the space and the cameras; rendered view by view."""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxviz._typing import static, symbol
from jaxviz.radiance.deferring import spread
from jaxviz.radiance.field import Field
from jaxviz.radiance.occupancy import Occupancy, steps_through
from jaxviz.radiance.rays import of_pixels, unwarped
from jaxviz.radiance.rendering import Budget, Rendered, render
from jaxviz.radiance.scenes import Cameras, Space

CHUNK = 4096
"""Rays that are rendered at a time."""
USUAL = 16
"""Samples of a ray that are expected in occupied space; where there are more, all is done again with more."""


@symbol
class Model:
    """A scene that can be seen from anywhere.

    Attributes:
      field: Density and colors.
      occupancy: Where the field is not empty.
      space: How rays go through it; the box is the field's.
      cameras: From which the scene was photographed.
      tint: [3, 4], a linear map of the colors of what is seen, background excepted, and what is added.
      flat: Whether colors are the same from all directions.
      step: Between samples, in nodes.
    """

    field: Field
    occupancy: Occupancy
    space: Space
    cameras: Cameras
    tint: Float[Array, "3 4"]
    flat: bool = static(default=False)
    step: float = static(default=1.0)


@symbol
class Seen:
    """What a camera sees.

    Attributes:
      color: [h, w, 3], in [0, 1].
      depth: [h, w], distance from the camera in the world's units, where there is something.
      opacity: [h, w], how much there is, from 0 to 1.
    """

    color: Float[Array | np.ndarray, "h w 3"]
    depth: Float[Array | np.ndarray, "h w"]
    opacity: Float[Array | np.ndarray, "h w"]


NO_TINT = np.eye(3, 4, dtype=np.float32)


def model(field: Field, occupancy: Occupancy, space: Space, cameras: Cameras, *, step: float = 1.0) -> Model:
    """Returns a model of a field, whose colors are its own."""
    return Model(field, occupancy, within(space, field), cameras, jnp.asarray(NO_TINT), False, step)


def within(space: Space, field: Field) -> Space:
    """Returns a space with the box of a field."""
    return Space(field.box, space.near, space.warp, space.forward, space.background)


def background_of(space: Space) -> Float[Array, "3"]:
    """Returns the color behind everything: white, or, of a scene that has no outside, black."""
    return jnp.full(3, 1.0 if space.background == "white" else 0.0)


def tinted(model: Model, color: Float[Array, "n 3"], opacity: Float[Array, " n"]) -> Float[Array, "n 3"]:
    """Returns colors, of which a part is background's, as a model shows them: that part stays."""
    share = opacity[:, None]
    behind = (1 - share) * background_of(model.space)
    mapped = jnp.matmul(color - behind, model.tint[:, :3].T, precision="highest") + share * model.tint[:, 3]
    return jnp.clip(jnp.clip(mapped, 0, share) + behind, 0, 1)


def see(model: Model, cameras: Cameras) -> Iterator[Seen]:
    """Yields what each camera sees, one after the other, as NumPy arrays.

    Args:
      model: The scene.
      cameras: Of any size and lenses, in the world of `model.cameras`.
    """
    for seen, _ in see_within(model, cameras):
        yield seen


def see_within(model: Model, cameras: Cameras, chunk: int = CHUNK) -> Iterator[tuple[Seen, int]]:
    """Yields what each camera sees, and by which factor the budget of `chunk` rays was enough until then."""
    factor = 1
    for k in range(cameras.count):
        one = cameras[k : k + 1]
        while True:
            budget = budget_of(model, chunk, factor)
            seen, complete = _seen(model, one, budget, chunk)
            # A larger budget is another program: it is kept for the views that follow.
            if bool(complete) or budget.samples >= chunk * budget.steps:
                break
            factor *= 2
        yield jax.tree.map(np.asarray, seen), factor


def budget_of(model: Model, rays: int, factor: int = 1) -> Budget:
    """Returns the budget of a number of rays, times a factor, at most all that there can be."""
    steps = steps_through(model.field.resolution, model.step)
    whole = rays * steps
    samples = min(rays * USUAL * factor, whole)
    # Of many samples in occupied space half are hidden, or nearly empty.
    visible = samples if samples == whole else max(samples // 2, min(rays * USUAL, samples))
    return Budget(steps, samples, visible, model.step)


@functools.partial(jax.jit, static_argnums=(2, 3))
def _seen(model: Model, camera: Cameras, budget: Budget, chunk: int) -> tuple[Seen, Array]:
    h, w = camera.size

    def rendered(_: None, index: Array) -> tuple[None, tuple[Any, ...]]:
        index = jnp.minimum(index, h * w - 1)
        found, distance = see_pixels(model, camera, index, budget)
        return None, (found.color, distance, found.opacity, found.complete)

    # Rays of a chunk that are spread over the picture find the budget of the mean; those of a row, or none, do not.
    _, parts = jax.lax.scan(rendered, None, spread(h * w, chunk))
    color, depth, opacity, complete = (
        part.swapaxes(0, 1).reshape(parts[1].size, -1)[: h * w] for part in parts
    )
    shape = (h, w)
    return Seen(color.reshape(*shape, 3), depth.reshape(shape), opacity.reshape(shape)), complete.all()


def see_pixels(model: Model, camera: Cameras, index: Array, budget: Budget) -> tuple[Rendered, Array]:
    """Returns what pixels see, counted row by row through the views, and how far it is in the world's units."""
    h, w = camera.size
    view, row, column = index // (h * w), index // w % h, index % w
    rays = of_pixels(camera, model.space, view, row, column)
    found = render(
        model.field, model.occupancy, rays, budget, background=background_of(model.space), flat=model.flat
    )
    ends = unwarped(rays.origins + found.depth[:, None] * rays.directions, model.space)
    distance = jnp.linalg.norm(ends - jnp.asarray(camera.poses)[view, :, 3], axis=1)
    changed = Rendered(
        tinted(model, found.color, found.opacity),
        found.opacity,
        found.depth,
        found.complete,
        found.samples,
        found.visible,
    )
    return changed, jnp.where(found.opacity > 1e-3, distance, 0.0)
