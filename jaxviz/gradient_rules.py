r"""∇: the derivative rules that a network's ReLUs may follow, all with the same forward pass.

A rule is set for a whole network by `dataclasses.replace(network, relu=rule)`. With x what went in and g the
derivative by what came out, the derivative by what went in is

==================  ===========================
`plain`             :math:`g \cdot [x > 0]`
`guided`            :math:`g \cdot [x > 0] \cdot [g > 0]`
`deconvnet`         :math:`g \cdot [g > 0]`
==================  ===========================

The last two are no derivatives of any function: what they carry back is a picture of what a unit looks for.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def plain(x: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Returns max(0, x), with its own derivative.

    .. math:: g_\mathrm{in} = g_\mathrm{out} \cdot [x > 0]

    Example:
      >>> jax.vjp(plain, jnp.array([-1.0, 0.0, 2.0]))[1](jnp.ones(3))[0].tolist()
      [0.0, 0.0, 1.0]
    """
    return jax.nn.relu(x)


@jax.custom_vjp
def guided(x: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Returns max(0, x); backwards only what raises the score passes, and only where the unit was active.

    .. math:: g_\mathrm{in} = g_\mathrm{out} \cdot [x > 0] \cdot [g_\mathrm{out} > 0]

    References:
      Springenberg, Dosovitskiy, Brox, Riedmiller. Striving for Simplicity: The All Convolutional Net. ICLR
      Workshop 2015, section 3.4.

    Example:
      >>> jax.vjp(guided, jnp.array([-1.0, 2.0, 2.0]))[1](jnp.array([1.0, 1.0, -1.0]))[0].tolist()
      [0.0, 1.0, 0.0]
    """
    return jax.nn.relu(x)


guided.defvjp(lambda x: (jax.nn.relu(x), x > 0), lambda active, g: (jnp.where(active, jax.nn.relu(g), 0),))


@jax.custom_vjp
def deconvnet(x: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Returns max(0, x); backwards the derivative itself is rectified, whatever went in.

    .. math:: g_\mathrm{in} = g_\mathrm{out} \cdot [g_\mathrm{out} > 0]

    References:
      Zeiler, Fergus. Visualizing and Understanding Convolutional Networks. ECCV 2014, section 2.1.

    Example:
      >>> jax.vjp(deconvnet, jnp.array([-1.0, 2.0, 2.0]))[1](jnp.array([1.0, 1.0, -1.0]))[0].tolist()
      [1.0, 1.0, 0.0]
    """
    return jax.nn.relu(x)


deconvnet.defvjp(lambda x: (jax.nn.relu(x), None), lambda _, g: (jax.nn.relu(g),))
