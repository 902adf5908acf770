"""Volume rendering: what rays through a field see, how far, and how much of it."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxviz._typing import symbol
from jaxviz.radiance import occupancy as occupying
from jaxviz.radiance.field import Field, colors, density
from jaxviz.radiance.occupancy import Occupancy, Samples
from jaxviz.radiance.rays import Rays

VISIBLE = 1e-4
"""Weight below which a sample's color is not looked up."""
EXACT = 2**19
"""Parts of a unit in which sums along rays are counted."""
OPAQUE = 10.0
"""Thickness beyond which a sample hides all behind it."""
LONGEST = int(2**32 / EXACT / OPAQUE)
"""Samples of a ray whose sum can be counted, even if each is opaque."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """How much work there is for a number of rays, in arrays of fixed size.

    Attributes:
      steps: That a ray takes at most.
      samples: That may be in occupied space, of all rays together.
      visible: That may have a color.
      step: Between samples, in nodes.
    """

    steps: int
    samples: int
    visible: int
    step: float = 1.0

    def __post_init__(self) -> None:
        if self.steps > LONGEST:
            raise ValueError(
                f"rays have up to {self.steps} samples; expected at most {LONGEST}: take fewer nodes or a larger "
                "stride"
            )


@symbol
class Rendered:
    """What rays see.

    Attributes:
      color: [n, 3], in [0, 1].
      opacity: [n], how much of the ray ends at something, from 0 to 1.
      depth: [n], mean t of what is seen, where there is something.
      complete: [n], whether the budget was enough for a ray.
      samples: How many samples were in occupied space.
      visible: How many of them had a color.
    """

    color: Float[Array, "n 3"]
    opacity: Float[Array, " n"]
    depth: Float[Array, " n"]
    complete: Bool[Array, " n"]
    samples: Int[Array, ""]
    visible: Int[Array, ""]


@jax.custom_vjp
def weights(
    thickness: Float[Array, " k"], start: Int[Array, " k"], stop: Int[Array, " k"]
) -> Float[Array, " k"]:
    r"""Returns how much each sample contributes to its ray.

    .. math:: w_i = e^{-\sum_{j<i} \tau_j} (1 - e^{-\tau_i}), \qquad \tau_i = \sigma_i \delta_i

    with the sum over earlier samples of the same ray. Sums over all samples are kept in whole numbers that may
    overflow: their differences along a ray of at most `LONGEST` samples are exact, wherever in the list it is.

    Args:
      thickness: τ, at least 0, [k]; more than `OPAQUE` counts as that.
      start: Index of the first sample of each one's ray.
      stop: Index of the last one.
    """
    return _weighed(thickness, start, stop)[0]


def _weighed(thickness: Array, start: Array, stop: Array) -> Any:
    thickness = jnp.minimum(thickness, OPAQUE)
    parts = jnp.round(thickness * EXACT).astype(jnp.uint32)
    before = jnp.cumsum(parts) - parts
    through = jnp.exp(-(before - before[start]).astype(jnp.float32) / EXACT)
    passed = jnp.exp(-thickness)
    weight = through * (1 - passed)
    return weight, (weight, through * passed, stop)


def _weights_back(saved: Any, change: Array) -> Any:
    weight, passed, stop = saved
    given = weight * change
    unit = jnp.maximum(jnp.abs(given).max(), 1e-30)
    upto = jnp.cumsum(jnp.round(given / unit * EXACT).astype(jnp.int32))
    later = (upto[stop] - upto).astype(jnp.float32) / EXACT * unit
    return change * passed - later, None, None


weights.defvjp(_weighed, _weights_back)


@functools.partial(jax.jit, static_argnames=("budget", "flat"))
def render(
    field: Field,
    occupancy: Occupancy,
    rays: Rays,
    budget: Budget,
    *,
    background: Float[Array, "3"],
    flat: bool = False,
    shift: Float[Array, " n"] | None = None,
) -> Rendered:
    r"""Returns what rays see: :math:`C = \sum_i w_i c_i + (1 - \sum_i w_i) b`.

    Args:
      field: Gives density and colors c.
      occupancy: Where it is not empty.
      rays: n of them.
      budget: Of samples.
      background: b.
      flat: Whether colors do not depend on the direction.
      shift: Where in its steps each ray has its samples, in [0, 1); None for the middle.

    References:
      Mildenhall, Srinivasan, Tancik, Barron, Ramamoorthi, Ng. NeRF: Representing Scenes as Neural Radiance Fields
      for View Synthesis. ECCV 2020, eq. 3.
    """
    n = rays.near.shape[0]
    found = occupying.sample(
        field,
        occupancy,
        rays,
        step=budget.step,
        steps=budget.steps,
        budget=budget.samples,
        shift=shift,
    )
    weight = weights(density(field, found.nodes) * found.length, found.start, found.stop)
    return composed(field, rays, found, weight, budget.visible, background=background, flat=flat, count=n)


def composed(
    field: Field,
    rays: Rays,
    found: Samples,
    weight: Float[Array, " k"],
    visible: int,
    *,
    background: Float[Array, "3"],
    flat: bool,
    count: int,
) -> Rendered:
    """Returns what rays see, given the weight of each sample; of `visible` samples at most colors are looked up."""
    seen = weight > VISIBLE
    chosen = occupying.first(seen, visible)
    void = chosen >= seen.size
    chosen = jnp.minimum(chosen, seen.size - 1)
    ray, share = found.ray[chosen], jnp.where(void, 0.0, weight[chosen])
    looks = None if flat else rays.looks[ray]
    shown = colors(field, found.nodes[chosen], looks)
    total = functools.partial(
        jax.ops.segment_sum, segment_ids=ray, num_segments=count, indices_are_sorted=False
    )
    color, opacity, depth = total(share[:, None] * shown), total(share), total(share * found.at[chosen])
    color = color + (1 - opacity)[:, None] * background
    depth = depth / jnp.maximum(opacity, 1e-6)
    shown_count = seen.sum()
    # Of what does not fit, the last rays are cut.
    last = jnp.where(shown_count > visible, ray[-1], count)
    complete = found.complete & (jnp.arange(count) < last)
    return Rendered(color, opacity, depth, complete, found.count, shown_count)
