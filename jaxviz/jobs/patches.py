"""The parts of many pictures to which channels answer most: read off a finished run, whatever its length."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from jaxviz import images, objectives
from jaxviz.batching import batched
from jaxviz.jobs.manifest import RunError
from jaxviz.jobs.reading import Reader
from jaxviz.jobs.shards import arrow
from jaxviz.jobs.sizes import Square
from jaxviz.jobs.sources import Source
from jaxviz.networks import Network
from jaxviz.networks.fields import ReceptiveField
from jaxviz.techniques import features, saliency

OUTSIDE = 1.0
"""The grey of what a unit sees beyond the picture's border."""


@dataclasses.dataclass(frozen=True)
class Strongest:
    """Of each channel the pictures to which it answers most, the strongest first.

    Attributes:
      strength: The answers, [channels, n].
      index: Of the pictures in their source, [channels, n].
      place: Row and column of the unit in its layer, [channels, n, 2].
    """

    strength: Float[np.ndarray, "c n"]
    index: Int[np.ndarray, "c n"]
    place: Int[np.ndarray, "c n 2"]


@dataclasses.dataclass(frozen=True)
class Patches:
    """What the strongest units of each channel see, and what of it excites them.

    Attributes:
      pictures: [channels, n, h, w, 3] in [0, 1], white beyond the border.
      reliefs: Guided backpropagation from the unit, of the same shape, signed, zero beyond the border.
    """

    pictures: Float[np.ndarray, "c n h w 3"]
    reliefs: Float[np.ndarray, "c n h w 3"]


def read_strongest(folder: str | Path, count: int = 9) -> Strongest:
    """Returns the strongest answers of a run of `jobs.strongest`, one of each picture.

    Shards are read one after the other, so that the memory does not depend on the number of pictures.

    Args:
      folder: The run.
      count: n, at least 1; fewer where there are fewer pictures.

    Raises:
      ValueError: If `count` is below 1.
      RunError: If the folder has no arrays of such a run.
    """
    if count < 1:
        raise ValueError(f"count is {count}; expected at least 1")
    best: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    for path in sorted(Path(folder).glob("arrays-*.npz")):
        with np.load(path) as arrays:
            if "strength" not in arrays:
                raise RunError(f"{folder} is a run of another task; make one of jobs.strongest")
            found = (arrays["strength"].T, arrays["index"], arrays["place"].swapaxes(0, 1))
        index = np.broadcast_to(found[1], found[0].shape)
        more = (found[0], index, found[2])
        both = (
            more if best is None else tuple(np.concatenate(pair, 1) for pair in zip(best, more, strict=True))
        )
        # Of equal answers the earlier picture's is kept.
        order = np.argsort(-both[0], axis=1, kind="stable")[:, :count]
        strength, index = (np.take_along_axis(part, order, 1) for part in both[:2])
        best = strength, index, np.take_along_axis(both[2], order[..., None], 1)
    if best is None:
        raise RunError(f"{folder} has no answers; no picture of its source could be read")
    return Strongest(*best)


def read_features(folder: str | Path, layer: str) -> tuple[Float[np.ndarray, "n c"], Int[np.ndarray, " n"]]:
    """Returns the features of a run of `jobs.features` with `pool`, and each picture's index in its source.

    Args:
      folder: The run.
      layer: One of its layers.

    Raises:
      RunError: If the folder has no features of that layer; pictures that failed are left out.
    """
    values, index = [], []
    for path in sorted(Path(folder).glob("results-*.parquet")):
        if layer not in arrow().parquet.read_schema(path).names:
            raise RunError(f"{folder} has no features of {layer!r}; make a run of jobs.features with pool")
        table = arrow().parquet.read_table(path, columns=["index", layer]).to_pydict()
        for number, value in zip(table["index"], table[layer], strict=True):
            if value is not None:
                values.append(np.asarray(value, np.float32))
                index.append(number)
    if not values:
        raise RunError(f"{folder} has no features; no picture of its source could be read")
    return np.stack(values), np.asarray(index)


def cut_patches(
    network: Network,
    source: Source,
    found: Strongest,
    layer: str,
    channels: Sequence[int],
    *,
    size: int = 224,
    max_pixels: int = images.MAX_PIXELS,
) -> Patches:
    """Returns what the units of `read_strongest` see: the exact receptive fields, cut from their pictures.

    Args:
      network: As for `jobs.strongest`.
      source: The pictures of the run.
      found: From `read_strongest`.
      layer: As for `jobs.strongest`.
      channels: Of the run, in its order.
      size: As for `jobs.strongest`.
      max_pixels: Larger pictures are refused.

    Raises:
      RunError: If a picture is not there any more, or cannot be read.

    References:
      Zeiler, Fergus. Visualizing and Understanding Convolutional Networks. ECCV 2014, figure 2.
      Springenberg, Dosovitskiy, Brox, Riedmiller. Striving for Simplicity: The All Convolutional Net. ICLR
      Workshop 2015, figure 3.
    """
    field = features.receptive_field(network, layer)
    reader = Reader(source, Square(size), max_pixels)
    shape = found.index.shape
    guided = batched(_guided(layer), in_axes=(None, 0, 0, 0))
    pictures, reliefs = [], []
    for row, channel in enumerate(channels):
        loaded = [reader(int(index)) for index in found.index[row]]
        if failed := [one for one in loaded if one.pixels is None]:
            raise RunError(f"{failed[0].item.name} cannot be read any more ({failed[0].failure})")
        pixels = np.stack([images.to_floats(one.pixels) for one in loaded if one.pixels is not None])
        excited = np.asarray(guided(network, pixels, np.full(shape[1], channel), found.place[row]))
        for k, place in enumerate(found.place[row]):
            pictures.append(crop(pixels[k], field, place, OUTSIDE))
            reliefs.append(crop(excited[k], field, place, 0.0))
    cuts = [np.stack(some).reshape(*shape, *some[0].shape) for some in (pictures, reliefs)]
    return Patches(*cuts)


def _guided(layer: str):
    def guided(network, image, channel, place):
        return saliency.guided(network, image, objectives.unit(layer, channel, (place[0], place[1])))

    return guided


def crop(
    picture: Float[np.ndarray, "h w 3"],
    field: ReceptiveField,
    place: Sequence[int] | np.ndarray,
    outside: float,
) -> Float[np.ndarray, "a b 3"]:
    """Returns what a unit sees of a picture; along an axis that its field is longer than, the whole picture.

    Args:
      picture: The picture.
      field: Of the unit's layer.
      place: Row and column of the unit in its layer.
      outside: The value beyond the picture's border.
    """
    spans = []
    for (start, stop), length in zip(field.box(int(place[0]), int(place[1])), picture.shape, strict=False):
        spans.append((0, length) if stop - start >= length else (start, stop))
    (top, bottom), (left, right) = spans
    found = np.full((bottom - top, right - left, 3), outside, np.float32)
    inside = picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    row, column = max(-top, 0), max(-left, 0)
    found[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return found
