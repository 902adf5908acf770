"""Trained stylizing networks as the rest of the library sees them: pure functions of one picture and of styles.

Each has `codes`, what it takes of styles, and `draw`, which makes a picture of a picture and a mixture of codes.
So names, paintings, mixtures, masks, grids and films are served by the same functions, whatever was trained.
"""

import functools
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxviz._checks import concrete, known, number
from jaxviz._checks import image as checked_image
from jaxviz._checks import shares as checked_shares
from jaxviz._typing import AnyImage, Image, Number, Params, static, symbol
from jaxviz.networks import Network, bordered
from jaxviz.objectives.moments import VARIANCE_FLOOR
from jaxviz.stylization import transformer
from jaxviz.stylization.decoder import Decoder
from jaxviz.stylization.layers import Codes, mixed, moments
from jaxviz.stylization.transformer import Transformer

LEAST = 16
"""Pixels that a picture must have down and across, for borders to be mirrored at an eighth of its size."""


@runtime_checkable
class Stylizer(Protocol):
    """What `stylize` needs of a trained network."""

    @property
    def stride(self) -> int:
        """What the sides of pictures are filled up to multiples of."""

    def codes(self, styles: Sequence[Any]) -> Any:
        """Returns what the network takes of styles, stacked: [k, …]."""

    def draw(self, image: Image, codes: Any, weights: Array, alpha: Array) -> Image:
        """Returns the stylized picture, of sides that are multiples of `stride`."""


@symbol
class Bank:
    """An image transformation network with one style or a bank of them, each a set of scales and shifts.

    Attributes:
      params: The weights, θ.
      statistics: Running means and variances, of batch normalization alone.
      architecture: The Linen module.
      styles: Names of the styles, in the order of the bank.
      name: The model's.
    """

    params: Params
    statistics: Params
    architecture: Transformer = static()
    styles: tuple[str, ...] = static()
    name: str = static(default="")

    @property
    def stride(self) -> int:
        """What the sides of pictures are filled up to multiples of."""
        return transformer.STRIDE

    def codes(self, styles: Sequence[Any] = ()) -> Codes:
        """Returns scales and shifts of styles of the bank, by normalization, [k, c].

        Args:
          styles: Names; none for all styles.

        Raises:
          KeyError: If a style is not in the bank; the message offers the nearest.
          ValueError: If a style is a picture: a bank knows only those that it was trained for.
        """
        if any(not isinstance(style, str) for style in styles):
            raise ValueError(
                f"{self.name or 'this model'} knows the styles {', '.join(self.styles)} and no others; name one of "
                "them, or take a model of any style"
            )
        rows = [self.styles.index(known(style, self.styles, "style")) for style in styles or self.styles]
        norms = {name: leaf for name, leaf in self.params.items() if "scale" in leaf}
        return jax.tree.map(lambda bank: bank[jnp.asarray(rows)], norms)

    def draw(self, image: Image, codes: Codes, weights: Array, alpha: Array) -> Image:
        """Returns the stylized picture; `alpha` of it is laid over the picture itself."""
        params = {**self.params, **codes}
        count = next(iter(codes.values()))["scale"].shape[0]
        # A module is made for a number of styles; of its bank only some rows, or other ones, are given here.
        architecture: Any = self.architecture.clone(styles=count)
        variables = {"params": params, "statistics": self.statistics}
        drawn = architecture.apply(variables, image[None], weights[None])[0]
        return image + alpha * (drawn - image)


