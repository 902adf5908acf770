"""`load`, which makes a known network ready for use, and `initialize`, which makes one with random weights."""

from pathlib import Path
from typing import Any

from jaxviz._typing import Key
from jaxviz.checkpoints import fetched, store
from jaxviz.checkpoints.formats import WeightsError
from jaxviz.checkpoints.matching import told_whose
from jaxviz.networks import Network, configured
from jaxviz.networks.network import drawn_parameters
from jaxviz.networks.preprocessing import CAFFE


def load(
    name: str,
    *,
    weights: str | Path | None = None,
    pooling: str = "max",
    precision: str = "float32",
    classifier: bool = True,
) -> Network:
    """Returns a network with its published weights, checked against hash, names and shapes.

    Args:
      name: A key of `NETWORKS`. `squeezenet1_1` (with classifier) and `vgg16` (convolutions) are shipped.
      weights: A file to read instead of the one that is shipped, or was fetched by `jaxviz weights fetch`. One
        with a classifier gives a network with it, one without a network without.
      pooling: "max", as trained, or "average".
      precision: "float32"; "tf32" or "bfloat16" for speed on accelerators that have them.
      classifier: False leaves the classifier of `weights` in the file, where the name is that of a network without:
        that of a VGG is half a gigabyte, which no technique needs that ends at a convolution.

    Raises:
      KeyError: If a name is unknown; the message offers the nearest.
      WeightsError: If the file is missing, damaged or another network's.

    Example:
      >>> network = load("squeezenet1_1")
      >>> network.layers[:4]
      ('conv1', 'relu1', 'pool1', 'fire2/squeeze1x1')
      >>> network.labels[285]
      'Egyptian cat'
    """
    architecture = configured(name, pooling, precision)
    if weights is None:
        path, expected_hash = _kept(name)
    else:
        path, expected_hash = Path(weights), None
    with told_whose(path):
        params, architecture, preprocessing = store.read(
            path, name, architecture, expected_hash=expected_hash, whole=classifier
        )
    return Network(params, architecture, preprocessing, name, _labels(architecture))


def _kept(name: str) -> tuple[Path, str | None]:
    """Returns the shipped file of a network, else the fetched one, and its SHA-256 if there is a record of it."""
    shipped = store.manifest()
    if name in shipped:
        return store.folder() / shipped[name]["file"], shipped[name]["sha256"]
    found = fetched.find(name)
    if found is None:
        raise WeightsError(
            f"{name}: expected weights=FILE, found none; `jaxviz weights fetch {name}` gets the published ones, "
            f"initialize({name!r}, key) draws random ones; shipped are {', '.join(shipped)}"
        )
    return found


def available(name: str) -> bool:
    """Returns whether the weights of a network are here: shipped, or fetched."""
    return name in store.manifest() or fetched.find(name) is not None


def initialize(name: str, key: Key, *, pooling: str = "max", precision: str = "float32") -> Network:
    """Returns a network with random weights (He normal, zero biases), for tests and for comparison.

    Arguments and errors as for `load`; `key` seeds the weights.

    Example:
      >>> initialize("vgg19", jax.random.key(0)).layers[-1]
      'pool5'
    """
    architecture = configured(name, pooling, precision)
    return Network(drawn_parameters(architecture, key), architecture, CAFFE, name, _labels(architecture))


def _labels(architecture: Any) -> tuple[str, ...]:
    count = getattr(architecture, "classes", None)
    if count != 1000:
        return tuple(f"class {i}" for i in range(count or 0))
    lines = (store.folder() / "imagenet_labels.txt").read_text().splitlines()
    return tuple(line.split(" ", 1)[1] for line in lines)
