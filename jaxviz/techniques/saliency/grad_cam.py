r"""Grad-CAM: where a layer's features speak for a class, each channel by its mean derivative.

.. math:: M = \max \left( 0, \sum_c \alpha_c A_c \right), \quad
          \alpha_c = \frac{1}{pq} \sum_{ij} \frac{\partial S}{\partial A_{ijc}}
"""

from jaxtyping import Array, Float

from jaxviz._typing import Heatmap, Image, Number, Objective
from jaxviz.networks import Network
from jaxviz.techniques.saliency.cam import activation_map


def grad_cam(
    network: Network, image: Image, target: Number | Objective, *, layer: str | None = None
) -> Heatmap:
    r"""Returns where the channels that raise a score are active, at the size of the image.

    .. math:: M = \mathrm{enlarged} \max \left( 0, \sum_c \alpha_c A_c \right), \quad
              \alpha_c = \frac{1}{pq} \sum_{ij} \frac{\partial S}{\partial A_{ijc}}

    with A the taps of `layer` and S the unnormalized score of class `target`, or minus an objective of the taps.
    Enlarged bilinearly. For a batch, `jax.vmap`.

    Args:
      network: One with a classifier, unless `target` is an objective of other taps.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      target: A class index, or an objective of taps that come after `layer`.
      layer: A tap with positions; None for the last one before the classifier, such as SqueezeNet's `fire9` and
        VGG-16's `relu5_3`.

    Returns:
      M, [h, w], at least 0, unnormalized.

    Raises:
      KeyError: If the layer does not exist.
      ValueError: If the image is not one or too small for the layer, the layer has no positions, the class is
        out of range, or the network has no classifier.

    References:
      Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra. Grad-CAM: Visual Explanations from Deep Networks via
      Gradient-based Localization. ICCV 2017, section 3.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> jaxviz.saliency.grad_cam(network, jnp.full((64, 64, 3), 0.5), 285).shape
      (64, 64)
    """
    return activation_map(network, image, target, layer, weigh)


def weigh(tap: Float[Array, "p q c"], slope: Float[Array, "p q c"]) -> Float[Array, "p q"]:
    """Returns what each position contributes, signed."""
    return (tap * slope.mean((0, 1))).sum(-1)
