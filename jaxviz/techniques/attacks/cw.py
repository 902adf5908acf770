r"""The attack of Carlini and Wagner: the nearest image that fools, by a penalty whose weight is searched for."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxviz._checks import image as checked_image
from jaxviz._checks import known, number, whole
from jaxviz._typing import Image, Number, Objective, Scalar
from jaxviz.networks import Network
from jaxviz.objectives import floored, weighted_sum
from jaxviz.optimizers import Optimizer, adam
from jaxviz.parameterizations import bounded
from jaxviz.priors import squared_distance
from jaxviz.problem import Problem
from jaxviz.stepping import advance, init
from jaxviz.techniques.attacks.climbing import Found, checked_steps, counted
from jaxviz.techniques.attacks.judging import NearestFooling
from jaxviz.techniques.classes import adversarial

GROWTH = 10.0
"""Of the weight, as long as it was never large enough."""


@counted
def cw(
    network: Network,
    image: Image,
    label: Number,
    *,
    norm: str = "l2",
    constant: Number = 1e-3,
    searches: int = 9,
    confidence: Number = 0.0,
    steps: int = 100,
    step_size: Number = 0.01,
    target: Number | None = None,
) -> Found:
    r"""Returns the attack of Carlini and Wagner on one image, in the Euclidean norm.

    .. math:: \min_z \; \lVert \psi(z) - x \rVert_2^2
              + c \, \max \left( S_y(x') - \max_{k \ne y} S_k(x'), \, -\kappa \right),
              \quad x' = \psi(z) = (\tanh z + 1) / 2

    by Adam from x. Of all points that fool the network the nearest one counts. c is ten times as large in the next
    run as long as no run succeeded, and from then on halves the interval between too small and large enough. With
    a `target` t, the difference is :math:`\max_{k \ne t} S_k - S_t`. All runs are one program.

    Args:
      network: One with a classifier.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      label: y, the class to leave.
      norm: "l2", the one in which the attack is near.
      constant: c of the first run, above 0.
      searches: Runs, at least 1.
      confidence: κ, at least 0: by how much the best other class must be ahead.
      steps: Of each run, 1 to 1023; the paper takes 10,000.
      step_size: Of Adam, in the units of z, at least 0.
      target: t, the class to reach; None for any other than `label`.

    Returns:
      The nearest image that fools the network, [h, w, 3], in [0, 1]; `image` itself if none was found.

    Raises:
      KeyError: If the norm is another one.
      ValueError: If the image is not one, a number or class is out of range, `target` is `label`, or the network
        has no classifier.

    References:
      Carlini, Wagner. Towards Evaluating the Robustness of Neural Networks. S&P 2017, sections V and VI.A.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> image = jnp.full((64, 64, 3), 0.5)
      >>> best = jax.jit(lambda network, x: network.features(x)["logits"].argmax())
      >>> label = int(best(network, image))
      >>> fooled = jaxviz.attacks.cw(network, image, label, constant=1.0, searches=2, steps=20)
      >>> int(best(network, fooled)) == label
      False
    """
    x = checked_image(image)
    known(norm, ("l2",), "norm of cw")
    return _searched(
        network,
        x,
        adversarial(network, label, target, "margin"),
        number(constant, "constant", 1e-12),
        number(confidence, "confidence", 0),
        adam(number(step_size, "step_size", 0)),
        whole(searches, "searches"),
        checked_steps(steps),
    )


class _Search(NamedTuple):
    constant: Scalar
    low: Scalar
    high: Scalar
    best: Image
    least: Scalar


@jax.jit
def _searched(
    network: Network,
    image: Image,
    gap: Objective,
    constant: Scalar,
    confidence: Scalar,
    optimizer: Optimizer,
    searches: int | Array,
    steps: int | Array,
) -> Found:
    unknowns = bounded()
    start = unknowns.encode(image)

    def run(_: Array, search: _Search) -> _Search:
        posed = Problem(
            network,
            weighted_sum((search.constant, floored(gap, -confidence))),
            parameterization=unknowns,
            prior=squared_distance(image),
        )
        judged = NearestFooling(posed, gap, image, confidence)
        state = advance(judged, init(judged, start, optimizer, jax.random.key(0)), steps)
        fooled, nearer = jnp.isfinite(state.best_loss), state.best_loss < search.least
        low = jnp.where(fooled, search.low, search.constant)
        high = jnp.where(fooled, search.constant, search.high)
        between = jnp.where(jnp.isfinite(high), (low + high) / 2, GROWTH * search.constant)
        best = jnp.where(nearer, unknowns.decode(state.best), search.best)
        return _Search(between, low, high, best, jnp.minimum(state.best_loss, search.least))

    infinite = jnp.full((), jnp.inf, image.dtype)
    begin = _Search(constant.astype(image.dtype), jnp.zeros_like(infinite), infinite, image, infinite)
    return Found(jax.lax.fori_loop(0, searches, run, begin).best, jnp.asarray(searches * steps, jnp.int32))
