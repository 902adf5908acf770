"""Commands over many pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxviz.cli.session import Session
from jaxviz.networks import Network, compiled_features


def is_many(source: str) -> bool:
    """Returns whether a command's source means many pictures."""
    return False


def note_enlargement(session: Session, path: str | Path, before: np.ndarray, after: np.ndarray) -> None:
    """Says where a picture was made so much larger that its pixels are invented."""


def feature_arrays(
    network: Network, picture: np.ndarray, layers: Sequence[str], pool: bool
) -> dict[str, Any]:
    """Returns taps of a picture by name, averaged over positions where asked for."""
    taps = compiled_features(network, jnp.asarray(picture), tuple(layers))
    return {name: tap.mean((0, 1)) if pool and tap.ndim == 3 else tap for name, tap in taps.items()}
