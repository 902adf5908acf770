"""Whose weights a file holds."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from jaxviz.checkpoints import store
from jaxviz.checkpoints.conversion import MismatchError
from jaxviz.checkpoints.formats import WeightFile, WeightsError, open_file
from jaxviz.networks import NETWORKS


def fitting(file: WeightFile) -> list[str]:
    """Returns the known networks whose weights a file holds, by names and shapes."""
    found = []
    kernels = sum(len(tensor.shape) == 4 for tensor in file.tensors.values())
    for name, entry in NETWORKS.items():
        # Two belong to GoogLeNet's auxiliary classifiers, or are timm's for VGG's dense layers.
        if not 0 <= kernels - entry.convolutions <= 2:
            continue
        with contextlib.suppress(WeightsError):
            store.planned(file, name, entry.architecture)
            found.append(name)
    return found


@contextlib.contextmanager
def told_whose(path: Path) -> Iterator[None]:
    """Adds to the error of a file that is another network's which one that is, if it is known."""
    try:
        yield
    except MismatchError as error:
        if names := fitting(open_file(path)):
            raise MismatchError(f"{error}; these are weights of {' or '.join(names)}") from error
        raise
