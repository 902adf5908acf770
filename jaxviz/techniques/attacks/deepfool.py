r"""DeepFool: steps over the nearest of the boundaries between classes, as if they were planes."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxviz._checks import concrete, index, known, number, whole
from jaxviz._checks import image as checked_image
from jaxviz._typing import Image, Number, Scalar
from jaxviz.constraints import box
from jaxviz.networks import Network
from jaxviz.norms import NORMS
from jaxviz.techniques.attacks.climbing import Found, counted
from jaxviz.techniques.classes import class_count

CROSSED = 1e-4
"""Added to each difference of scores, so that a boundary on which an image lies is crossed."""


@counted
def deepfool(
    network: Network,
    image: Image,
    label: Number,
    *,
    norm: str = "l2",
    candidates: int = 10,
    overshoot: Number = 0.02,
    steps: int = 50,
    target: Number | None = None,
) -> Found:
    r"""Returns the DeepFool attack on one image: the shortest way out of a class, were scores linear; repeated.

    .. math:: x_{k+1} = P_{[0, 1]} \left( x_k + (1 + \eta) \, \frac{|f_l|}{\lVert w_l \rVert_*} \, d(w_l) \right),
              \quad l = \mathrm{argmin}_{c \ne y} \frac{|f_c|}{\lVert w_c \rVert_*},

    with :math:`f_c = S_c(x_k) - S_y(x_k)`, :math:`w_c = \nabla_x f_c`, d the direction of norm 1 along which a
    linear function grows fastest, and :math:`\lVert w \rVert_* = w \cdot d(w)` that growth. It ends at the first
    point that another class wins. One step is one forward pass and a backward pass for each candidate.

    Args:
      network: One with a classifier.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      label: y, the class to leave.
      norm: In which the way is short: "l2" or "linf".
      candidates: How many classes are tried, those of the largest scores at the start, at least 1.
      overshoot: η, at least 0.
      steps: At most so many, at least 1.
      target: The only class to try; None for the candidates.

    Returns:
      The first point that fools the network, or the last one, [h, w, 3], in [0, 1].

    Raises:
      KeyError: If there is no such norm.
      ValueError: If the image is not one, a number or class is out of range, `target` is `label`, or the network
        has no classifier.

    Note:
      This is no `minimize`: a step needs the derivatives of all candidates, where a loss has one. The paper adds
      the overshoot once, at the end.

    References:
      Moosavi-Dezfooli, Fawzi, Frossard. DeepFool: A Simple and Accurate Method to Fool Deep Neural Networks. CVPR
      2016, algorithm 2 and section 2.3.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> image = jnp.full((64, 64, 3), 0.5)
      >>> best = jax.jit(lambda network, x: network.features(x)["logits"].argmax())
      >>> label = int(best(network, image))
      >>> fooled = jaxviz.attacks.deepfool(network, image, label)
      >>> int(best(network, fooled)) == label
      False
    """
    classes = class_count(network)
    label = index(label, "label", classes)
    tried = min(whole(candidates, "candidates"), classes - 1)
    if target is not None:
        target = index(target, "target", classes)
        if concrete(label) and concrete(target) and int(label) == int(target):
            raise ValueError(f"target is {int(target)}, the class to leave; give another one")
    return _stepped(
        network,
        checked_image(image),
        label,
        target,
        number(overshoot, "overshoot", 0),
        whole(steps, "steps"),
        candidates=tried,
        norm=known(norm, ("l2", "linf"), "norm of deepfool"),
    )


class _State(NamedTuple):
    image: Image
    fooled: Array
    steps: Int[Array, ""]


@functools.partial(jax.jit, static_argnames=("candidates", "norm"))
def _stepped(
    network: Network,
    image: Image,
    label: Int[Array, ""],
    target: Int[Array, ""] | None,
    overshoot: Scalar,
    steps: Int[Array, ""] | int,
    *,
    candidates: int,
    norm: str,
) -> Found:
    def scores(x: Image) -> Float[Array, " classes"]:
        return network.features(x, ["logits"])["logits"].astype(image.dtype)

    at_start = scores(image)
    if target is None:
        others = jnp.where(jnp.arange(at_start.size) == label, -jnp.inf, at_start)
        rivals = jax.lax.top_k(others, candidates)[1]
    else:
        rivals = target[None]

    def errs(found: Array) -> Array:
        winner = found.argmax()
        return winner != label if target is None else winner == target

    def step(state: _State) -> _State:
        found, back = jax.vjp(scores, state.image)
        axes = jnp.eye(found.size, dtype=found.dtype)
        slopes = jax.vmap(lambda rival: back(axes[rival] - axes[label])[0])(rivals)
        directions = jax.vmap(NORMS[norm].direction)(slopes)
        growths = jnp.sum(slopes * directions, (1, 2, 3))
        flat = growths <= 0
        gaps = jnp.abs(found[rivals] - found[label]) + CROSSED
        ways = jnp.where(flat, jnp.inf, gaps / jnp.where(flat, 1, growths))
        nearest = ways.argmin()
        length = jnp.where(flat[nearest], 0, (1 + overshoot) * ways[nearest])
        moved = box().project(state.image + length * directions[nearest])
        return _State(moved, errs(scores(moved)), state.steps + 1)

    def goes_on(state: _State) -> Array:
        return ~state.fooled & (state.steps < steps)

    end = jax.lax.while_loop(goes_on, step, _State(image, errs(at_start), jnp.zeros((), jnp.int32)))
    # A forward pass at the start; in each step one with derivatives, and one that looks what came of it.
    return Found(end.image, 1 + 2 * end.steps)
