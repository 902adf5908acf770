"""The classes that a network finds."""

from typing import Any

import numpy as np

from jaxviz.jobs.sizes import Square
from jaxviz.jobs.sources import Item
from jaxviz.jobs.tasks.base import Mapped, Result, Task, described
from jaxviz.networks import Network
from jaxviz.techniques.classes import class_count

TOP = 5


def logits(network: Network, image: Any, choice: Any, numbers: Any) -> Any:
    """Returns the class scores of one picture."""
    return network.features(image, ["logits"])["logits"]


CLASSES = {"indices": "integers", "labels": "texts", "scores": "numbers", "probabilities": "numbers"}


def classes(network: Network, found: np.ndarray, suffix: str = "") -> dict[str, Any]:
    """Returns the columns of the best classes of one picture, best first."""
    scores = np.asarray(found, np.float64)
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    order = np.argsort(-scores)[:TOP]
    values = (order, [network.labels[i] for i in order], scores[order], shares[order])
    return {f"{name}{suffix}": list(value) for name, value in zip(CLASSES, values, strict=True)}


def class_of(network: Network, item: Item) -> int | str:
    """Returns the class that an item's label means, -1 where it has none, or why it means no class."""
    if item.label is None:
        return -1
    text = str(item.label)
    if text.isdecimal() and int(text) < class_count(network):
        return int(text)
    found = [i for i, label in enumerate(network.labels) if label.lower() == text.lower()]
    return found[0] if len(found) == 1 else f"label {text!r} is no class of {network.name}, or several"


def classify(network: Network, *, size: int = 224) -> Task:
    """Returns the task of finding the five classes that a network finds most likely.

    Args:
      network: One with a classifier.
      size: Side of the square that is cut from each picture.

    Raises:
      ValueError: If the network has no classifier.
    """
    class_count(network)

    def told(item: Item, pixels: np.ndarray, found: np.ndarray) -> Result | str:
        if not np.isfinite(found).all():
            return "the class scores are NaN or infinite"
        label = class_of(network, item)
        right = int(np.argmax(found)) == label if isinstance(label, int) and label >= 0 else None
        return Result(classes(network, found) | {"correct": right})

    sizing = Square(size)
    columns = {**CLASSES, "correct": "flag"}
    return Mapped(network, logits, told, sizing, columns, described("classify", network, sizing))