@symbol
class Adaptive:
    r"""Any style: features of the picture get mean and deviation of a painting's, and a decoder draws them.

    .. math:: t = \sigma(s) \frac{\phi(x) - \mu(\phi(x))}{\sigma(\phi(x))} + \mu(s), \quad
              y = D \left( \frac{\alpha t + (1 - \alpha) \phi(x)}{\kappa} \right)

    Attributes:
      params: The decoder's weights.
      encoder: The frozen network, with mirrored borders.
      architecture: The decoder.
      scale: κ, the size of the encoder's features.
      layer: The encoder's tap φ.
      name: The model's.

    References:
      Huang, Belongie. Arbitrary Style Transfer in Real-Time with Adaptive Instance Normalization. ICCV 2017, eq. 8
      and 14.
    """

    params: Params
    encoder: Network
    architecture: Decoder = static()
    scale: float = static(default=1.0)
    layer: str = static(default="relu4_1")
    name: str = static(default="")

    @property
    def stride(self) -> int:
        """What the sides of pictures are filled up to multiples of."""
        return 8

    def codes(self, styles: Sequence[Any]) -> dict[str, Float[Array, "k c"]]:
        """Returns mean and deviation of the features of paintings, [k, c].

        Raises:
          ValueError: If there is none, or one is no picture of at least 16×16 pixels.
        """
        if not len(styles):
            raise ValueError(
                f"{self.name or 'this model'} draws in the style of a picture; give at least one"
            )
        found = []
        for k, style in enumerate(styles):
            if isinstance(style, str):
                raise ValueError(
                    f"style {style!r} is a name; {self.name or 'this model'} takes pictures, as images.read gives"
                )
            found.append(
                _style_code(
                    self.encoder, _large_enough(checked_image(style, f"style {k}"), "style"), self.layer
                )
            )
        return jax.tree.map(lambda *rows: jnp.stack(rows), *found)

    def draw(self, image: Image, codes: Any, weights: Array, alpha: Array) -> Image:
        """Returns the stylized picture, in [0, 1]."""
        features = self.encoder.features(image, [self.layer])[self.layer]
        wanted = adapted(features, codes, weights)
        between = features + alpha * (wanted - features)
        drawn = self.architecture.apply({"params": self.params}, between[None] / self.scale)
        return jnp.clip(drawn[0], 0, 1)


def adapted(
    features: Float[Array, "h w c"], codes: Any, weights: Float[Array, "k"] | Float[Array, "k H W"]
) -> Float[Array, "h w c"]:
    """Returns features with the mean and deviation of a mixture of styles: adaptive instance normalization."""
    mean, variance = moments(features[None], (1, 2))
    shape = (1, *features.shape)
    deviation, shift = (mixed(weights[None], codes[name], shape) for name in ("deviation", "mean"))
    return ((features[None] - mean) * jax.lax.rsqrt(variance + VARIANCE_FLOOR) * deviation + shift)[0]


def style_code(features: Float[Array, "h w c"]) -> dict[str, Float[Array, "c"]]:
    """Returns mean and deviation of each channel of a painting's features."""
    mean, variance = moments(features, (0, 1))
    return {"mean": mean.reshape(-1), "deviation": jnp.sqrt(variance.reshape(-1) + VARIANCE_FLOOR)}


@functools.partial(jax.jit, static_argnums=2)
def _style_code(encoder: Network, style: AnyImage, layer: str) -> Any:
    return style_code(encoder.features(style, [layer])[layer])


def adaptive(encoder: Network, params: Params, architecture: Decoder, **more: Any) -> Adaptive:
    """Returns a model of any style from its parts, the encoder with mirrored borders; `more` as of `Adaptive`."""
    return Adaptive(params, bordered(encoder, "reflect"), architecture, **more)


