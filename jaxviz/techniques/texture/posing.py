r"""The problem of texture synthesis, made of symbols.

.. math:: x^* = \mathrm{argmin}_x \sum_l w_l \, d \left( \phi_l(x), \phi_l(y) \right)
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxviz import constraints, parameterizations, tiling
from jaxviz._checks import image as checked_image
from jaxviz._checks import known
from jaxviz._checks import shares as checked_shares
from jaxviz._typing import AnyImage, Array, Key, Number
from jaxviz.networks import Network, bordered, compiled_features
from jaxviz.networks.preprocessing import MEAN_COLOR
from jaxviz.networks.structure import structure
from jaxviz.problem import Problem
from jaxviz.techniques.layers import layer_weights, with_pooling
from jaxviz.techniques.losses import LOSSES
from jaxviz.techniques.texture.presets import PRESETS
from jaxviz.tiling import Tiled


def problem(
    network: Network,
    exemplar: AnyImage | Sequence[AnyImage],
    *,
    size: tuple[int, int] | int | None = None,
    preset: str = "default",
    weights: Mapping[str, Number] | None = None,
    up_to: str | None = None,
    kind: str | None = None,
    shares: Sequence[Number] | None = None,
    tileable: bool = False,
    pooling: str | None = None,
    window: int | None = None,
    key: Key | None = None,
) -> tuple[Problem | Tiled, Array]:
    r"""Returns the problem of synthesizing a texture, and a start of noise.

    .. math:: E(x) = \sum_l w_l \, d \left( \phi_l(x), \phi_l(y) \right), \qquad
              d(f, g) = \frac{1}{4 c^2} \lVert G(f) - G(g) \rVert_F^2

    with G per position, so `size` need not be the exemplar's. The features of several exemplars are pooled by their
    shares, which for Gram matrices is their weighted average.

    Args:
      network: Φ, whose taps are :math:`\phi_l`.
      exemplar: y, RGB, float32, [h, w, 3], in [0, 1]; or several, each of any size.
      size: Height and width of the texture in pixels, or one number for both; None for the first exemplar's.
      preset: "default", or "paper" for the numbers of [1]; what is None below is the preset's.
      weights: :math:`w_l` per layer; 1/5 on each of relu1_1 and pool1 to pool4 [1].
      up_to: The last of these layers that counts, as in figure 2 of [1]; None for all.
      kind: d: "gram"; "covariance", where each channel's mean is subtracted first; "moments", the mean and
        deviation of each channel; or "wasserstein", the distance of the Gaussians of these means and covariances.
      shares: How much of each exemplar is wanted, at least 0; they are divided by their sum. None for equal ones.
      tileable: Whether the opposite borders are to fit, so that the texture can be laid side by side: the network
        then sees them as neighbors. Needs a VGG, and a size of multiples of the deepest layer's stride, 16 for
        pool4, or poolings would fall unlike in the next tile.
      pooling: "max" or "average"; the preset's, for "default" the network's own.
      window: For a texture too large for the memory: about how many pixels, down and across, are seen at a time.
      key: Seeds the start; None stands for `jax.random.key(0)`.

    Returns:
      The problem and its start, [height, width, 3]: gaussian around the exemplar's mean color, of deviation 0.1 and
      kept in [0, 1] ("default"), or around ImageNet's, of deviation 1/255 and kept in the range that each channel
      has in the exemplar ("paper").

    Raises:
      KeyError: If a layer, the preset or the kind does not exist.
      ValueError: If an exemplar is no image or too small for a layer, there is none, a size is below 1, too small
        or for a tileable texture no multiple of the stride, a weight or share is negative, or all are zero.

    Note:
      "paper" is [1] as its authors' program has it, on the network that is given: VGG-19, with weights that are
      rescaled so that features average 1, is not what we ship. Its last step, a histogram match, is that of
      `synthesize`.

    References:
      [1] Gatys, Ecker, Bethge. Texture Synthesis Using Convolutional Neural Networks. NeurIPS 2015.
    """
    usual = PRESETS[known(preset, PRESETS, "preset of texture")]
    values = usual.merged(kind=kind)
    known(values["kind"], LOSSES, "texture loss")
    pictures = checked_exemplars(exemplar)
    parts = checked_shares(shares, len(pictures), "exemplar")
    if window is not None and window < 1:
        raise ValueError(f"window is {window}; expected at least 1 pixel")
    if window is not None and tileable:
        raise ValueError("a tileable texture cannot be seen through windows; leave window or tileable away")
    layers = chosen_layers(network, weights, up_to, preset)
    height, width = size_of(pictures[0], size)
    network = with_pooling(network, pooling or (None if preset == "default" else values["pooling"]))
    summaries = [_seen(network, picture, tuple(layers), window) for picture in pictures]
    made = bordered(network, "circular") if tileable else network
    if tileable:
        _check_multiple(network, (height, width), tuple(layers))
    _check_exists(made, (height, width), tuple(layers))
    ranged = values["colors"] != "kept in [0, 1]"
    box = _range(pictures) if ranged else constraints.box()
    posed = Problem(
        network=made,
        objective=LOSSES[values["kind"]](summaries, weights=layers, shares=shares, precision=made.precision),
        parameterization=parameterizations.pixels(),
        constraint=box,
    )
    noise = jax.random.normal(jax.random.key(0) if key is None else key, (height, width, 3))
    if values["start_center"] == "ImageNet":
        center = jnp.asarray(MEAN_COLOR, jnp.float32)
    else:
        center = (parts[:, None] * jnp.stack([picture.mean((0, 1)) for picture in pictures])).sum(0)
    start = box.project(center + values["start_deviation"] * noise)
    return (posed if window is None else tiling.tiled(posed, window)), start


def chosen_layers(
    network: Network, weights: Mapping[str, Number] | None, up_to: str | None, preset: str
) -> dict[str, Number]:
    """Returns weights per layer, checked: those given or the preset's, up to and including `up_to`."""
    chosen = layer_weights(network, weights, PRESETS[preset].values["weights"])
    if up_to is None:
        return chosen
    ordered = [layer for layer in network.layers if layer in chosen]
    known(up_to, network.layers, f"layer of {network.name or 'this network'}")
    if up_to not in ordered:
        raise ValueError(f"up_to is {up_to!r}; expected one of the layers that count: {', '.join(ordered)}")
    return layer_weights(
        network, {layer: chosen[layer] for layer in ordered[: ordered.index(up_to) + 1]}, chosen
    )


