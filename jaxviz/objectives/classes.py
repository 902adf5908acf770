"""Objectives of class scores."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from jaxviz._checks import index
from jaxviz._typing import Number, Scalar, Taps, static, symbol
from jaxviz.objectives.parts import tap_of


@symbol
class Logit:
    """Minus one unnormalized class score; made by `logit`."""

    index: Int[Array, ""]
    layer: str = static(default="logits")

    def __call__(self, taps: Taps) -> Scalar:
        """Returns the value for the taps of one image."""
        return -tap_of(taps, self.layer)[self.index]


@symbol
class CrossEntropy:
    """Minus the log-probability of a class; made by `cross_entropy`."""

    label: Int[Array, ""]
    layer: str = static(default="logits")

    def __call__(self, taps: Taps) -> Scalar:
        """Returns the value for the taps of one image."""
        return -jax.nn.log_softmax(tap_of(taps, self.layer))[self.label]


@symbol
class Margin:
    """How far the best other class is ahead of one class; made by `margin`."""

    label: Int[Array, ""]
    layer: str = static(default="logits")

    def __call__(self, taps: Taps) -> Scalar:
        """Returns the value for the taps of one image."""
        scores = tap_of(taps, self.layer)
        others = jnp.where(jnp.arange(scores.size) == self.label, -jnp.inf, scores)
        return others.max() - scores[self.label]


def logit(label: Number, *, layer: str = "logits") -> Logit:
    r"""Returns an objective: minus one class score before the softmax, :math:`-S_c(x)`.

    Minimizing it raises the score. The unnormalized score is used because a probability can also be raised by
    lowering the other classes [1].

    Args:
      label: c, at least 0.
      layer: The tap [classes] that holds the scores.

    Raises:
      ValueError: If `label` is not an integer of at least 0.

    References:
      [1] Simonyan, Vedaldi, Zisserman. Deep Inside Convolutional Networks. ICLR Workshop 2014, section 2.

    Example:
      >>> float(logit(1)({"logits": jnp.array([1.0, 4.0])}))
      -4.0
    """
    return Logit(index(label, "label"), layer)


def cross_entropy(label: Number, *, layer: str = "logits") -> CrossEntropy:
    r"""Returns an objective: the cross-entropy, :math:`\log \sum_k e^{S_k(x)} - S_c(x)`.

    Args:
      label: c, at least 0.
      layer: The tap [classes] that holds the scores.

    Returns:
      A pure function from taps to a float32 scalar, at least 0.

    Raises:
      ValueError: If `label` is not an integer of at least 0.

    Example:
      >>> round(float(cross_entropy(0)({"logits": jnp.zeros(4)})), 4)  # log 4
      1.3863
    """
    return CrossEntropy(index(label, "label"), layer)


def margin(label: Number, *, layer: str = "logits") -> Margin:
    r"""Returns an objective: :math:`\max_{k \ne c} S_k(x) - S_c(x)`, below 0 where class c wins.

    Args:
      label: c, at least 0.
      layer: The tap [classes] that holds the scores, at least two.

    Raises:
      ValueError: If `label` is not an integer of at least 0.

    References:
      Carlini, Wagner. Towards Evaluating the Robustness of Neural Networks. S&P 2017, section V.A, f6.

    Example:
      >>> float(margin(0)({"logits": jnp.array([3.0, 1.0, 2.0])}))
      -1.0
    """
    return Margin(index(label, "label"), layer)
