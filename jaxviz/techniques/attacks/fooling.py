r"""Fooling images: climb from anywhere until the network sees the class that is asked for."""

from jaxviz import constraints
from jaxviz._checks import image as checked_image
from jaxviz._checks import known, number
from jaxviz._typing import Image, Number
from jaxviz.networks import Network
from jaxviz.norms import NORMS
from jaxviz.optimizers import steepest_descent
from jaxviz.problem import Problem
from jaxviz.techniques.attacks.climbing import Found, checked_steps, climb, counted
from jaxviz.techniques.attacks.posing import SHARE, allowed, radius
from jaxviz.techniques.classes import adversarial

STEP_SIZES = {"linf": 1 / 255, "l2": 0.5, "l1": 50.0}
"""Lengths of a step in each norm, for pictures of about 224² pixels in [0, 1]."""


@counted
def fooling(
    network: Network,
    image: Image,
    label: Number,
    *,
    norm: str = "l2",
    loss: str = "score",
    epsilon: Number | None = None,
    step_size: Number | None = None,
    steps: int = 200,
    target: Number | None = None,
) -> Found:
    r"""Returns a fooling image: steps from any image until the network sees another class, and no further.

    .. math:: x_{k+1} = P_C \left( x_k + \alpha \, d(\nabla_x S_t(x_k)) \right)
              \quad \text{until} \quad \mathrm{argmax}_c S_c(x_k) = t

    with d the direction of norm 1 along which the score S grows fastest. C are the colors in [0, 1]; with an
    `epsilon` only those images that lie within ε of the start. Start from a photograph, from grey, or from noise;
    where the start has large scores of other classes, as noise may, "margin" climbs past them.

    Args:
      network: One with a classifier.
      image: x₀, RGB, float32, [h, w, 3], in [0, 1].
      label: y, the class to leave. Has no influence where there is a `target`.
      norm: That of steps and ball: "linf", "l2" or "l1".
      loss: What is climbed: "score", "cross-entropy" or "margin", as for `problem`.
      epsilon: ε, at least 0, for the maximum norm at most 1; None for no ball.
      step_size: α, at least 0; None for 1/255, 0.5 or 50 in the norms "linf", "l2" and "l1".
      steps: At most so many, 1 to 1023.
      target: t, the class that is to be seen; None for any other than `label`.

    Returns:
      The first point that fools the network, or if none does that of largest score, [h, w, 3], in [0, 1].

    Raises:
      KeyError: If there is no such norm or loss.
      ValueError: If the image is not one, a number or class is out of range, `target` is `label`, or the network
        has no classifier.

    References:
      Szegedy, Zaremba, Sutskever, Bruna, Erhan, Goodfellow, Fergus. Intriguing Properties of Neural Networks. ICLR
      2014, section 4; Nguyen, Yosinski, Clune. Deep Neural Networks are Easily Fooled. CVPR 2015, section 2.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> image = jnp.full((64, 64, 3), 0.5)
      >>> fooled = jaxviz.attacks.fooling(network, image, 904, target=1)
      >>> int(jax.jit(lambda network, x: network.features(x)["logits"].argmax())(network, fooled))
      1
    """
    x = checked_image(image)
    known(norm, NORMS, "norm")
    constraint = constraints.box() if epsilon is None else allowed(x, radius(epsilon, norm), norm)
    posed = Problem(network, adversarial(network, label, target, loss), constraint=constraint)
    size = STEP_SIZES[norm] if step_size is None else number(step_size, "step_size", 0)
    rule = steepest_descent(size, norm=norm, share=SHARE)
    return climb(network, label, posed, x[None], rule, checked_steps(steps), early_exit=True, target=target)
