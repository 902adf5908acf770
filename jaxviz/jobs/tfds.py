"""TensorFlow Datasets as a source, read from array_record files by index, without TensorFlow."""

import contextlib
import dataclasses
import functools
import io
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from jaxviz import images
from jaxviz._checks import nearest
from jaxviz.images import PictureError, Pixels
from jaxviz.jobs.sources import Item, described

VARIABLE = "TFDS_DATA_DIR"


class Examples:
    """One split of a prepared data set; names are the split and the place in it."""

    def __init__(
        self,
        name: str,
        split: str,
        data: Any,
        labels: list[str] | None,
        key: str,
        decode: Callable[[bytes], np.ndarray],
        sizes: list[int],
    ):
        self.name, self.split, self.data, self.labels, self.key = name, split, data, labels, key
        self.decode, self.sizes = decode, sizes

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Item:
        example = _Example(self.data, index)
        label = None
        if self.labels is not None:
            # A damaged record is told by `read`, as a failure of this picture alone.
            with contextlib.suppress(Exception):
                number = int(example.get()["label"])
                label = self.labels[number] if self.labels else number
        where = f"tfds:{self.name}:{self.split}[{index}]"
        read = functools.partial(_read, example, self.key, self.decode, where)
        return Item(f"{self.split}-{index:08d}", label, read)

    def describe(self) -> dict[str, Any]:
        """Returns name with version, split, count, and a hash of the labels' names and of the shards' sizes."""
        labels = [(name, None) for name in self.labels or []]
        said = described("tfds", f"{self.name}:{self.split}", [*labels, (str(self.sizes), None)])
        return said | {"count": len(self)}


@dataclasses.dataclass
class _Example:
    """A record, kept from its label's reading to its picture's and no longer: items outlive their pictures."""

    data: Any
    index: int
    kept: Any = None

    def get(self) -> Any:
        """Returns the record."""
        if self.kept is None:
            self.kept = self.data[self.index]
        return self.kept

    def take(self) -> Any:
        """Returns the record, and keeps it no longer."""
        example, self.kept = self.get(), None
        return example


def _read(
    example: _Example, key: str, decode: Callable[[bytes], np.ndarray], where: str, max_pixels: int
) -> Pixels:
    try:
        encoded = example.take()[key]
        _check_header(encoded, where, max_pixels)
        pixels = np.asarray(decode(encoded))
    except PictureError:
        raise
    except Exception as error:  # decoders and record readers raise many kinds
        raise PictureError(f"{where} is damaged or unreadable ({error})") from error
    if pixels.ndim != 3 or pixels.dtype != np.uint8 or pixels.shape[2] not in (1, 3, 4):
        raise PictureError(
            f"{where} holds {pixels.dtype}{list(pixels.shape)}; expected bytes [h, w, 1, 3 or 4]"
        )
    images.check_pixels(Path(where), pixels.shape[0], pixels.shape[1], max_pixels)
    if pixels.shape[2] == 4:
        values = images.to_floats(pixels)
        return values[..., :3] * values[..., 3:] + (1 - values[..., 3:])
    return pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)


def _check_header(encoded: bytes, where: str, max_pixels: int) -> None:
    """Raises PictureError where the header of an encoded picture tells of too many pixels."""
    # What Pillow does not know is left to the data set's own decoder, and checked when it is decoded.
    with contextlib.suppress(UnidentifiedImageError):
        with images.quiet, PillowImage.open(io.BytesIO(encoded)) as file:
            size = file.height, file.width
        images.check_pixels(Path(where), *size, max_pixels)


def open_examples(text: str) -> Examples:
    """Returns a split of a data set that was prepared as array_record.

    Args:
      text: NAME or NAME:SPLIT, such as "imagenet_v2:test" or "coco/2017:validation[:1000]". The folder of data
        sets is `$TFDS_DATA_DIR`, or TensorFlow Datasets' own.

    Raises:
      ImportError: If TensorFlow Datasets is not installed.
      PictureError: If the data set is not there, or has no such split, or no pictures.
    """
    tfds = _package()
    name, _, split = text.partition(":")
    folder = Path(os.environ.get(VARIABLE) or tfds.core.constants.DATA_DIR).expanduser()
    try:
        builder = tfds.builder(name, data_dir=str(folder), try_gcs=False)
        splits = dict(builder.info.splits)
    except Exception as error:  # a missing data set is of several kinds there
        raise _missing(name, folder, error) from error
    if not splits:
        raise _missing(name, folder, None)
    split = split or _only(name, splits)
    features = builder.info.features
    keys = [key for key, feature in features.items() if isinstance(feature, tfds.features.Image)]
    if not keys:
        raise PictureError(f"tfds:{name} has no pictures; its features are {', '.join(features)}")
    key = "image" if "image" in keys else keys[0]
    try:
        data = builder.as_data_source(split=split, decoders={key: tfds.decode.SkipDecoding()})
    except Exception as error:
        if split.partition("[")[0] not in splits:
            raise PictureError(f"tfds:{name} has no split {split!r}; {nearest(split, splits)}") from error
        remedy = "prepare it as array_record"
        try:
            builder.info.splits[split]
        except Exception:  # of several kinds there; the slice is to blame then, and not the files
            base = split.partition("[")[0]
            remedy = f"write a slice such as {base}[:100] or {base}[10%:20%], or the whole split {base}"
        raise PictureError(f"tfds:{name}:{split} cannot be read ({_line(error)}); {remedy}") from error
    labels = None
    if "label" in features:
        labels = list(getattr(features["label"], "names", None) or [])
    if not len(data):
        raise PictureError(f"tfds:{name}:{split} is empty; take another split of {', '.join(splits)}")
    whole = splits.get(split.partition("[")[0])
    sizes = [int(size) for size in getattr(whole, "shard_lengths", [])] + [getattr(whole, "num_bytes", 0)]
    return Examples(builder.info.full_name, split, data, labels, key, features[key].decode_example_np, sizes)


def _package() -> Any:
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise ImportError(
            'tfds: needs TensorFlow Datasets, but not TensorFlow: pip install "jaxviz-vision[tfds]"'
        ) from error
    # It advises at each start to install another decoder.
    logging.getLogger("absl").setLevel(logging.ERROR)
    return tensorflow_datasets


def _missing(name: str, folder: Path, error: Exception | None) -> PictureError:
    there = (
        sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[0].isalpha())
        if folder.is_dir()
        else []
    )
    there = [name for name in there if name != "downloads"]
    found = f"which has {', '.join(there[:8])}" if there else "where no data set is"
    cause = f" ({_line(error)})" if error is not None and name.partition("/")[0] in there else ""
    return PictureError(
        f"tfds:{name} is not prepared in {folder}, {found}{cause}; prepare it there as array_record, "
        f"or name another folder in ${VARIABLE}"
    )


def _only(name: str, splits: dict[str, Any]) -> str:
    if len(splits) > 1:
        raise PictureError(f"tfds:{name} has the splits {', '.join(splits)}; write tfds:{name}:SPLIT")
    return next(iter(splits))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
