"""The same weights in a network that pools, treats its borders, or classifies in another way."""

import dataclasses

from jax import lax
from jaxtyping import Array, Int

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
      >>> see = jax.jit(lambda x: wrapped.features(x, ["relu1_2"])["relu1_2"])
      >>> a, b = see(image), see(rolled)
      >>> bool(jnp.allclose(jnp.roll(a, 5, axis=1), b, atol=1e-3))
      True
    """
    for name in (borders, first or borders):
        known(name, BORDERS, "kind of borders")
    if not hasattr(network.architecture, "borders"):
        raise ValueError(f"{network.name or 'this network'} has no choice of borders; take a VGG")
    architecture = network.architecture.clone(borders=borders, first_borders=first)
    return dataclasses.replace(network, architecture=architecture)


def of_one_class(network: Network, label: Int[Array, ""]) -> Network:
    """Returns a network with one class alone, whose score is `logits[0]`, the same number as `logits[label]`.

    The last layer is a quarter of SqueezeNet's work; a score of one class needs a thousandth of it.

    Args:
      network: One with a classifier.
      label: The class, in range; may be a traced value.

    Raises:
      ValueError: If the network has no classifier.

    Example:
      >>> from jaxviz.networks import of_one_class
      >>> network, image = jaxviz.load("squeezenet1_1"), jnp.full((64, 64, 3), 0.5)
      >>> scores = jax.jit(lambda network: network.features(image, ["logits"])["logits"])
      >>> one = of_one_class(network, jnp.asarray(285))
      >>> bool(jnp.allclose(scores(one)[0], scores(network)[285], rtol=1e-5))
      True
    """
    if network.classes is None:
        raise ValueError(f"{network.name or 'this network'} has no classifier")
    name = network.architecture.classifier
    last = {kind: lax.dynamic_slice_in_dim(leaf, label, 1, -1) for kind, leaf in network.params[name].items()}
    return dataclasses.replace(
        network,
        params={**network.params, name: last},
        architecture=network.architecture.clone(classes=1),
        labels=(),
    )
