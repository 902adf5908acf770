"""Derivatives by a layer: what a score would change if a tap did, for any tap of any architecture.

A tap is a value in the middle of a traced program, which is cut there: the first half makes the tap, the second
is a function of it. No architecture has to know of that.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun
from jaxtyping import Array, Float

from jaxviz._checks import known
from jaxviz._typing import Image, Scalar, Taps
from jaxviz.networks.network import Network


def tap_gradient(
    network: Network, image: Image, layer: str, score: Callable[[Taps], Scalar]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    r"""Returns a tap of one image, and the derivative of a score by it.

    .. math:: A = \phi_l(x), \quad \frac{\partial S}{\partial A}

    with S computed from the taps that come after, as the network computes them from A.

    Args:
      network: Φ.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      layer: l.
      score: S, from the taps of one image to a scalar.

    Returns:
      A and the derivative, of one shape: [h', w', c], or [c] for a tap without positions.

    Raises:
      KeyError: If the layer does not exist; the message offers the nearest names.
      ValueError: If the image is too small for the layer.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> score = lambda taps: taps["logits"][285]
      >>> probed = jax.jit(lambda network, image: tap_gradient(network, image, "relu10", score))
      >>> tap, derivative = probed(network, jnp.full((64, 64, 3), 0.5))
      >>> derivative.shape, float(derivative[..., 285].sum())
      ((3, 3, 1000), 1.0)
    """
    known(layer, network.layers, f"layer of {network.name or 'this network'}")
    names: list[str] = []

    def batched(x: Array) -> list[Array]:
        taps = network.batch_of_one(x)
        names.extend(taps)
        return list(taps.values())

    x = jnp.asarray(image)
    closed = jax.make_jaxpr(batched)(x)
    if layer not in names:
        h, w = x.shape[:2]
        raise ValueError(
            f"layer {layer!r} of {network.name} does not exist for a picture of {h}×{w}; take a larger one"
        )
    begin, end, place = _halves(closed, names.index(layer))
    before = jaxpr_as_fun(begin)(*closed.consts, x)

    def rest(tap: Array) -> Scalar:
        values = [*before[:place], tap, *before[place + 1 :]]
        taps = jaxpr_as_fun(end)(*values)
        return score({name: tap[0] for name, tap in zip(names, taps, strict=True)})

    return before[place][0], jax.grad(rest)(before[place])[0]


def _halves(closed: ClosedJaxpr, index: int) -> tuple[ClosedJaxpr, ClosedJaxpr, int]:
    """Returns a program cut behind the equation that makes one of its results, and that result's place between."""
    jaxpr = closed.jaxpr
    tap = jaxpr.outvars[index]
    cut = 1 + next(k for k, equation in enumerate(jaxpr.eqns) if tap in equation.outvars)
    arguments = [*jaxpr.constvars, *jaxpr.invars]
    made = {*arguments, *(variable for equation in jaxpr.eqns[:cut] for variable in equation.outvars)}
    wanted = [*(atom for equation in jaxpr.eqns[cut:] for atom in equation.invars), *jaxpr.outvars]
    between = list(dict.fromkeys(v for v in wanted if not isinstance(v, Literal) and v in made))

    def part(invars: list[Any], equations: list[Any], outvars: list[Any]) -> ClosedJaxpr:
        debug = jaxpr.debug_info.with_unknown_names()
        return ClosedJaxpr(
            jaxpr.replace(constvars=[], invars=invars, eqns=equations, outvars=outvars, debug_info=debug), ()
        )

    begin = part(arguments, jaxpr.eqns[:cut], between)
    return begin, part(between, jaxpr.eqns[cut:], jaxpr.outvars), between.index(tap)
