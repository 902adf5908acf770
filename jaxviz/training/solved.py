r"""First weights of a decoder, by least squares: each convolution finds what the encoder had before its own.

.. math:: W_l = \arg\min_W \sum_x \lVert W * h_{l+1}(x) - \psi_l(x) / \kappa_l \rVert^2 + \lambda \lVert W \rVert^2,
          \qquad h_l = \max(0, W_l * h_{l+1})

with ψ the features of the encoder in the decoder's order, the last ones the pixels, and h of the first one its last
features. Every layer is solved for what those before it really give, so that it makes up for their errors.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxviz._typing import AnyImage
from jaxviz.networks import Network, compiled_features
from jaxviz.networks.borders import padded
from jaxviz.networks.convolution import conv2d
from jaxviz.networks.vgg import WIDTHS
from jaxviz.stylization.decoder import Decoder
from jaxviz.stylization.upsampling import AROUND, upsampled, upsampled_conv2d

POINTS = 256
"""Places of each picture that are looked at: as many as its deepest features have at 128²."""
RIDGE = 1e-4
"""λ, of the mean square of what is multiplied."""
Layer = tuple[str, bool, int, str | None, bool]


def solved(
    encoder: Network,
    architecture: Decoder,
    pictures: Sequence[AnyImage],
    *,
    scale: float = 1.0,
    layer: str = "relu4_1",
) -> Any:
    """Returns the parameters of a decoder that draws pictures from an encoder's features, without any training.

    Of a slim decoder, each layer finds every s-th of the encoder's channels. It takes as long as some fifty steps
    of training, and gives what a thousand do not: colors and edges, if coarse ones.

    Args:
      encoder: A VGG.
      architecture: Of the decoder.
      pictures: RGB in [0, 1], of one shape, sides multiples of 8; two hundred of 128² are enough. Of each, arrays
        of the size of its widest features are kept.
      scale: κ, by which features are divided before they are decoded.
      layer: Whose features these are.

    Raises:
      ValueError: If there is no picture, or one that has another shape or sides that are no multiples of 8.
    """
    if not len(pictures):
        raise ValueError("there is no picture; give those that the decoder is to draw")
    shapes = {picture.shape for picture in pictures}
    if len(shapes) > 1 or any(side % 8 for side in pictures[0].shape[:2]):
        told = ", ".join(sorted(f"{shape[1]}×{shape[0]}" for shape in shapes))
        raise ValueError(
            f"pictures have {told} pixels; give pictures of one shape, with sides that are multiples of 8"
        )
    plan = list(_layers(architecture))
    random = np.random.default_rng(0)
    shown = [_shown(encoder, picture, layer, plan, random) for picture in pictures]
    hidden = [features / scale for features, _, _ in shown]
    params: dict[str, Any] = {}
    for name, up, _, tap, _ in plan:
        wanted = [found[name] for _, _, found in shown]
        size = 1.0 if tap is None else float(np.sqrt(np.mean([np.mean(w**2) for w in wanted])))
        squares, products = np.zeros(1), np.zeros(1)
        for features, (_, at, _), w in zip(hidden, shown, wanted, strict=True):
            more = _sums(features, up, at[name], w / size)
            squares, products = squares + np.asarray(more[0]), products + np.asarray(more[1])
        ridge = RIDGE * np.trace(squares) / len(squares)
        found = np.linalg.solve(squares + ridge * np.eye(len(squares)), products).astype(np.float32)
        kernel = found[:-1].reshape(3, 3, -1, found.shape[1])
        params[name] = {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(found[-1])}
        if tap is not None:
            hidden = [_applied(features, up, params[name]) for features in hidden]
    return params


def _shown(
    encoder: Network, picture: AnyImage, layer: str, plan: Sequence[Layer], random: np.random.Generator
) -> tuple[Array, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns a picture's last features, places that are looked at, and what each layer is to find there."""
    taps = compiled_features(encoder, jnp.asarray(picture), (layer, *(tap for *_, tap, _ in plan if tap)))
    at, found = {}, {}
    for name, _, width, tap, pooled in plan:
        wanted = jnp.asarray(picture) - 0.5 if tap is None else taps[tap]
        wanted = _halved(wanted) if pooled else wanted
        flat = wanted.reshape(-1, wanted.shape[-1])
        at[name] = random.choice(len(flat), min(POINTS, len(flat)), replace=False)
        found[name] = np.asarray(flat[at[name]])[:, np.arange(width) * (flat.shape[1] // width)]
    return taps[layer], at, found


def _layers(architecture: Decoder) -> Iterator[Layer]:
    """Yields of each layer: name, whether it doubles the sides, width, what it finds, whether that is halved."""
    depths, slimness = architecture.depths, architecture.slimness
    yield "conv4_1", False, WIDTHS[2] // slimness, f"relu3_{depths[2]}", True
    for stage in (3, 2, 1):
        for k in range(depths[stage - 1], 0, -1):
            up = k == depths[stage - 1]
            if k > 1:
                yield f"conv{stage}_{k}", up, WIDTHS[stage - 1] // slimness, f"relu{stage}_{k - 1}", False
            elif stage > 1:
                tap = f"relu{stage - 1}_{depths[stage - 2]}"
                yield f"conv{stage}_1", up, WIDTHS[stage - 2] // slimness, tap, True
            else:
                yield "conv1_1", up, 3, None, False


@jax.jit
def _halved(x: Array) -> Array:
    h, w, c = x.shape
    return x.reshape(h // 2, 2, w // 2, 2, c).max((1, 3))


@functools.partial(jax.jit, static_argnums=1)
def _sums(x: Array, up: bool, at: Array, wanted: Array) -> tuple[Array, Array]:
    """Returns the sums over places of the products of windows with themselves, and with what is wanted."""
    x = padded(upsampled(x[None]) if up else x[None], AROUND, "reflect")[0]
    width = x.shape[1] - 2
    rows, columns = at // width, at % width
    windows = [x[rows + i, columns + j] for i in range(3) for j in range(3)]
    window = jnp.concatenate([*windows, jnp.ones((len(at), 1))], 1)
    squares, products = (jnp.matmul(window.T, other, precision="highest") for other in (window, wanted))
    return squares, products


@functools.partial(jax.jit, static_argnums=1)
def _applied(x: Array, up: bool, layer: Any) -> Array:
    if up:
        drawn = upsampled_conv2d(x[None], layer["kernel"])
    else:
        drawn = conv2d(padded(x[None], AROUND, "reflect"), layer["kernel"])
    return jax.nn.relu(drawn[0] + layer["bias"])
