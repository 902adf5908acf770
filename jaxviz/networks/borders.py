"""What a convolution finds outside of its features, where that is not zeros: put around them beforehand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxviz.networks.convolution import Padding


def padded(x: Float[Array, "n h w c"], padding: Padding, mode: str) -> Float[Array, "n h2 w2 c"]:
    """Returns features with borders around them, as `jnp.pad` makes them; its derivative is reverse-mode only.

    XLA's CPU backend copies all features once for each side. As a gather it copies them once, or not at all where
    they are just made; its derivative would be a scatter, which is slow, so that is `jnp.pad`'s.

    Args:
      x: Features.
      padding: Rows (above, below), columns (left, right).
      mode: As of `jnp.pad`.
    """
    return _padded(x, padding, mode)


def _plain(x, padding, mode):
    return jnp.pad(x, ((0, 0), *padding, (0, 0)), mode=mode)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _padded(x, padding, mode):
    rows, columns = (np.pad(np.arange(x.shape[i + 1]), padding[i], mode=mode) for i in (0, 1))
    return lax.platform_dependent(
        x,
        cpu=lambda x: x[:, rows[:, None], columns[None]],
        default=functools.partial(_plain, padding=padding, mode=mode),
    )


def _forward(x, padding, mode):
    return _padded(x, padding, mode), x.shape


def _backward(padding, mode, shape, g):
    blank = jax.ShapeDtypeStruct(shape, g.dtype)
    return jax.linear_transpose(functools.partial(_plain, padding=padding, mode=mode), blank)(g)


_padded.defvjp(_forward, _backward)
