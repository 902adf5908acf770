r"""The smallest ball in which projected gradient descent still fools the network, by halving."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from jaxviz._checks import image as checked_image
from jaxviz._checks import known, whole
from jaxviz._typing import Image, Number, Objective, Scalar
from jaxviz.networks import Network
from jaxviz.norms import NORMS
from jaxviz.optimizers import steepest_descent
from jaxviz.problem import Problem
from jaxviz.techniques.attacks.climbing import Found, checked_steps, climbed, counted
from jaxviz.techniques.attacks.judging import UntilFooled
from jaxviz.techniques.attacks.pgd import REACH
from jaxviz.techniques.attacks.posing import SHARE, allowed, radius
from jaxviz.techniques.classes import adversarial


@counted
def minimum(
    network: Network,
    image: Image,
    label: Number,
    *,
    epsilon: Number | None = None,
    norm: str = "linf",
    loss: str = "cross-entropy",
    steps: int = 20,
    searches: int = 10,
    target: Number | None = None,
) -> Found:
    r"""Returns the attack in the smallest ball in which projected gradient descent succeeds.

    .. math:: \epsilon^* = \min \{ \epsilon : \mathrm{pgd}_\epsilon(x) \; \text{fools} \}

    First the largest ball is tried; then the interval between a radius that is too small and one that is large
    enough is halved. An attack ends at its first success, so the distance of that counts where it is below the
    radius. All attacks are one program; each starts from the image and takes steps of 2.5 ε over their number.

    Args:
      network: One with a classifier.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      label: y, the class to leave.
      epsilon: The largest ε, at least 0, for the maximum norm at most 1; None for 8/255, 3 or 75 in the norms
        "linf", "l2" and "l1".
      norm: That of the ball and of the steps.
      loss: What is climbed, as for `pgd`.
      steps: Of each attack, 1 to 1023.
      searches: Attacks after the first, at least 0: the radius is known to 2 to the minus this of the largest.
      target: t, the class to reach; None for any other than `label`.

    Returns:
      The nearest image found that fools the network, [h, w, 3], in [0, 1]; if none was, the best in the largest
      ball.

    Raises:
      KeyError: If there is no such norm or loss.
      ValueError: If the image is not one, a number or class is out of range, `target` is `label`, or the network
        has no classifier.

    References:
      Madry, Makelov, Schmidt, Tsipras, Vladu. Towards Deep Learning Models Resistant to Adversarial Attacks. ICLR
      2018, for the attack.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> image = jnp.full((64, 64, 3), 0.5)
      >>> best = jax.jit(lambda network, x: network.features(x)["logits"].argmax())
      >>> label = int(best(network, image))
      >>> near = jaxviz.attacks.minimum(network, image, label, steps=4, searches=3)
      >>> int(best(network, near)) == label
      False
    """
    return _halved(
        network,
        checked_image(image),
        adversarial(network, label, target, loss),
        adversarial(network, label, target, "margin"),
        radius(epsilon, norm),
        checked_steps(steps),
        whole(searches, "searches", 0),
        known(norm, NORMS, "norm"),
    )


class _Search(NamedTuple):
    """How far the halving is: after no attack `high` is the largest radius, and nothing is known to be fooled."""

    low: Scalar
    high: Scalar
    best: Image
    fooled: Bool[Array, ""]
    attacks: Int[Array, ""]
    queries: Int[Array, ""]


@functools.partial(jax.jit, static_argnames="norm")
def _halved(
    network: Network,
    image: Image,
    objective: Objective,
    gap: Objective,
    largest: Scalar,
    steps: int | Array,
    searches: int | Array,
    norm: str,
) -> Found:
    def attack(search: _Search) -> _Search:
        first = search.attacks == 0
        epsilon = jnp.where(first, search.high, (search.low + search.high) / 2)
        posed = Problem(network, objective, constraint=allowed(image, epsilon, norm))
        rule = steepest_descent(REACH * epsilon / steps, norm=norm, share=SHARE)
        found = climbed(UntilFooled(posed, gap), image[None], rule, steps, jax.random.key(0))
        fooled = gap(network.features(found.image, ["logits"])) < 0
        distance = NORMS[norm].measure(jnp.asarray(found.image - image))
        return _Search(
            jnp.where(fooled, search.low, epsilon),
            jnp.where(fooled, jnp.minimum(distance, epsilon), search.high),
            jnp.where(first | (fooled & (distance <= search.high)), found.image, search.best),
            search.fooled | fooled,
            search.attacks + 1,
            search.queries + found.queries + 1,
        )

    def goes_on(search: _Search) -> Array:
        return (search.attacks == 0) | (search.fooled & (search.attacks <= searches))

    zero, none = jnp.zeros((), image.dtype), jnp.zeros((), jnp.int32)
    begin = _Search(zero, largest.astype(image.dtype), image, jnp.zeros((), bool), none, none)
    end = jax.lax.while_loop(goes_on, attack, begin)
    return Found(end.best, end.queries)
