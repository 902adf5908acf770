"""A network that forgets what it has learned, module by module: random weights from the last to the first."""

import dataclasses
from collections.abc import Iterator

from flax.traverse_util import flatten_dict, unflatten_dict

from jaxviz._typing import Key
from jaxviz.networks.network import Network, drawn_parameters
from jaxviz.networks.structure import structure


def forgetting(network: Network, key: Key) -> Iterator[tuple[str, Network]]:
    """Yields the name of each module that has a kernel, and the network without what it and all later ones know.

    Weights of normalizations stay. All networks have one shape, so a function of them compiles once.

    Args:
      network: A trained one.
      key: Seeds the random weights.

    Example:
      >>> [name for name, _ in forgetting(jaxviz.load("vgg16"), jax.random.key(0))][:2]
      ['conv5_3', 'conv5_2']
    """
    fresh, now = flatten_dict(drawn_parameters(network.architecture, key)), flatten_dict(network.params)
    convolutions = list(dict.fromkeys(structure(network.architecture).convolutions.values()))
    kernels = [path[:-1] for path in now if path[-1] == "kernel"]
    # Fully connected layers come after all convolutions, in the order of their names.
    dense = sorted(path for path in kernels if path not in convolutions)
    for module in reversed([*convolutions, *dense]):
        now |= {path: leaf for path, leaf in fresh.items() if path[: len(module)] == module}
        yield "/".join(module), dataclasses.replace(network, params=unflatten_dict(now))
