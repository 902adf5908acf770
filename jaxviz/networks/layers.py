"""The Linen building blocks that the architectures share."""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxviz.networks.primitives import Padding, Pair, average_pool, conv2d, max_pool

POOLINGS: dict[str, Callable[..., Array]] = {"max": max_pool, "average": average_pool}

PRECISIONS = {
    "float32": (jnp.float32, lax.Precision.HIGHEST),
    "tf32": (jnp.float32, lax.Precision.HIGH),
    "bfloat16": (jnp.bfloat16, lax.Precision.DEFAULT),
}
"""Name → the type that features are stored in, and how exactly products are made."""


class Conv(nn.Module):
    """A convolution with bias, of parameters `kernel` [kh, kw, c, d] and `bias` [d]."""

    features: int
    window: int = 3
    stride: int = 1
    padding: int = 0
    precision: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 d"]:
        """Returns the features before their nonlinearity."""
        shape = (self.window, self.window, x.shape[-1], self.features)
        he_normal = nn.initializers.normal((2 / (self.window**2 * x.shape[-1])) ** 0.5)
        kernel = self._weight("kernel", he_normal, shape).astype(x.dtype)
        bias = self._weight("bias", nn.initializers.zeros, (self.features,)).astype(x.dtype)
        strides: Pair = (self.stride, self.stride)
        padding: Padding = ((self.padding, self.padding), (self.padding, self.padding))
        return conv2d(x, kernel, strides, padding, PRECISIONS[self.precision][1]) + bias

    def _weight(self, name: str, initializer: Callable[..., Array], shape: tuple[int, ...]) -> Array:
        # `param` traces the initializer at each call to check the shape: half the time of tracing a network.
        if self.has_variable("params", name):
            return self.get_variable("params", name)
        return self.param(name, initializer, shape)
