r"""Projected gradient descent: steps of steepest ascent in a norm from random starts, kept in ball and box.

.. math:: x_{k+1} = P_{B_\epsilon(x) \cap [0, 1]} \left( x_k + \alpha \, d(\nabla_x J(x_k, y)) \right)
"""

from jaxviz._typing import Image, Key, Number
from jaxviz.networks import Network
from jaxviz.optimizers import steepest_descent
from jaxviz.techniques.attacks.climbing import (
    Found,
    checked_steps,
    climb,
    counted,
    starts,
)
from jaxviz.techniques.attacks.posing import SHARE, problem, radius

REACH = 2.5
"""Radii of the ball that all steps together cover, where no step size is given."""


@counted
def pgd(
    network: Network,
    image: Image,
    label: Number,
    *,
    epsilon: Number | None = None,
    norm: str = "linf",
    loss: str = "cross-entropy",
    step_size: Number | None = None,
    steps: int = 10,
    restarts: int = 1,
    diversity: float | int = 0.0,
    translations: int = 0,
    early_exit: bool = False,
    target: Number | None = None,
    key: Key | int | None = None,
) -> Found:
    r"""Returns the projected gradient attack on one image: the best point reached from random starts.

    .. math:: x_{k+1} = P_{B_\epsilon(x) \cap [0, 1]} \left( x_k + \alpha \, d(\nabla_x J(x_k, y)) \right)

    with d the direction of norm 1 along which J grows fastest: its derivative's sign, for the Euclidean norm the
    derivative of length 1, for the sum norm the signs of its largest hundredth [2]. With a `target`, J(x, t) falls.
    For a batch, `jax.vmap` or `batched`: all starts and steps are one program.

    Args:
      network: One with a classifier.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      label: y, the class to leave.
      epsilon: ε, at least 0, in units of [0, 1] pixels, for the maximum norm at most 1. None for 8/255, 3 or 75 for
        the norms "linf", "l2" and "l1".
      norm: That of the ball and of the steps.
      loss: J: "cross-entropy", "score" or "margin", as for `problem`.
      step_size: α, at least 0; None for 2.5 ε / `steps` [1].
      steps: Gradient steps from each start, 1 to 1023.
      restarts: Starts drawn uniformly from the ball and clipped to colors; 0 for the image itself.
      diversity: How often a step sees a smaller copy of the image at a random place on black, in [0, 1] [3].
      translations: Pixels over which derivatives are averaged, as if the image were shifted [4]; 0 for none.
      early_exit: Whether the attack ends at the first point that fools the network. Not together with diversity.
      target: t, the class to reach; None for any other than `label`.
      key: A random key, or a seed; None for 0.

    Returns:
      The point that was reached of largest J, for a target of least, [h, w, 3], in [0, 1], at most ε from `image`;
      with diversity, the last one of the best start.

    Raises:
      KeyError: If there is no such norm or loss.
      ValueError: If the image is not one, a number or class is out of range, `target` is `label`, or the network
        has no classifier.

    Note:
      The papers return the last point; this is the one of least loss, which takes one evaluation more.

    References:
      [1] Madry, Makelov, Schmidt, Tsipras, Vladu. Towards Deep Learning Models Resistant to Adversarial Attacks.
          ICLR 2018.
      [2] Tramèr, Boneh. Adversarial Training and Robustness for Multiple Perturbations. NeurIPS 2019, algorithm 1.
      [3] Xie, Zhang, Zhou, Bai, Wang, Ren, Yuille. Improving Transferability of Adversarial Examples with Input
          Diversity. CVPR 2019.
      [4] Dong, Pang, Su, Zhu. Evading Defenses to Transferable Adversarial Examples by Translation-Invariant
          Attacks. CVPR 2019.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> image = jnp.full((64, 64, 3), 0.5)
      >>> attacked = jaxviz.attacks.pgd(network, image, 285, epsilon=1.0, norm="l2", steps=2)
      >>> float(jnp.linalg.norm(attacked - image)) <= 1 + 1e-6
      True
    """
    posed, x = problem(network, image, label, epsilon=epsilon, norm=norm, loss=loss, target=target)
    bound, steps = radius(epsilon, norm), checked_steps(steps)
    size = REACH * bound / steps if step_size is None else step_size
    points = starts(x, bound, norm, restarts, key)
    rule = steepest_descent(size, norm=norm, share=SHARE)
    return climb(
        network,
        label,
        posed,
        points,
        rule,
        steps,
        diversity=diversity,
        translations=translations,
        early_exit=early_exit,
        target=target,
        key=key,
    )
