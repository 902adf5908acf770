"""What a method explains or attacks: a class of a network's classifier, a neuron, or any objective of its taps."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxviz._checks import concrete, index, known
from jaxviz._typing import Number, Objective, Scalar, Taps
from jaxviz.networks import Network, of_one_class
from jaxviz.objectives import Logit, Unit, WeightedSum, cross_entropy, logit, margin, unit, weighted_sum


def class_count(network: Network) -> int:
    """Returns the number of classes; raises ValueError where the network has no classifier."""
    if network.classes is None:
        raise ValueError(
            f"{network.name or 'this network'} has no classifier, so no class scores; "
            "take squeezenet1_1, or weights with one"
        )
    return network.classes


def checked_top(network: Network, top: int, *, chosen: bool) -> None:
    """Raises ValueError unless so many best classes can be explained; `chosen` says that a target is given too."""
    count = class_count(network)
    if not 1 <= top <= count:
        raise ValueError(f"top is {top}; expected 1 to {count} classes")
    if top > 1 and chosen:
        raise ValueError("top is for the best classes; leave label and neuron away")


def scored(network: Network, target: Number | Objective) -> Objective:
    """Returns the objective of a target, which is to become small: minus a class's score, or as it is given."""
    if callable(target):
        return target
    return logit(index(target, "target", class_count(network)))


def alone(network: Network, objective: Objective) -> tuple[Network, Objective]:
    """Returns a network and an objective of the same value that computes no score of another class."""
    ours = hasattr(network.architecture, "classifier")
    if ours and isinstance(objective, Logit) and objective.layer == "logits":
        return of_one_class(network, objective.index), logit(0)
    return network, objective


def answer(taps: Taps, objective: Objective) -> Scalar:
    """Returns the probability of a class where the objective is its score, else minus the objective."""
    if isinstance(objective, Logit):
        return jax.nn.softmax(taps[objective.layer])[objective.index]
    return -objective(taps)


def tap_shape(network: Network, size: tuple[int, int], layer: str) -> tuple[int, ...]:
    """Returns the shape of a tap for pictures of a size, [h, w].

    Raises:
      KeyError: If there is no such layer.
      ValueError: If the layer does not exist at this size.
    """
    image = jax.ShapeDtypeStruct((*size, 3), jnp.float32)
    shape: tuple[int, ...] = jax.eval_shape(lambda x: network.features(x, [layer]), image)[layer].shape
    return shape


def neuron(
    network: Network, size: tuple[int, int], layer: str, channel: int, at: tuple[int, int] | None = None
) -> Unit:
    """Returns `objectives.unit` of a unit that a network has for pictures of a size, [h, w].

    Raises:
      KeyError: If there is no such layer.
      ValueError: If the layer does not exist at this size, or has no such channel or position.

    Example:
      >>> neuron(jaxviz.load("squeezenet1_1"), (64, 64), "fire5", 300)
      Traceback (most recent call last):
      ValueError: layer 'fire5' has no channel 300; it has 256
    """
    shape = tap_shape(network, size, layer)
    if not 0 <= channel < shape[-1]:
        raise ValueError(f"layer {layer!r} has no channel {channel}; it has {shape[-1]}")
    if at is not None and len(shape) == 1:
        raise ValueError(f"layer {layer!r} has no positions; leave --at away")
    if at is not None and not all(0 <= place < count for place, count in zip(at, shape, strict=False)):
        h, w = shape[:2]
        raise ValueError(f"layer {layer!r} has no position {at[0]},{at[1]}; it has {h}×{w} for this picture")
    return unit(layer, channel, at)


LOSSES: dict[str, Callable[..., Objective]] = {
    "cross-entropy": cross_entropy,
    "score": logit,
    "margin": margin,
}
"""What an attack can climb: each is small where its class wins."""


def adversarial(
    network: Network, label: Number, target: Number | None, loss: str = "cross-entropy"
) -> WeightedSum:
    """Returns an attack's objective: minus the loss of `label`, or the loss of a `target`.

    Raises:
      KeyError: If there is no such loss.
      ValueError: If the network has no classifier, a class does not exist, or `target` is `label`.
    """
    classes = class_count(network)
    made = LOSSES[known(loss, LOSSES, "loss of an attack")]
    label = index(label, "label", classes)
    if target is None:
        return weighted_sum((-1.0, made(label)))
    target = index(target, "target", classes)
    if concrete(label) and concrete(target) and int(label) == int(target):
        raise ValueError(f"target is {int(target)}, the class to leave; give another one")
    return weighted_sum((1.0, made(target)))
