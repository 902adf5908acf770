"""Several pictures of one unit that are to differ: what else it answers to."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxviz._checks import number, random_key, whole
from jaxviz._typing import Key, Number, Objective, Parameterization, Scalar, static, symbol
from jaxviz.networks import Network
from jaxviz.objectives import gram_matrix
from jaxviz.optimization import Solution
from jaxviz.problem import Problem
from jaxviz.techniques.classes import tap_shape
from jaxviz.techniques.saliency.cam import last_map
from jaxviz.techniques.visualization.visualizing import SIZE, excited, schedule
from jaxviz.techniques.visualization.visualizing import problem as of_one

COUNT, WEIGHT = 4, 1.0


@symbol
class Each:
    """ψ of every one of several pictures."""

    inner: Parameterization

    def decode(self, z: Array) -> Any:
        """Returns the images of unknowns, [n, h, w, 3]."""
        return jax.vmap(self.inner.decode)(z)


@symbol
class Variants:
    """Pictures of one problem as one unknown, and how alike they are."""

    problem: Problem
    weight: Array
    layer: str = static()

    @property
    def random(self) -> bool:
        """Whether the loss depends on the key."""
        return self.problem.random

    @property
    def parameterization(self) -> Each:
        """ψ."""
        return Each(self.problem.parameterization)

    def loss(self, z: Array, key: Key) -> Scalar:
        """Returns the loss at unknowns `z`; `key` seeds the transforms, another for each picture."""

        def one(z: Array, key: Key) -> tuple[Scalar, Array]:
            loss, taps = self.problem.loss_and_taps(z, key)
            products = gram_matrix(taps[self.layer]).ravel()
            return loss, products / jnp.sqrt(jnp.square(products).sum() + 1e-12)

        count = z.shape[0]
        losses, products = jax.vmap(one)(z, jax.random.split(key, count))
        cosines = jnp.matmul(products, products.T, precision="highest")
        alike = (cosines.sum() - jnp.trace(cosines)) / max(count * (count - 1), 1)
        # In the units of the answers, which differ by orders between layers.
        size = jax.lax.stop_gradient(jnp.abs(losses).mean())
        return losses.mean() + self.weight * size * alike

    def project(self, z: Array) -> Array:
        """Returns the nearest unknowns that are allowed."""
        return jax.vmap(self.problem.project)(z)


def problem(
    network: Network,
    target: Number | Objective,
    *,
    count: int = COUNT,
    diversity: Number = WEIGHT,
    layer: str | None = None,
    size: int = SIZE,
    decay: Number = 1.0,
    still: bool = False,
    key: Key | int = 0,
) -> tuple[Variants, Array]:
    r"""Returns what is minimized for pictures that excite a unit and differ, and where it starts.

    .. math:: E(x_1, \dots, x_n) = \frac{1}{n} \sum_a L(x_a)
              + \frac{w \, \bar{L}}{n (n - 1)} \sum_{a \ne b} \cos(G(x_a), G(x_b))

    with G the Gram matrices of a layer, and :math:`\bar{L}` the mean of :math:`|L(x_a)|`, taken for a constant.

    Args:
      network: As for `visualization.problem`.
      target: As there.
      count: n, at least 1.
      diversity: w, at least 0: how much of the answer may be given for pictures that differ.
      layer: The tap whose Gram matrices are to differ; None for the target's own where it has positions, else the
        last with positions.
      size: As there.
      decay: As there.
      still: As there.
      key: Seeds the starts. An integer is a seed.

    Returns:
      The problem and its start, n spectra.

    Raises:
      KeyError: If the layer does not exist.
      ValueError: If a number is out of range, or the layer has no positions.

    References:
      Olah, Mordvintsev, Schubert. Feature Visualization. Distill 2017, on diversity; the weight is relative here.
    """
    n = whole(count, "count")
    weight = number(diversity, "diversity", 0)
    keys = jax.random.split(random_key(key), n)
    posed, start = of_one(network, target, size=size, decay=decay, still=still, key=keys[0])
    starts = [start, *(of_one(network, target, size=size, decay=decay, key=k)[1] for k in keys[1:])]
    chosen = layer or str(getattr(posed.objective, "layer", "logits"))
    if len(tap_shape(network, (size, size), chosen)) != 3:
        if layer is not None:
            raise ValueError(f"layer {layer!r} has no positions; take {last_map(network)}")
        chosen = last_map(network)
    return Variants(posed, weight, chosen), jnp.stack(starts)


def diverse(
    network: Network,
    target: Number | Objective,
    *,
    key: Key | int = 0,
    on_chunk: Callable[[Solution], None] | None = None,
    **options: Any,
) -> Solution:
    """Returns several pictures that excite a unit and differ; `value` is [n, size, size, 3], in (0, 1).

    Args:
      network: As for `problem`, of this module.
      target: As there.
      key: Seeds starts and transforms. An integer is a seed.
      on_chunk: As for `minimize`; the values that it sees are spectra.
      options: As for `problem`, of this module, and `schedule`, of `visualize`.

    Raises:
      KeyError, ValueError, Interrupted: As the problem and `minimize` do.

    References:
      Olah, Mordvintsev, Schubert. Feature Visualization. Distill 2017, on diversity.

    Example:
      >>> unit = jaxviz.objectives.unit("relu1_2", 3)
      >>> jaxviz.visualization.diverse(jaxviz.load("vgg16"), unit, count=2, size=32, steps=1).value.shape
      (2, 32, 32, 3)
    """
    return excited(problem, schedule, network, target, key, on_chunk, options)
