"""The same weights in a network that pools, or treats its borders, in another way."""

import dataclasses

from jaxviz._checks import known
from jaxviz.networks.layers import BORDERS, POOLINGS
from jaxviz.networks.network import Network


def pooled(network: Network, pooling: str) -> Network:
    """Returns a network with another pooling.

    Args:
      network: Any.
      pooling: "max" or "average".

    Raises:
      KeyError: If there is no such pooling.

    Example:
      >>> from jaxviz.networks import pooled
      >>> pooled(jaxviz.load("vgg16"), "average").architecture.pooling
      'average'
    """
    architecture = network.architecture.clone(pooling=known(pooling, POOLINGS, "pooling"))
    return dataclasses.replace(network, architecture=architecture)


def bordered(network: Network, borders: str, first: str = "") -> Network:
    """Returns a network whose convolutions find something else than zeros outside of their features.

    Args:
      network: A VGG.
      borders: A key of `BORDERS`: "zero", "reflect", "replicate" or "circular".
      first: The same for the first convolution, where it differs.

    Raises:
      KeyError: If there are no such borders.
      ValueError: If the network has no choice of them.

    Example:
      >>> from jaxviz.networks import bordered
      >>> wrapped = bordered(jaxviz.load("vgg16"), "circular")
      >>> image = jax.random.uniform(jax.random.key(0), (16, 16, 3))
      >>> rolled = jnp.roll(image, 5, axis=1)
      >>> a, b = (wrapped.features(x, ["relu1_2"])["relu1_2"] for x in (image, rolled))
      >>> bool(jnp.allclose(jnp.roll(a, 5, axis=1), b, atol=1e-3))
      True
    """
    for name in (borders, first or borders):
        known(name, BORDERS, "kind of borders")
    if not hasattr(network.architecture, "borders"):
        raise ValueError(f"{network.name or 'this network'} has no choice of borders; take a VGG")
    architecture = network.architecture.clone(borders=borders, first_borders=first)
    return dataclasses.replace(network, architecture=architecture)
