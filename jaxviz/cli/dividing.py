"""Pictures that one result is found with, and others that it is judged on."""

from typing import Any, NamedTuple

import numpy as np

from jaxviz import images, jobs
from jaxviz.batching import batched
from jaxviz.cli import runs
from jaxviz.cli.methods import class_index
from jaxviz.cli.session import Session
from jaxviz.jobs.reading import read
from jaxviz.jobs.tasks.classes import class_of
from jaxviz.networks import Network

MOST = 1000
"""Pictures of a source that are looked at; of more a random choice."""
LEAST = 8
"""Pictures from which on half of them are held out."""


class Pictures(NamedTuple):
    """Pictures of a source, in an order drawn by the seed.

    Attributes:
      pixels: [n, h, w, 3].
      seen: The network's best class of each.
      labels: The class of each: the source's, or where there is none what is seen.
      labeled: Whether all classes are the source's.
      trained: How many of them, from the first, the result is made with.
      held: Those that it is judged on.
    """

    pixels: np.ndarray
    seen: np.ndarray
    labels: np.ndarray
    labeled: bool
    trained: int
    held: slice


def divided(session: Session, source: str, network: Network, seed: int) -> Pictures:
    """Returns the pictures of a source that can be read, with their classes; notes those that cannot.

    Raises:
      PictureError: If there are fewer than two.
    """
    given = session.given
    opened = jobs.open_source(source)
    session.settle(source=opened.describe())
    order = np.random.default_rng(seed).permutation(len(opened))[:MOST]
    if len(order) < len(opened):
        session.note(f"of {len(opened)} pictures {len(order)} are used, drawn by --seed")
    sizing, failures = jobs.Square(given["size"]), []
    label = None if given["label"] is None else class_index(network, given["label"], "--label")
    names, pixels, classes = [], [], []
    loads = read(opened, order.tolist(), sizing, max_pixels=given["max_pixels"], workers=given["workers"])
    for loaded in loads:
        known = class_of(network, loaded.item) if label is None else label
        if loaded.pixels is None or isinstance(known, str):
            failures.append({"name": loaded.item.name, "failure": loaded.failure or str(known)})
            continue
        names.append(loaded.item.name)
        pixels.append(images.to_floats(loaded.pixels))
        classes.append(known)
    if len(pixels) < 2:
        cause = f" ({failures[0]['name']}: {failures[0]['failure']})" if failures else ""
        raise images.PictureError(f"{source} has {len(pixels)} pictures to learn from; expected more{cause}")
    for failure in failures[: runs.SHOWN]:
        session.note(f"left out: {failure['name']}: {failure['failure']}")
    session.incomplete = bool(failures)
    whole, labels = np.stack(pixels), np.asarray(classes)
    labeled = bool((labels >= 0).all())
    seen = np.asarray(batched(_best, in_axes=(None, 0))(network, whole))
    labels = np.where(labels < 0, seen, labels)
    trained = len(whole) // 2 if len(whole) >= LEAST else len(whole)
    held = slice(trained if len(whole) >= LEAST else 0, None)
    if trained == len(whole):
        session.note(f"with fewer than {LEAST} pictures it is judged on those that it was made with")
    told = {"trained": names[:trained], "held_out": names[trained:], "failures": failures}
    session.record["pictures"] = {"total": len(opened), **told, "labeled": labeled}
    return Pictures(whole, seen, labels, labeled, trained, held)


def _best(network: Network, image: Any) -> Any:
    return network.features(image, ["logits"])["logits"].argmax()
