r"""Auto-PGD: projected gradient descent with momentum that chooses its steps by itself."""

from jaxviz._typing import Image, Key, Number
from jaxviz.networks import Network
from jaxviz.optimizers import automatic_descent
from jaxviz.techniques.attacks.climbing import Found, checked_steps, climb, counted, starts
from jaxviz.techniques.attacks.posing import problem, radius


@counted
def apgd(
    network: Network,
    image: Image,
    label: Number,
    *,
    epsilon: Number | None = None,
    norm: str = "linf",
    loss: str = "cross-entropy",
    steps: int = 100,
    restarts: int = 1,
    early_exit: bool = False,
    target: Number | None = None,
    key: Key | int | None = None,
) -> Found:
    r"""Returns the Auto-PGD attack on one image, which needs no step size.

    .. math:: y_k = P ( x_k + \eta \, d(\nabla J(x_k, y)) ), \quad
              x_{k+1} = P ( x_k + 0.75 (y_k - x_k) + 0.25 (x_k - x_{k-1}) )

    with P the projection on ball and box and d as for `pgd`. The step η begins at 2 ε; at a few looks back it is
    halved, and the run goes on from its best point, where too few steps helped: `optimizers.automatic_descent`.

    Args:
      network: One with a classifier.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      label: y, the class to leave.
      epsilon: As for `pgd`.
      norm: "linf" or "l2".
      loss: As for `pgd`.
      steps: Gradient steps from each start, 1 to 1023.
      restarts: As for `pgd`.
      early_exit: As for `pgd`.
      target: The class to reach; None for any other than `label`.
      key: A random key, or a seed; None for 0.

    Returns:
      The point of least loss among all that were reached, [h, w, 3], in [0, 1], at most ε from `image`.

    Raises:
      KeyError, ValueError: As for `pgd`.

    References:
      Croce, Hein. Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free
      Attacks. ICML 2020, algorithm 1.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> image = jnp.full((64, 64, 3), 0.5)
      >>> attacked = jaxviz.attacks.apgd(network, image, 285, epsilon=1 / 4, steps=3)
      >>> bool(jnp.abs(attacked - image).max() <= 0.25)
      True
    """
    posed, x = problem(network, image, label, epsilon=epsilon, norm=norm, loss=loss, target=target)
    bound, steps = radius(epsilon, norm), checked_steps(steps)
    points = starts(x, bound, norm, restarts, key)
    rule = automatic_descent(2 * bound, steps, norm=norm)
    return climb(network, label, posed, points, rule, steps, early_exit=early_exit, target=target, key=key)
