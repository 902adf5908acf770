"""The Linen building blocks that the architectures share."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from jaxviz.networks.borders import padded
from jaxviz.networks.convolution import UNPADDED, Padding, Pair, conv2d
from jaxviz.networks.pooling import average_pool, max_pool

POOLED = "pooled"
"""The name under which `jax.checkpoint` keeps what is pooled: at most a quarter of what it is pooled from."""


def _named(pool: Callable[..., Array]) -> Callable[..., Array]:
    @functools.wraps(pool)
    def named(*arguments: Any, **options: Any) -> Array:
        return checkpoint_name(pool(*arguments, **options), POOLED)

    return named


POOLINGS: dict[str, Callable[..., Array]] = {"max": _named(max_pool), "average": _named(average_pool)}

PRECISIONS = {
    "float32": (jnp.float32, lax.Precision.HIGHEST),
    "tf32": (jnp.float32, lax.Precision.HIGH),
    "bfloat16": (jnp.bfloat16, lax.Precision.DEFAULT),
}
"""Name → the type that features are stored in, and how exactly products are made."""

BORDERS = {"zero": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""What a padded convolution finds outside of its features: nothing, as trained, or → a mode of `jnp.pad`."""


class _Layer(nn.Module):
    def _weight(self, name: str, initializer: Callable[..., Array], shape: tuple[int, ...]) -> Array:
        # `param` traces the initializer at each call to check the shape: half the time of tracing a network.
        if self.has_variable("params", name):
            return self.get_variable("params", name)
        return self.param(name, initializer, shape)


class Conv(_Layer):
    """A convolution, of parameters `kernel` [kh, kw, c, d] and, unless left away, `bias` [d]."""

    features: int
    window: int = 3
    stride: int = 1
    padding: int = 0
    precision: str = "float32"
    use_bias: bool = True
    borders: str = "zero"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 d"]:
        """Returns the features before their nonlinearity."""
        strides: Pair = (self.stride, self.stride)
        padding: Padding = ((self.padding, self.padding), (self.padding, self.padding))
        if self.borders != "zero" and self.padding:
            x = padded(x, padding, BORDERS[self.borders])
            padding = UNPADDED
        return self._shifted(conv2d(x, self._kernel(x), strides, padding, PRECISIONS[self.precision][1]))

    def _kernel(self, x: Array) -> Array:
        shape = (self.window, self.window, x.shape[-1], self.features)
        he_normal = nn.initializers.normal((2 / (self.window**2 * x.shape[-1])) ** 0.5)
        return self._weight("kernel", he_normal, shape).astype(x.dtype)

    def _shifted(self, y: Array) -> Array:
        if not self.use_bias:
            return y
        return y + self._weight("bias", nn.initializers.zeros, (self.features,)).astype(y.dtype)


class BatchNorm(_Layer):
    r"""Batch normalization with frozen statistics, of parameters `scale`, `bias`, `mean`, `variance` [c].

    .. math:: y_c = \gamma_c \frac{x_c - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}} + \beta_c

    References:
      Ioffe, Szegedy. Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
      Shift. ICML 2015, algorithm 2.
    """

    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        """Returns the normalized features."""
        shape = (x.shape[-1],)
        scale = self._weight("scale", nn.initializers.ones, shape)
        bias = self._weight("bias", nn.initializers.zeros, shape)
        mean = self._weight("mean", nn.initializers.zeros, shape)
        variance = self._weight("variance", nn.initializers.ones, shape)
        factor = scale * lax.rsqrt(variance + jnp.asarray(self.epsilon, variance.dtype))
        return x * factor.astype(x.dtype) + (bias - mean * factor).astype(x.dtype)


class Dense(_Layer):
    """A fully connected layer, of parameters `kernel` [c, d] and `bias` [d]."""

    features: int
    precision: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n c"]) -> Float[Array, "n d"]:
        """Returns the features before their nonlinearity."""
        he_normal = nn.initializers.normal((2 / x.shape[-1]) ** 0.5)
        kernel = self._weight("kernel", he_normal, (x.shape[-1], self.features)).astype(x.dtype)
        bias = self._weight("bias", nn.initializers.zeros, (self.features,)).astype(x.dtype)
        return jnp.matmul(x, kernel, precision=PRECISIONS[self.precision][1]) + bias


def precise(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Returns features in float32 at least, as class scores are: 8 bits cannot tell scores of 30 apart by 0.1."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def fits(x: Float[Array, "n h w c"], window: int, padding: int = 0) -> bool:
    """Returns whether a window has room in the features; where it has not, a network ends early."""
    return min(x.shape[1:3]) + 2 * padding >= window
