r"""The colors of a field are painted: what of it changes, what is asked of its views, and one compiled step.

.. math:: \min_\theta E_v \; \beta \, N(x_v, a) + \frac{\alpha}{n} \lVert \phi(x_v) - \phi(p_v) \rVert^2
          + \frac{\lambda}{2} TV(x_v), \quad x_v = C_\theta(v)
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._typing import Image, Scalar, Taps, static, symbol
from jaxviz.networks import Network
from jaxviz.objectives import MatchNearest, match_features
from jaxviz.radiance.deferring import deferred
from jaxviz.radiance.field import Factors, Field
from jaxviz.radiance.models import NO_TINT, Model, background_of
from jaxviz.radiance.rays import whole
from jaxviz.radiance.rendering import Budget, render
from jaxviz.radiance.scenes import Cameras

TINY = 1e-8
"""Added to the roots of mean squares, as in the authors' program."""
BYTES = 255 * 0.2256
"""Size of the input of networks that take bytes, in that of torchvision's, and so about that of their features."""


@symbol
class Paint:
    """Colors of a field that are the same from all directions.

    Attributes:
      color: Their planes and lines.
      basis: From products of these to colors before the sigmoid, [3 c, 3].
    """

    color: Factors
    basis: Float[Array, "_ 3"]


@symbol
class Work:
    """How a stylization stands, beside its step.

    Attributes:
      paint: As it is.
      squares: Of RMSprop: the mean squares of the gradient.
    """

    paint: Paint
    squares: Paint


def begun(model: Model) -> Work:
    """Returns the work on a model before its first step: its colors without what depends on the direction."""
    # Copies: a step gives its state away, and the model is still looked at.
    paint = jax.tree.map(jnp.copy, Paint(model.field.color, model.field.basis[:, :3]))
    return Work(paint, jax.tree.map(jnp.zeros_like, paint))


def without_memory(work: Work) -> Work:
    """Returns the work with an optimizer that remembers nothing."""
    return Work(work.paint, jax.tree.map(jnp.zeros_like, work.squares))


def painted(model: Model, paint: Paint, tint: Any = NO_TINT) -> Model:
    """Returns a model with other colors, which do not depend on the direction; its geometry is as it was."""
    field = model.field
    basis = jnp.zeros_like(field.basis).at[:, :3].set(paint.basis)
    changed = Field(field.density, paint.color, basis, field.box, field.unit, field.resolution)
    return dataclasses.replace(model, field=changed, flat=True, tint=jnp.asarray(tint, jnp.float32))


@symbol
class Losses:
    """What is asked of a view.

    Attributes:
      network: φ.
      nearest: N, of the styles a.
      style_weight: β.
      content_weight: α, for features of torchvision's size.
      tv_weight: λ, of the mean squared differences of neighboring pixels, down and across.
      layers: Of φ, for style and content.
    """

    network: Network
    nearest: MatchNearest
    style_weight: Scalar
    content_weight: Scalar
    tv_weight: Scalar
    layers: tuple[str, ...] = static()

    def of(self, view: Image, target: Taps, shares: Float[Array, " _"]) -> tuple[Scalar, dict[str, Scalar]]:
        """Returns the loss of a view, and its parts by name, weighted.

        Args:
          view: x, [h, w, 3].
          target: Features of p at the layers.
          shares: How much of each style is asked for.
        """
        taps = self.network.features(view, self.layers)
        even = dict.fromkeys(self.layers, 1 / len(self.layers))
        content = match_features(target, weights=even)(taps) / size_of_features(self.network) ** 2
        told = {
            "nearest": self.style_weight * self.of_style(taps, shares),
            "content": self.content_weight * content,
            "tv": self.tv_weight * roughness(view),
        }
        return jnp.sum(jnp.stack(list(told.values()))), told

    def of_style(self, taps: Taps, shares: Float[Array, " _"]) -> Scalar:
        """Returns N by the features of a view."""
        return dataclasses.replace(self.nearest, shares=shares)(taps)


def size_of_features(network: Network) -> float:
    """Returns how large a network's features are, about, in those of torchvision's: 57.5 where it takes bytes."""
    return BYTES if network.preprocessing.scale == 255 and set(network.preprocessing.std) == {1.0} else 1.0


def roughness(picture: Image) -> Scalar:
    """Returns the mean squared difference of neighboring pixels, the mean of down and across."""
    return (jnp.mean(jnp.diff(picture, axis=0) ** 2) + jnp.mean(jnp.diff(picture, axis=1) ** 2)) / 2


@functools.partial(jax.jit, static_argnames=("stage", "budget", "patch"), donate_argnums=0)
def stepped(
    work: Work,
    model: Model,
    losses: Losses,
    camera: Cameras,
    target: Image,
    shares: Float[Array, " _"],
    numbers: dict[str, Array],
    *,
    stage: str,
    budget: Budget,
    patch: int,
) -> tuple[Work, dict[str, Scalar]]:
    r"""Returns the work after a step of RMSprop on one view, and the losses before it.

    .. math:: s \leftarrow \gamma s + (1 - \gamma) g^2, \qquad
              \theta \leftarrow \theta - \eta \, g / (\sqrt{s / (1 - \gamma^t)} + 10^{-8})

    Args:
      work: As it is.
      model: Its geometry.
      losses: Of a view.
      camera: One, of the view's size.
      target: The view to keep the content of; of the stage "colors", to be equal to.
      shares: Of the styles.
      numbers: "rate" η, "basis_rate" that of the basis in parts of it, "memory" γ, "count" t.
      stage: "colors", whose loss is the mean squared difference from the target, or "style".
      budget: Of samples of a patch.
      patch: Pixels that are rendered at a time.
    """
    loss = functools.partial(_difference, target) if stage == "colors" else _of_style(losses, target, shares)
    (_, told), slope = deferred(loss, pixels(model, camera, budget), work.paint, camera.size, patch=patch)
    memory, rate = numbers["memory"], numbers["rate"]
    squares = jax.tree.map(lambda s, g: memory * s + (1 - memory) * g**2, work.squares, slope)
    even = 1 - memory ** numbers["count"]
    rates = jax.tree.unflatten(jax.tree.structure(slope), [rate, rate, rate * numbers["basis_rate"]])
    paint = jax.tree.map(
        lambda p, g, s, r: p - r * g / (jnp.sqrt(s / even) + TINY), work.paint, slope, squares, rates
    )
    return Work(paint, squares), told


def _difference(target: Image, view: Image) -> tuple[Scalar, dict[str, Scalar]]:
    loss = jnp.mean((view - target) ** 2)
    return loss, {"difference": loss}


def _of_style(losses: Losses, target: Image, shares: Array) -> Any:
    wanted = losses.network.features(target, losses.layers)
    return lambda view: losses.of(view, wanted, shares)


def pixels(model: Model, camera: Cameras, budget: Budget) -> Any:
    """Returns the function of paint and numbers of pixels that `deferred` takes."""

    def rendered(paint: Paint, index: Array) -> tuple[Array, Array]:
        given = painted(model, paint)
        rays = whole(camera, given.space, index)
        seen = render(
            given.field, given.occupancy, rays, budget, background=background_of(given.space), flat=True
        )
        return seen.color, seen.complete

    return rendered
