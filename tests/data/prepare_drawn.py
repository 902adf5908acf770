"""Prepares `drawn`, twenty small pictures of disks and squares, as TensorFlow Datasets' array_record.

Neither TensorFlow nor the internet is needed. From the root of the repository:

    python tests/data/prepare_drawn.py tests/data
"""

import io
import random
import sys

import tensorflow_datasets as tfds
from etils import epath
from PIL import Image, ImageDraw

COUNT, NAMES = 20, ["disk", "square"]


def drawn(index: int) -> bytes:
    """Returns the PNG of one picture: of an even number a disk, of an odd one a square."""
    draws = random.Random(index)
    width, height = draws.choice([(48, 48), (64, 40), (40, 64)])
    colors = [tuple(draws.randrange(256) for _ in range(3)) for _ in range(2)]
    picture = Image.new("RGB", (width, height), colors[0])
    side = draws.randrange(12, 30)
    left, top = draws.randrange(width - side), draws.randrange(height - side)
    draw = ImageDraw.Draw(picture)
    (draw.rectangle if index % 2 else draw.ellipse)((left, top, left + side, top + side), fill=colors[1])
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


class Drawn(tfds.core.GeneratorBasedBuilder):
    """Disks and squares, drawn by this script."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = epath.Path(__file__).parent

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=NAMES),
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features), description="Disks and squares."
        )

    def _split_generators(self, manager):
        return {"test": self._generate_examples()}

    def _generate_examples(self):
        for index in range(COUNT):
            # As bytes: to encode an array would take TensorFlow.
            yield index, {"image": io.BytesIO(drawn(index)), "label": index % 2}


if __name__ == "__main__":
    Drawn(data_dir=sys.argv[1], file_format="array_record").download_and_prepare()
