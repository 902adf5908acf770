r"""Universal perturbations: one small change that makes a network err about most pictures.

.. math:: v^* = \mathrm{argmax}_{\lVert v \rVert \le \epsilon} E_i [ \min(J(\mathrm{clip}(x_i + v), y_i), \beta) ]
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax.sharding import Mesh

from jaxviz import constraints
from jaxviz._checks import known, number, random_key, whole
from jaxviz._typing import Image, Key, Number, symbol
from jaxviz.networks import Network
from jaxviz.objectives import Floored
from jaxviz.optimization import Solution, minimize
from jaxviz.optimizers import Optimizer, momentum_descent
from jaxviz.techniques.attacks.population import (
    Images,
    Labels,
    Population,
    adversaries,
    checked_population,
    population,
)
from jaxviz.techniques.attacks.posing import SHARE, radius
from jaxviz.techniques.classes import LOSSES

STEPS, BATCH = 100, 8
CAP = 9.0
REACH = 0.25
"""Length of a step as a share of the ball's radius."""


@symbol
class Added:
    """The change of a picture by a perturbation of its size, clipped to colors."""

    def __call__(self, key: Key, z: Image, image: Image) -> Image:
        """Returns the changed picture; nothing is drawn."""
        return jnp.clip(image + z, 0, 1)


def problem(
    network: Network,
    images: Images,
    labels: Labels,
    *,
    epsilon: Number | None = None,
    norm: str = "linf",
    loss: str = "cross-entropy",
    cap: Number = CAP,
    target: Number | None = None,
    batch: int = BATCH,
    mesh: Mesh | None = None,
) -> tuple[Population, Image]:
    """Returns the problem of a universal perturbation, and its start, which changes nothing; as for `universal`."""
    bound = radius(epsilon, norm)
    known(loss, LOSSES, "loss of an attack")
    pictures, classes = checked_population(network, images, labels, target)
    most = number(cap, "cap", 0)
    objectives = adversaries(network, classes, len(pictures), target, loss)
    if target is None:
        objectives = Floored(objectives, jnp.full(len(pictures), -most))
    ball = constraints.ball(0.0, bound, norm=norm)
    start = jnp.zeros(pictures.shape[1:])
    return population(network, jnp.asarray(pictures), objectives, Added(), ball, start, batch, mesh)


def schedule(
    start: Any,
    *,
    epsilon: Number | None = None,
    norm: str = "linf",
    step_size: Number | None = None,
    steps: int = STEPS,
) -> tuple[int, Optimizer]:
    """Returns the evaluations that `steps` steps and the point that they end at need, and the optimizer."""
    size = REACH * radius(epsilon, norm) if step_size is None else step_size
    return whole(steps, "steps") + 1, momentum_descent(size, norm=norm, share=SHARE)


def universal(
    network: Network,
    images: Images,
    labels: Labels,
    *,
    epsilon: Number | None = None,
    norm: str = "linf",
    loss: str = "cross-entropy",
    cap: Number = CAP,
    step_size: Number | None = None,
    steps: int = STEPS,
    batch: int = BATCH,
    target: Number | None = None,
    key: Key | int | None = None,
    mesh: Mesh | None = None,
    on_chunk: Callable[[Solution], None] | None = None,
) -> Image:
    r"""Returns a universal perturbation: one that, added to any of many pictures, makes a network err about most.

    .. math:: v^* = \mathrm{argmax}_{\lVert v \rVert \le \epsilon}
              E_i [ \min(J(\mathrm{clip}(x_i + v), y_i), \beta) ]

    from 0, by steps on the mean loss of a few pictures [2]. As in `mifgsm`, a step follows the sum of all
    derivatives so far, each divided by its sum norm: few pictures' derivative alone is mostly noise. With a
    `target` t, J(x, t) falls.

    Args:
      network: One with a classifier.
      images: x_i, of one size, RGB, float32, in [0, 1]: the more and the more varied, the better v works on others.
      labels: y_i, the class of each, which it is to leave; by the definition of [1] the network's own best. With a
        target, pictures of its class are left out; None, with a target alone, for unknown.
      epsilon: ε, as for `pgd`.
      norm: That of the ball and of the steps, as for `pgd`.
      loss: J, as for `pgd`.
      cap: β, at least 0, at which a picture's J is cut, so that no few pictures outweigh all others [2]. Has no
        influence where there is a target.
      step_size: Length of a step in the norm, at least 0; None for ε / 4.
      steps: Steps, at least 1.
      batch: Pictures that a step looks at, a multiple of the number of devices.
      target: t, the class to reach; None for any other than the labels.
      key: A random key, or a seed, that draws pictures; None for 0.
      mesh: Devices to share the pictures of a step among, from `jaxviz.mesh`.
      on_chunk: As for `minimize`.

    Returns:
      v, signed, of the last step, [h, w, 3], at most ε long.

    Raises:
      KeyError: If there is no such norm or loss.
      ValueError: If there is no picture, one is none or of another size, labels are missing or of another number, a
        number or class is out of range, all pictures are of the target's class, or `batch` cannot be shared.
      Interrupted: On Ctrl-C in the main thread, with the perturbation so far.

    References:
      [1] Moosavi-Dezfooli, Fawzi, Fawzi, Frossard. Universal Adversarial Perturbations. CVPR 2017.
      [2] Shafahi, Najibi, Xu, Dickerson, Davis, Goldstein. Universal Adversarial Training. AAAI 2020, section 3.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> pictures = np.full((2, 64, 64, 3), 0.5, np.float32)
      >>> v = jaxviz.attacks.universal(network, pictures, [904, 794], epsilon=1 / 4, steps=2, batch=2)
      >>> v.shape, bool(jnp.abs(v).max() <= 0.25)
      ((64, 64, 3), True)
    """
    seed = random_key(0 if key is None else key)
    posed, start = problem(
        network,
        images,
        labels,
        epsilon=epsilon,
        norm=norm,
        loss=loss,
        cap=cap,
        batch=batch,
        target=target,
        mesh=mesh,
    )
    evaluations, optimizer = schedule(start, epsilon=epsilon, norm=norm, step_size=step_size, steps=steps)
    return minimize(posed, start, steps=evaluations, optimizer=optimizer, key=seed, on_chunk=on_chunk).value
