r"""The problem of style transfer, made of symbols.

.. math:: E(x) = \alpha \sum_l \frac{w_l}{n_l} \lVert \phi_l(x) - \phi_l(p) \rVert^2
          + \beta \sum_l v_l \, d \left( \phi_l(x), \phi_l(a) \right) + \lambda \, TV(x)
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxviz import constraints, parameterizations, priors, tiling
from jaxviz._checks import concrete, known, number
from jaxviz._checks import image as checked_image
from jaxviz._checks import shares as checked_shares
from jaxviz._typing import AnyImage, Array, Image, Key, Number, Objective
from jaxviz.networks import Network, bordered, compiled_features
from jaxviz.networks.preprocessing import MEAN_COLOR
from jaxviz.objectives import (
    Summary,
    match_features,
    summarize,
    weighted_sum,
)
from jaxviz.problem import Problem
from jaxviz.techniques.layers import layer_weights, with_pooling
from jaxviz.techniques.losses import STYLE_LOSSES as LOSSES
from jaxviz.techniques.style import guides
from jaxviz.techniques.style.presets import NEAREST_LAYERS, PRESETS
from jaxviz.tiling import Tiled

STARTS = ("content", "noise", "statistics")


def problem(
    network: Network,
    content: Image,
    styles: Sequence[AnyImage],
    *,
    preset: str = "default",
    content_weight: Number | None = None,
    style_weight: Number | None = None,
    content_weights: Mapping[str, Number] | None = None,
    style_weights: Mapping[str, Number] | None = None,
    shares: Sequence[Number] | None = None,
    masks: Sequence[Any] | None = None,
    style_loss: str | None = None,
    tv_weight: Number | None = None,
    init: str | AnyImage | None = None,
    pooling: str | None = None,
    window: int | None = None,
    key: Key | None = None,
) -> tuple[Problem | Tiled, Array]:
    r"""Returns the problem of style transfer, and its start.

    .. math:: E(x) = \alpha \sum_l \frac{w_l}{n_l} \lVert \phi_l(x) - \phi_l(p) \rVert^2
              + \beta \sum_l v_l \, d \left( \phi_l(x), \phi_l(a) \right) + \lambda \, TV(x)

    with :math:`n_l` the elements of tap l, and d the distance that `style_loss` names. The features of several
    styles are pooled by their shares, which for Gram matrices is their weighted average; the distances from the
    nearest features of each are averaged. With masks each style is compared with its own region of the picture,
    :math:`\sum_k s_k \, d_k`.

    Args:
      network: Φ, whose taps are :math:`\phi_l`.
      content: p, RGB, float32, [h, w, 3], in [0, 1].
      styles: One or more images a, each of any size; their size sets the size of the strokes. One picture in
        several sizes mixes small strokes and large ones.
      preset: "default", "gatys2016", "gatys_notebook", "neural_style" or "crowsonkb"; what is None below is the
        preset's.
      content_weight: α, at least 0.
      style_weight: β, at least 0. That of "default" depends on `style_loss`, whose values differ in scale.
      content_weights: :math:`w_l` per layer; 1 on relu4_2 [1].
      style_weights: :math:`v_l` per layer; 1/5 on each of relu1_1 to relu5_1 [1]; of "nearest", which joins them,
        1/3 on each of relu3_1 to relu3_3 [3].
      shares: How much of each style is wanted, at least 0; they are divided by their sum. None for equal ones.
      masks: For each style where it goes, [h, w], in [0, 1], soft or hard [2]; None for everywhere.
      style_loss: "gram", or "covariance", where each channel's mean is subtracted first; "moments", the mean and
        deviation of each channel; "wasserstein", the distance of the Gaussians of these means and covariances; or
        "nearest", the mean cosine distance of each position's features from the nearest of the style's [3].
      tv_weight: λ of the total variation with exponent 2, at least 0.
      init: "content"; "noise"; "statistics", noise of the styles' mean color and color covariance; or an image of
        the content's size.
      pooling: "max" or "average"; the preset's, for "default" the network's own.
      window: For a picture too large for the memory: about how many pixels, down and across, are seen at a time.
      key: Seeds the noise; None stands for `jax.random.key(0)`.

    Returns:
      The problem and its start, [h, w, 3].

    Raises:
      KeyError: If a layer, the preset, the style loss or the start does not exist.
      ValueError: If an image is not one, there is no style, the start or a mask has another size than the content,
        a mask is zero everywhere, a weight or share is negative, or all are zero.

    References:
      [1] Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural Networks. CVPR 2016.
      [2] Gatys, Ecker, Bethge, Hertzmann, Shechtman. Controlling Perceptual Factors in Neural Style Transfer.
          CVPR 2017.
      [3] Zhang, Kolkin, Bi, Luan, Xu, Shechtman, Snavely. ARF: Artistic Radiance Fields. ECCV 2022.
    """
    usual = PRESETS[known(preset, PRESETS, "preset of style")]
    values = usual.merged(
        content_weight=content_weight,
        style_weight=style_weight,
        style_loss=style_loss,
        tv_weight=tv_weight,
        init=init,
    )
    known(values["style_loss"], LOSSES, "style loss")
    if style_weight is None and isinstance(values["style_weight"], Mapping):
        values["style_weight"] = values["style_weight"][values["style_loss"]]
    content = jnp.asarray(checked_image(content, "content"))
    pictures = _checked_styles(styles)
    alpha = number(values["content_weight"], "content_weight", 0)
    beta = number(values["style_weight"], "style_weight", 0)
    if concrete(alpha + beta) and alpha + beta == 0:
        raise ValueError("content_weight and style_weight are both zero; give one above zero")
    network = with_pooling(network, pooling or (None if preset == "default" else values["pooling"]))
    if values["first_borders"] != "zero":
        network = bordered(network, "zero", values["first_borders"])
    content_layers = layer_weights(network, content_weights, usual.values["content_weights"])
    by_position = values["style_loss"] == "nearest"
    style_layers = layer_weights(
        network, style_weights, NEAREST_LAYERS if by_position else usual.values["style_weights"]
    )
    seen = _Seen(network, window, tuple(content_layers), tuple(style_layers))
    matched = match_features(
        seen.features(content), weights=content_layers, reduction=values["content_reduction"]
    )
    terms: list[tuple[Array, Objective]] = [(alpha, matched)]
    names = ["content"]
    exemplars = [seen.style_taps(each) if by_position else seen.summary(each) for each in pictures]
    loss = functools.partial(LOSSES[values["style_loss"]], precision=network.precision)
    if masks is None:
        terms.append((beta, loss(exemplars, weights=style_layers, shares=shares)))
        names.append("style")
    else:
        parts = checked_shares(shares, len(pictures), "style")
        regions = guides.checked(masks, len(pictures), content.shape[:2])
        shapes = seen.shapes(content, tuple(style_layers))
        for k, (exemplar, region) in enumerate(zip(exemplars, regions, strict=True)):
            guide = guides.guides(region, shapes)
            terms.append((beta * parts[k], loss(exemplar, weights=style_layers, guides=guide)))
            names.append(f"style {k + 1}" if len(pictures) > 1 else "style")
    weight = number(values["tv_weight"], "tv_weight", 0)
    smooth = (
        priors.nine_point(weight=weight)
        if values["smoothness"] == "nine point"
        else priors.total_variation(weight=weight)
    )
    box = constraints.box()
    posed = Problem(
        network=network,
        objective=weighted_sum(*terms, names=tuple(names)),
        parameterization=parameterizations.pixels(),
        prior=smooth,
        constraint=None if values["colors"] == "free" else box,
    )
    start = _start(content, pictures, shares, values, key)
    start = start if values["colors"] == "free" else box.project(start)
    return (posed if window is None else tiling.tiled(posed, window)), start


class _Seen:
    """A network as targets are taken from it: one program for both serves content and style of equal size."""

    def __init__(
        self, network: Network, window: int | None, content: tuple[str, ...], style: tuple[str, ...]
    ):
        self.network, self.window, self.content, self.style = network, window, content, style
        self.both = tuple(sorted({*content, *style}))

    def features(self, picture: Array) -> Any:
        if self.window is None:
            return compiled_features(self.network, picture, self.both)
        return tiling.features(self.network, picture, self.content, self.window)

    def style_taps(self, picture: Array) -> Any:
        if self.window is None:
            return compiled_features(self.network, picture, self.both)
        return tiling.features(self.network, picture, self.style, self.window)

    def summary(self, picture: Array) -> Summary:
        if self.window is not None:
            return tiling.summary(self.network, picture, self.style, self.window)
        taps = compiled_features(self.network, picture, self.both)
        return summarize({layer: taps[layer] for layer in self.style})

    def shapes(self, picture: Array, layers: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
        taps = jax.eval_shape(lambda x: self.network.features(x, list(layers)), picture)
        return {layer: tap.shape for layer, tap in taps.items()}


def _checked_styles(styles: Any) -> list[Array]:
    if hasattr(styles, "ndim") and styles.ndim == 3:
        raise ValueError("styles is one picture; expected a list of pictures: [picture]")
    if len(styles) == 0:
        raise ValueError("styles is empty; give at least one picture")
    return [jnp.asarray(checked_image(style, f"style {i}")) for i, style in enumerate(styles)]


def _start(
    content: Array, styles: list[Array], shares: Any, values: Mapping[str, Any], key: Key | None
) -> Array:
    init = values["init"]
    if not isinstance(init, str):
        start = checked_image(init, "init")
        if start.shape != content.shape:
            raise ValueError(
                f"init has shape {list(start.shape)}; expected the content's {list(content.shape)}"
            )
        return jnp.asarray(start)
    if known(init, STARTS, "start") == "content":
        return jnp.asarray(content)
    noise = jax.random.normal(jax.random.key(0) if key is None else key, content.shape)
    if init == "noise":
        from_content = values["noise_center"] == "content"
        center = jnp.asarray(content).mean((0, 1)) if from_content else jnp.asarray(MEAN_COLOR, jnp.float32)
        return center + values["noise_deviation"] * noise
    weights = checked_shares(shares, len(styles), "style")
    means = jnp.stack([style.mean((0, 1)) for style in styles])
    product = functools.partial(jnp.matmul, precision="highest")
    mean = product(weights, means)
    apart = [(style - mean).reshape(-1, 3) for style in styles]
    parts = [w * product(x.T, x) / x.shape[0] for w, x in zip(weights, apart, strict=True)]
    covariance = jnp.stack(parts).sum(0)
    return mean + product(noise, jnp.linalg.cholesky(covariance + 1e-6 * jnp.eye(3)).T)
