r"""Guided Grad-CAM: guided backpropagation where Grad-CAM is bright."""

from jaxviz._typing import Image, Number, Objective
from jaxviz.networks import Network
from jaxviz.techniques.saliency.grad_cam import grad_cam
from jaxviz.techniques.saliency.guided import guided


def guided_grad_cam(
    network: Network, image: Image, target: Number | Objective, *, layer: str | None = None
) -> Image:
    r"""Returns guided backpropagation, each pixel times Grad-CAM's value there.

    .. math:: M = \mathrm{guided}(x) \odot \mathrm{GradCAM}(x)

    Fine as the one and of the class as the other. For a batch, `jax.vmap`.

    Args:
      network: As for `grad_cam`.
      image: As for `grad_cam`.
      target: As for `grad_cam`.
      layer: Of Grad-CAM, as for `grad_cam`.

    Returns:
      M, [h, w, 3], signed.

    Raises:
      KeyError, ValueError: As for `grad_cam`.

    References:
      Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra. Grad-CAM: Visual Explanations from Deep Networks via
      Gradient-based Localization. ICCV 2017, section 3.2.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> jaxviz.saliency.guided_grad_cam(network, jnp.full((64, 64, 3), 0.5), 285).shape
      (64, 64, 3)
    """
    where = grad_cam(network, image, target, layer=layer)
    return guided(network, image, target) * where[..., None]