def checked_exemplars(exemplar: Any) -> list[Array]:
    """Returns one picture or several as a list of float32 arrays."""
    if getattr(exemplar, "ndim", 0) == 3:
        return [jnp.asarray(checked_image(exemplar, "exemplar"))]
    if len(exemplar) == 0:
        raise ValueError("there is no exemplar; give at least one picture")
    if getattr(exemplar, "ndim", 4) != 4:
        return [jnp.asarray(checked_image(exemplar, "exemplar"))]
    return [jnp.asarray(checked_image(picture, f"exemplar {i}")) for i, picture in enumerate(exemplar)]


def stride_of(network: Network, layers: Sequence[str]) -> tuple[int, int]:
    """Returns by how many pixels, down and across, an image may be moved so that all layers move with it."""
    parts = structure(network.architecture).parts
    strides = [parts[layer].field.stride for layer in layers]
    for layer, stride in zip(layers, strides, strict=True):
        if not all(stride):
            raise ValueError(f"layer {layer!r} has no positions, so a texture of it has no tiles")
    return math.lcm(*(down for down, _ in strides)), math.lcm(*(across for _, across in strides))


def _seen(network: Network, picture: Array, layers: tuple[str, ...], window: int | None) -> Any:
    if window is None:
        return compiled_features(network, picture, layers)
    return tiling.summary(network, picture, layers, window)


def _range(pictures: Sequence[Array]) -> constraints.Box:
    low = jnp.stack([picture.min((0, 1)) for picture in pictures]).min(0)
    return constraints.Box(low, jnp.stack([picture.max((0, 1)) for picture in pictures]).max(0))


def size_of(exemplar: Any, size: Any) -> tuple[int, int]:
    """Returns a texture's height and width: those asked for, or the first exemplar's."""
    if size is None:
        size = checked_exemplars(exemplar)[0].shape[:2]
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise ValueError(f"size is {height}×{width}; expected at least 1×1")
    return int(height), int(width)


def _check_multiple(network: Network, size: tuple[int, int], layers: tuple[str, ...]) -> None:
    strides = stride_of(network, layers)
    good = tuple(math.ceil(side / stride) * stride for side, stride in zip(size, strides, strict=True))
    if good != size:
        steps = f"{strides[0]}" if strides[0] == strides[1] else f"{strides[0]}×{strides[1]}"
        raise ValueError(
            f"size is {size[0]}×{size[1]}; a tileable texture of these layers needs multiples of {steps}, "
            f"such as {good[0]}×{good[1]}"
        )


def _check_exists(network: Network, size: tuple[int, int], layers: tuple[str, ...]) -> None:
    shape = jax.ShapeDtypeStruct((*size, 3), jnp.float32)
    jax.eval_shape(lambda x: network.features(x, list(layers)), shape)
