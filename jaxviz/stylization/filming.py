"""Films: frames in, stylized frames out, some at once, one after the other for whoever takes them."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array

from jaxviz import images
from jaxviz._checks import whole
from jaxviz._typing import Image, Number
from jaxviz.batching import batched
from jaxviz.stylization.models import Stylizer, stylize
from jaxviz.stylization.temporal import Steady

BATCH = 8
"""Frames at once: enough for two on each of four cores, and few enough to be held at any size."""


def film(
    model: Stylizer,
    frames: Iterable[np.ndarray],
    codes: Any,
    *,
    weights: Sequence[Number] | Array | None = None,
    alpha: Number = 1.0,
    steadiness: Number | Steady = 0.0,
    batch: int = BATCH,
) -> Iterator[images.Picture]:
    """Returns an iterator of stylized frames; of any number of them in the same memory.

    Args:
      model: As for `stylize`.
      frames: RGB, [h, w, 3], of one size, floats in [0, 1] or bytes, as `video.read` gives them.
      codes: From `model.codes(styles)`.
      weights: As for `stylize`, the same for all frames.
      alpha: As for `stylize`.
      steadiness: β of `Steady`, or one, which tells the flicker afterwards. 0 draws each frame by itself.
      batch: Frames that are stylized at once.

    Raises:
      ValueError: If an argument is out of range, or, while iterating, a frame has another size than the first.

    Example:
      >>> from jaxviz import stylization
      >>> model = stylization.initialize("transformer", jax.random.key(0), width=4, blocks=1)
      >>> frames = (np.full((24, 32, 3), 40 * k, np.uint8) for k in range(3))
      >>> [frame.shape for frame in stylization.film(model, frames, model.codes(), batch=2)]
      [(24, 32, 3), (24, 32, 3), (24, 32, 3)]
    """
    steady = steadiness if isinstance(steadiness, Steady) else Steady(steadiness)
    return _film(model, iter(frames), codes, weights, alpha, steady, whole(batch, "batch"))


def _film(
    model: Stylizer,
    frames: Iterator[np.ndarray],
    codes: Any,
    weights: Any,
    alpha: Number,
    steady: Steady,
    batch: int,
) -> Iterator[images.Picture]:
    draw = batched(_drawn, in_axes=(None, 0, None, None, None))
    size = None
    while taken := list(itertools.islice(frames, batch)):
        for frame in taken:
            size = size or frame.shape[:2]
            if frame.shape[:2] != size:
                found = f"{frame.shape[1]}×{frame.shape[0]}"
                raise ValueError(
                    f"a frame has {found} pixels; expected {size[1]}×{size[0]}, as the first one has"
                )
        pictures = np.stack([images.to_floats(frame) for frame in taken])
        for picture, styled in zip(pictures, draw(model, pictures, codes, weights, alpha), strict=True):
            yield np.asarray(steady(picture, styled) if steady.active else styled)


def _drawn(model: Any, image: Image, codes: Any, weights: Any, alpha: Any) -> Image:
    return stylize(model, image, codes, weights=weights, alpha=alpha)
