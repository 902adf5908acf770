"""What a method explains or attacks: a class of a network's classifier, or any objective of its taps."""

from typing import Any

from jaxviz._checks import index
from jaxviz._typing import Number, Objective
from jaxviz.networks import Network
from jaxviz.objectives import cross_entropy, logit, weighted_sum


def class_count(network: Network) -> int:
    """Returns the number of classes; raises ValueError where the network has no classifier."""
    if network.classes is None:
        raise ValueError(
            f"{network.name or 'this network'} has no classifier, so no class scores; "
            "take squeezenet1_1, or weights with one"
        )
    return network.classes


def scored(network: Network, target: Number | Objective) -> Objective:
    """Returns the objective of a target, which is to become small: minus a class's score, or as it is given."""
    if callable(target):
        return target
    return logit(index(target, "target", class_count(network)))


def adversarial(network: Network, label: Number, target: Number | None) -> Any:
    """Returns an attack's objective: minus the cross-entropy of `label`, or the cross-entropy of a `target`."""
    classes = class_count(network)
    leave = cross_entropy(index(label, "label", classes))
    if target is None:
        return weighted_sum((-1.0, leave))
    return weighted_sum((1.0, cross_entropy(index(target, "target", classes))))
