"""Whether weights are what they should be: hashes where there are any, and what a network does with them."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jaxviz.checkpoints import conversion, fetched, store
from jaxviz.checkpoints.formats import WeightFile, WeightsError, open_file
from jaxviz.checkpoints.formats.checks import shown
from jaxviz.checkpoints.matching import fitting
from jaxviz.networks import NETWORKS
from jaxviz.networks.network import Network, compiled_features

SMALLEST, LARGEST = 1e-6, 1e6
"""Bounds of the root mean square of a tap; those of trained networks lie within 1e-3 and 1e4."""
FLAT = 1e-3
"""Class scores that differ by less are constant."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What was found out about one file.

    Attributes:
      path: The file.
      network: The network whose weights it has, if that is known.
      check: What was compared.
      problem: What is wrong with it; empty where nothing is.
    """

    path: Path
    network: str | None
    check: str
    problem: str = ""


def picture() -> np.ndarray:
    """Returns the picture that weights are tried on: waves of all sizes and colors, [224, 224, 3], in [0, 1]."""
    y, x = np.mgrid[:224, :224] / 224
    waves = [np.sin(2 * np.pi * (2**k * (x if k % 2 else y) + k * x * y)) for k in range(6)]
    channels = [sum(wave / (i + k + 1) for k, wave in enumerate(waves)) for i in range(3)]
    return np.clip(0.5 + 0.25 * np.stack(channels, -1), 0, 1).astype(np.float32)


def check_activations(network: Network, path: Path) -> str:
    """Returns in words what was found right about what a network does with a picture.

    Raises:
      WeightsError: If a tap is not finite, or its size is absurd, or the scores of all classes are the same.
    """
    taps = compiled_features(network, jnp.asarray(picture()), network.layers)
    for name, tap in taps.items():
        size = float(np.sqrt(np.mean(np.square(np.asarray(tap, np.float64)))))
        if not SMALLEST < size < LARGEST:
            raise WeightsError(
                f"{path}: expected activations of a mean size from {SMALLEST} to {LARGEST:g}, "
                f"found {size:.3g} at {name}; these weights make no sense"
            )
    said = f"activations finite and of sane size at {len(taps)} taps"
    if network.classes is None:
        return said
    spread = float(np.ptp(np.asarray(taps["logits"])))
    if spread < FLAT:
        raise WeightsError(f"{path}: expected class scores that differ, found a spread of {spread:.3g}")
    return f"{said}, class scores not constant"


def verify(name: str, path: Path, sha256: str | None) -> Verdict:
    """Returns what can be said of a network's file: by its hash, or where there is none, by its contents."""
    if sha256 is not None:
        check = "sha256 as recorded"
        try:
            found = store.sha256(path)
        except OSError as error:
            return Verdict(path, name, check, f"{error.strerror}")
        return Verdict(path, name, check, "" if found == sha256 else f"expected {sha256}, found {found}")
    check = "names, shapes, finite numbers" + (", crc32 of every array" if _is_ours(path) else "")
    try:
        store.read(path, name, NETWORKS[name].architecture)
    except WeightsError as error:
        return Verdict(path, name, check, str(error))
    return Verdict(path, name, check)


def verify_all(where: Path | None = None) -> Iterator[Verdict]:
    """Yields what is found out about every shipped and every fetched file, one after another."""
    for name, said in store.manifest().items():
        yield verify(name, store.folder() / said["file"], said["sha256"])
    for name in NETWORKS:
        try:
            found = fetched.find(name, where)
        except WeightsError as error:
            yield Verdict(fetched.record_path(name, where), name, "the record", str(error))
            continue
        if found:
            yield verify(name, *found)


def verify_file(path: Path, where: Path | None = None) -> Verdict:
    """Returns what is found out about any weight file: against a record, its own checksums, its name's digits."""
    for name, said in store.manifest().items():
        if path.resolve() == (store.folder() / said["file"]).resolve():
            return verify(name, path, said["sha256"])
    for name in NETWORKS:
        # A damaged record of some network says nothing of this file.
        with contextlib.suppress(WeightsError):
            found = fetched.find(name, where)
            if found and path.resolve() == found[0].resolve():
                return verify(name, path, found[1])
    file = open_file(path)
    name = file.metadata.get("network", "")
    if name in NETWORKS and _is_ours(path):
        return verify(name, path, None)
    if digits := re.search(r"-([0-9a-f]{8,64})\.pth$", path.name):
        sha256 = store.sha256(path)
        problem = "" if sha256.startswith(digits[1]) else f"expected {digits[1]}…, found {sha256}"
        return Verdict(path, None, "sha256 begins as the file's name ends", problem)
    try:
        return _contents(store.checked(file))
    except WeightsError as error:
        return Verdict(path, None, "its own checksums", str(error))


def _contents(file: WeightFile) -> Verdict:
    """Returns what is found out about a file of which nothing is known."""
    said = file.metadata.get("network")
    if "crc32" in file.metadata and said not in (None, *NETWORKS):
        problem = f"expected a network that is known here, found {shown(said)}"
        return Verdict(file.path, None, "the network in its metadata", problem)
    for name, tensor in file.tensors.items():
        if not conversion.finite(tensor.read()):
            return Verdict(file.path, None, "finite numbers", f"NaN or infinite ones in {name}")
    names = fitting(file)
    whose = f"names and shapes of {' or '.join(names)}" if names else "of no network that is known here"
    sums = ", crc32 of every array" if "crc32" in file.metadata else ""
    check = f"finite numbers in {len(file.tensors)} arrays, {whose}{sums}"
    return Verdict(file.path, names[0] if len(names) == 1 else None, check)


def _is_ours(path: Path) -> bool:
    try:
        return "crc32" in open_file(path).metadata
    except WeightsError:
        return False
