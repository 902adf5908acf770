"""The fastest that products run on a device, measured: what the pace of a technique is held against."""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jaxviz._checks import known
from jaxviz.costs.timing import timed
from jaxviz.networks.convolution import conv2d
from jaxviz.networks.layers import PRECISIONS

MATRICES = {"cpu": (512, 1024, 2048)}
MATRICES_ELSEWHERE = (2048, 4096, 8192)
"""Rows of square matrices."""
CONVOLUTIONS = ((112, 128), (56, 256), (28, 512))
"""Height and channels of feature maps of VGG-16's at 224², under windows of 3×3."""
BATCH = {"cpu": 1}
BATCH_ELSEWHERE = 16


def ceiling(precision: str = "float32", *, seconds: float | int = 0.3, quick: bool = False) -> dict[str, Any]:
    """Returns the most operations a second that this device reached, of products as large as it likes them.

    Square matrices and 3×3 convolutions of several sizes are tried, each with the type and products that networks
    of this precision have. An addition is an operation, and a multiplication is one.

    Args:
      precision: "float32", "tf32" or "bfloat16".
      seconds: For how long each is repeated; its fastest call counts.
      quick: Whether small ones alone are tried: no measurement.

    Returns:
      `operations_per_second`, `of`, the name of the fastest, and `tried`, name → operations a second.

    Raises:
      KeyError: If there is no such precision.

    Example:
      >>> from jaxviz import costs
      >>> found = costs.ceiling(quick=True)
      >>> found["operations_per_second"] == found["tried"][found["of"]]
      True
    """
    known(precision, PRECISIONS, "precision")
    tried = {}
    for name, function, arguments, operations in _products(precision, quick):
        call = functools.partial(jax.jit(function).lower(*arguments).compile(), *arguments)
        tried[name] = operations / min(timed(call, 0 if quick else seconds))
    best = max(tried, key=lambda name: tried[name])
    return {"operations_per_second": tried[best], "of": best, "tried": tried}


def _products(precision: str, quick: bool) -> Iterator[tuple[str, Any, tuple[Any, ...], float]]:
    kind, exactness = PRECISIONS[precision]
    platform = jax.devices()[0].platform
    key = jax.random.key(0)
    for rows in (128,) if quick else MATRICES.get(platform, MATRICES_ELSEWHERE):
        matrix = jax.random.normal(key, (rows, rows), kind)
        product = functools.partial(jnp.matmul, precision=exactness)
        yield f"{rows}×{rows} matrices", product, (matrix, matrix), 2.0 * rows**3
    batch = BATCH.get(platform, BATCH_ELSEWHERE)
    for side, channels in ((14, 32),) if quick else CONVOLUTIONS:
        maps = jax.random.normal(key, (batch, side, side, channels), kind)
        kernel = jax.random.normal(key, (3, 3, channels, channels), kind)
        convolution = functools.partial(conv2d, padding=((1, 1), (1, 1)), precision=exactness)
        operations = 2.0 * 9 * batch * side**2 * channels**2
        yield f"3×3 convolution, {side}²×{channels}", convolution, (maps, kernel), operations