def stylize(
    model: Stylizer,
    image: Image,
    codes: Any,
    *,
    weights: Sequence[Number] | Array | np.ndarray | None = None,
    alpha: Number = 1.0,
) -> Image:
    """Returns a picture in a style, or in a mixture of styles, in one pass of a trained network.

    Args:
      model: From `load`, or trained here.
      image: RGB, float32, [h, w, 3], in [0, 1]; of any size from 16×16. It is filled up to the network's stride by
        mirroring, and cut again.
      codes: From `model.codes(styles)`.
      weights: How much of each style, [k], divided by their sum; or at each pixel, [k, h, w], as masks, divided by
        their sum there; None for equal ones. At least 0.
      alpha: How much of the style, in [0, 1]; 0 is the picture itself, as the network can draw it.

    Returns:
      The stylized picture, [h, w, 3], in [0, 1].

    Raises:
      ValueError: If the picture is none or too small, or the weights have another shape, are negative or zero.

    References:
      Johnson, Alahi, Fei-Fei. Perceptual Losses for Real-Time Style Transfer and Super-Resolution. ECCV 2016.
      Huang, Belongie. Arbitrary Style Transfer in Real-Time with Adaptive Instance Normalization. ICCV 2017,
      section 7.2: trade-off, interpolation, spatial control.

    Example:
      >>> from jaxviz import stylization
      >>> model = stylization.initialize("transformer", jax.random.key(0), styles=("a", "b"), width=4, blocks=1)
      >>> jax.jit(stylization.stylize)(model, jnp.full((18, 21, 3), 0.5), model.codes(["b"])).shape
      (18, 21, 3)
    """
    picture = jnp.asarray(_large_enough(checked_image(image), "image"))
    share = number(alpha, "alpha", 0, 1)
    count = jax.tree.leaves(codes)[0].shape[0]
    h, w = picture.shape[:2]
    wanted = checked_weights(weights, count, (h, w))
    below, right = -h % model.stride, -w % model.stride
    filled = jnp.pad(picture, ((0, below), (0, right), (0, 0)), mode="reflect")
    if wanted.ndim == 3:
        wanted = jnp.pad(wanted, ((0, 0), (0, below), (0, right)), mode="edge")
    return jnp.clip(model.draw(filled, codes, wanted, share)[:h, :w], 0, 1)


def checked_weights(weights: Any, count: int, size: tuple[int, int]) -> Array:
    """Returns weights of styles, of sum 1, [k] or [k, h, w]; raises ValueError where they are no such."""
    if weights is None or (isinstance(weights, list | tuple) and all(jnp.ndim(w) == 0 for w in weights)):
        return checked_shares(weights, count, "style")
    given = jnp.asarray(weights, jnp.float32)
    if given.ndim == 1:
        return checked_shares(list(given), count, "style")
    if given.shape != (count, *size):
        raise ValueError(
            f"weights have shape {list(given.shape)}; expected {[count, *size]}, one mask of the picture's size "
            "for each style"
        )
    total = given.sum(0)
    if concrete(given) and (not bool(jnp.isfinite(given).all()) or float(given.min()) < 0):
        raise ValueError("masks hold NaN, infinite or negative values; expected [0, 1]")
    if concrete(total) and float(total.min()) <= 0:
        raise ValueError("masks are zero in all styles at some pixels; give each pixel a style")
    return given / total


def _large_enough(image: AnyImage, name: str) -> AnyImage:
    h, w = image.shape[:2]
    if min(h, w) < LEAST:
        raise ValueError(f"{name} has {w}×{h} pixels; expected at least {LEAST}×{LEAST}")
    return image


def initialize(
    kind: str,
    key: Any,
    *,
    styles: Sequence[str] = ("style",),
    encoder: Network | None = None,
    **attributes: Any,
) -> Bank | Adaptive:
    """Returns a model with random weights, to be trained.

    Args:
      kind: "transformer" or "decoder".
      key: Seeds the weights.
      styles: Names of a transformer's styles.
      encoder: A decoder's encoder.
      attributes: Of `Transformer` or `Decoder`.

    Raises:
      KeyError: If there is no such kind.
    """
    known(kind, ("transformer", "decoder"), "kind of model")
    if kind == "transformer":
        norm = attributes.pop("norm", "conditional-instance" if len(styles) > 1 else "instance")
        module = Transformer(norm=norm, styles=len(styles), **attributes)
        variables = _drawn(module, key, (1, 16, 16, 3), (1, len(styles)))
        return Bank(variables["params"], variables.get("statistics", {}), module, tuple(styles))
    if encoder is None:
        raise ValueError('a decoder needs encoder=, such as jaxviz.load("vgg16")')
    depths = tuple(encoder.architecture.depths[:3])
    decoder = Decoder(depths=depths, **attributes)
    variables = _drawn(decoder, key, (1, 2, 2, encoder.shapes["relu4_1"][-1]))
    return adaptive(encoder, variables["params"], decoder)


def _drawn(module: nn.Module, key: Any, *shapes: tuple[int, ...]) -> Any:
    return jax.jit(module.init)(key, *(jnp.zeros(shape) for shape in shapes))
