"""∇: the derivative rules that a network's ReLUs may follow, all with the same forward pass.

A rule is set for a whole network by `dataclasses.replace(network, relu=rule)`.
"""

import jax
from jaxtyping import Array, Float


def plain(x: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Returns max(0, x), with its own derivative.

    .. math:: g_\mathrm{in} = g_\mathrm{out} \cdot [x > 0]

    Example:
      >>> jax.vjp(plain, jnp.array([-1.0, 0.0, 2.0]))[1](jnp.ones(3))[0].tolist()
      [0.0, 0.0, 1.0]
    """
    return jax.nn.relu(x)
