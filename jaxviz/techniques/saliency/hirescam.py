r"""HiResCAM: where a layer's features speak for a class, each times the derivative at its own place.

.. math:: M = \max \left( 0, \sum_c A_c \odot \frac{\partial S}{\partial A_c} \right)
"""

from jaxtyping import Array, Float

from jaxviz._typing import Heatmap, Image, Number, Objective
from jaxviz.networks import Network
from jaxviz.techniques.saliency.cam import activation_map


def hirescam(
    network: Network, image: Image, target: Number | Objective, *, layer: str | None = None
) -> Heatmap:
    r"""Returns where the features of a layer raise a score, at the size of the image.

    .. math:: M = \mathrm{enlarged} \max \left( 0, \sum_c A_c \odot \frac{\partial S}{\partial A_c} \right)

    with A the taps of `layer` and S the unnormalized score of class `target`, or minus an objective of the taps.
    Unlike Grad-CAM no derivative is averaged over positions, so that the sum before the maximum is exactly what
    each place adds to the score, where only a linear layer or a mean follows A. Enlarged bilinearly. For a batch,
    `jax.vmap`.

    Args:
      network: One with a classifier, unless `target` is an objective of other taps.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      target: A class index, or an objective.
      layer: A tap with positions; None for the last one before the classifier, such as SqueezeNet's `fire9`.

    Returns:
      M, [h, w], at least 0, unnormalized, in units of the score.

    Raises:
      KeyError: If the layer does not exist.
      ValueError: If the image is not one or too small for the layer, the layer has no positions, the class is
        out of range, or the network has no classifier.

    References:
      Draelos, Carin. Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
      networks. arXiv 2011.08891, 2020.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> jaxviz.saliency.hirescam(network, jnp.full((64, 64, 3), 0.5), 285).shape
      (64, 64)
    """
    return activation_map(network, image, target, layer, weigh)


def weigh(tap: Float[Array, "p q c"], slope: Float[Array, "p q c"]) -> Float[Array, "p q"]:
    """Returns what each position contributes, signed."""
    return (tap * slope).sum(-1)
