"""The classes that a network finds, for people and for the record."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxviz import images
from jaxviz.cli.session import Failure
from jaxviz.networks import Network, compiled_features
from jaxviz.techniques.classes import class_count


def class_scores(network: Network, picture: images.Picture) -> np.ndarray:
    """Returns the logits of a picture; raises ValueError where the network has no classifier."""
    class_count(network)
    return np.asarray(compiled_features(network, jnp.asarray(picture), ("logits",))["logits"])


def best_classes(network: Network, logits: np.ndarray, count: int = 5) -> list[dict[str, Any]]:
    """Returns the best classes with index, label, score and probability, best first.

    Raises:
      Failure: If a score is not finite.
    """
    scores = np.asarray(logits, np.float64)
    if not np.isfinite(scores).all():
        raise Failure("the class scores are NaN or infinite; take other weights")
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    order = np.argsort(-scores)[:count]
    return [
        {
            "index": int(i),
            "label": network.labels[i],
            "score": float(scores[i]),
            "probability": float(shares[i]),
        }
        for i in order
    ]


def class_name(network: Network, index: int) -> str:
    """Returns how a class is called on a sheet: labels alone are not unique."""
    return f"{network.labels[index]} ({index})"


def listing(classes: Sequence[Mapping[str, Any]]) -> str:
    """Returns the lines that show classes to a person."""
    return "\n".join(f"  {c['probability']:6.1%}  {c['label']} ({c['index']})" for c in classes)
