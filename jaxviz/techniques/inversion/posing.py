r"""The problem of feature inversion, made of symbols.

.. math:: x^* = \mathrm{argmin}_x \frac{\lVert \Phi(x) - \Phi(x_0) \rVert^2}{\lVert \Phi(x_0) \rVert^2} + R(x)
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxviz import constraints, parameterizations, priors, tiling
from jaxviz._checks import image as checked_image
from jaxviz._checks import known, number
from jaxviz._typing import Array, Image, Key, Number
from jaxviz.networks import Network, compiled_features
from jaxviz.networks.preprocessing import MEAN_COLOR
from jaxviz.objectives import match_features
from jaxviz.problem import Problem
from jaxviz.techniques.inversion.presets import PRESETS, PUBLISHED, TYPICAL_RMS
from jaxviz.techniques.layers import head_taps, layer_weights
from jaxviz.tiling import Tiled

Layers = str | Sequence[str] | Mapping[str, Number]


def problem(
    network: Network,
    image: Image,
    *,
    layer: Layers,
    preset: str = "default",
    tv_weight: Number | None = None,
    tv_beta: Number | None = None,
    alpha_weight: Number | None = None,
    alpha: Number | None = None,
    window: int | None = None,
    key: Key | None = None,
) -> tuple[Problem | Tiled, Array]:
    r"""Returns the problem of inverting an image's features of one layer or more, and a start of noise.

    With n = 3hw values and m the mean color of ImageNet,

    .. math:: E(x) = \sum_l w_l \frac{\lVert \phi_l(x) - \phi_l(x_0) \rVert^2}{\lVert \phi_l(x_0) \rVert^2}
              + \lambda_\beta \, TV^\beta(x) + \lambda_\alpha \sum |x - m|^\alpha .

    Args:
      network: Φ.
      image: x₀, RGB, float32, [h, w, 3], in [0, 1].
      layer: The tap :math:`\phi_l` to invert; or several, each with weight 1; or weights :math:`w_l` by layer. The
        classifier's, such as fc6, need a network with one, and VGGs and AlexNet 224×224 pixels.
      preset: "default": :math:`\lambda_\beta` is `tv_weight` / n, β is 2, no α-norm, pixels kept in [0, 1],
        L-BFGS. "paper": the published weights for pixels in 0–255 [1], :math:`\lambda_\beta` =
        `tv_weight` · 255^β / (2 σ²) and :math:`\lambda_\alpha` = `alpha_weight` · 255^α / (2 σ²) with
        σ² = 255² · 0.24² n the squared norm of a typical image, pixels free, momentum in three stages.
      tv_weight: Overrides the preset's 2 ("default") or 10 ("paper": 1 suits low layers, 100 high ones).
      tv_beta: Overrides the preset's β, at least 1.
      alpha_weight: Overrides the preset's 0 ("default") or 8e-10 ("paper").
      alpha: Overrides the preset's α of 6, at least 1.
      window: For a picture too large for the memory: about how many pixels, down and across, are seen at a time.
      key: Seeds the start; None stands for `jax.random.key(0)`.

    Returns:
      The problem and its start, [h, w, 3]: gaussian around m, of deviation 0.01 ("default") or 0.24 ("paper").

    Raises:
      KeyError: If a layer or the preset does not exist.
      ValueError: If the image is not one, a layer is the classifier's and there is none, or the image has not the
        size that it needs; if there is no layer, or a number is out of range; if a layer of a classifier is to be
        seen through windows.

    Note:
      [1] used AlexNet; this preset runs on any network. Its σ was measured on the authors' pictures, ours on
      300 photographs.

    References:
      [1] Mahendran, Vedaldi. Understanding Deep Image Representations by Inverting Them. CVPR 2015.
    """
    weights = inverted_layers(network, layer)
    chosen = PRESETS[known(preset, PRESETS, "preset of inversion")]
    image = checked_image(image)
    elements = image.size
    values = chosen.merged(tv_weight=tv_weight, tv_beta=tv_beta, alpha_weight=alpha_weight, alpha=alpha)
    tv_weight, tv_beta = number(values["tv_weight"], "tv_weight", 0), number(values["tv_beta"], "tv_beta", 1)
    alpha_weight, alpha = (
        number(values["alpha_weight"], "alpha_weight", 0),
        number(values["alpha"], "alpha", 1),
    )
    squared_norm = 255**2 * TYPICAL_RMS**2 * elements

    def scaled(weight: Array, exponent: Array) -> Array:
        if chosen.units == PUBLISHED:
            return weight * 255.0**exponent / (2 * squared_norm)
        return weight / elements

    smooth = priors.total_variation(tv_beta, weight=scaled(tv_weight, tv_beta))
    bounded = priors.alpha_norm(
        alpha, center=np.asarray(MEAN_COLOR, np.float32), weight=scaled(alpha_weight, alpha)
    )
    if window is None:
        taps = compiled_features(network, image, tuple(weights))
    else:
        taps = tiling.features(network, image, tuple(weights), window)
    posed = Problem(
        network=network,
        objective=match_features(taps, weights=weights, reduction="relative"),
        parameterization=parameterizations.pixels(),
        prior=priors.total(smooth, bounded),
        constraint=None if values["colors"] == "free" else constraints.box(),
    )
    noise = start(image.shape, jax.random.key(0) if key is None else key, preset)
    return (posed if window is None else tiling.tiled(posed, window)), noise


def start(shape: tuple[int, ...], key: Key, preset: str) -> Array:
    """Returns the noise that a preset starts from."""
    deviation = PRESETS[preset].values["start_deviation"]
    return jnp.asarray(MEAN_COLOR, jnp.float32) + deviation * jax.random.normal(key, shape)


def inverted_layers(network: Network, layer: Layers) -> dict[str, Number]:
    """Returns weights by layer, checked: those given, or 1 for each.

    Raises:
      KeyError: If a layer does not exist.
      ValueError: If there is none, all weights are zero, or a layer is that of a classifier which is not there.
    """
    named = [layer] if isinstance(layer, str) else layer
    weights = dict(named) if isinstance(named, Mapping) else dict.fromkeys(named, 1.0)
    if not weights:
        raise ValueError("layer is empty; give at least one")
    for name in weights:
        if name not in network.layers and name in head_taps(network.architecture):
            raise ValueError(
                f"{network.name or 'this network'} has no classifier, so no {name}; take alexnet or "
                "vgg16_classifier, or weights with one"
            )
    return layer_weights(network, weights, weights)
