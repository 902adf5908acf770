"""The layers of a network that a technique looks at, and their weights."""

from collections.abc import Mapping
from typing import Any

import jax

from jaxviz._checks import known
from jaxviz._typing import Number
from jaxviz.networks import Network, parameter_shapes, pooled, tap_shapes


def layer_weights(
    network: Network, weights: Mapping[str, Number] | None, usual: Mapping[str, Number]
) -> dict[str, Number]:
    """Returns weights per layer, checked: each layer exists, and not all weights are zero.

    None stands for the `usual` ones, of a preset.
    """
    if weights is None:
        if missing := [layer for layer in usual if layer not in network.layers]:
            raise KeyError(
                f"{network.name or 'this network'} has no {', '.join(missing)}: the usual layers are VGG's; "
                f"choose layers of this network, such as {', '.join(network.layers[:4])}"
            )
        return dict(usual)
    for layer in weights:
        known(layer, network.layers, f"layer of {network.name or 'this network'}")
    if not any(isinstance(w, jax.core.Tracer) or float(w) != 0 for w in weights.values()):
        raise ValueError("all layer weights are zero, so every picture is as good; give one above zero")
    return dict(weights)


def with_pooling(network: Network, pooling: str | None) -> Network:
    """Returns the network with a pooling, itself where it has that, or none is asked for."""
    if pooling is None or getattr(network.architecture, "pooling", pooling) == pooling:
        return network
    return pooled(network, pooling)


def head_taps(architecture: Any) -> tuple[str, ...]:
    """Returns the taps of a classifier that needs one size of pictures, whether the architecture has it or not.

    Example:
      >>> head_taps(jaxviz.load("vgg16").architecture)
      ('fc6', 'relu6', 'fc7', 'relu7', 'logits')
    """
    if not hasattr(architecture, "head_size"):
        return ()
    whole, bare = (architecture.clone(classes=classes) for classes in (1000, None))
    rest = tap_shapes(bare, parameter_shapes(bare))
    return tuple(tap for tap in tap_shapes(whole, parameter_shapes(whole)) if tap not in rest)
