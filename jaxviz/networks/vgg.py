"""VGG-11 to VGG-19 (Simonyan and Zisserman, 2015): stages of 3×3 convolutions between 2×2 poolings.

Unused taps cost nothing once compiled: asked for `relu1_2`, the whole network compiles to the operations of
its first two convolutions. So there is no truncated variant, and no tap has to be announced.
"""

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from jaxviz._typing import Relu, Taps
from jaxviz.networks.layers import POOLINGS, PRECISIONS, BatchNorm, Conv, Dense, fits, precise

WIDTHS = (64, 128, 256, 512, 512)
"""Channels per stage."""


class VGG(nn.Module):
    """The network, every tap named as in its paper's Caffe files: `conv1_1`, `relu1_1`, …, `pool5`, `logits`.

    Attributes:
      depths: Convolutions per stage.
      batch_norm: Whether each convolution is followed by a normalization, with taps `bn1_1`, …
      classes: Outputs of the classifier; None leaves fc6 to fc8 away.
      pooling: "max", as trained, or "average", which Gatys et al. found to give smoother pictures.
      borders: What the convolutions find outside: "zero", as trained, "reflect", "replicate", or "circular", so
        that the opposite border follows.
      first_borders: The same for conv1_1, where it differs; empty for `borders`.
      relu: The nonlinearity; its derivative rule may be any of `gradient_rules`.
      precision: A name in `PRECISIONS`.
    """

    depths: tuple[int, ...]
    batch_norm: bool = False
    classes: int | None = None
    pooling: str = "max"
    borders: str = "zero"
    first_borders: str = ""
    relu: Relu = jax.nn.relu
    precision: str = "float32"
    classifier = "fc8"

    head_size = (7, 7)

    @nn.compact
    def __call__(self, x: Float[Array, "n h w 3"]) -> Taps:
        """Returns all taps of a batch; those of the classifier only where `pool5` is 7×7, as for 224×224."""
        pool = POOLINGS[self.pooling]
        x = x.astype(PRECISIONS[self.precision][0])
        taps: dict[str, Array] = {}
        for stage, (depth, width) in enumerate(zip(self.depths, WIDTHS, strict=True), 1):
            for i in range(1, depth + 1):
                name = f"{stage}_{i}"
                borders = self.borders if taps else self.first_borders or self.borders
                conv = Conv(width, 3, 1, 1, self.precision, borders=borders, name=f"conv{name}")
                x = taps[f"conv{name}"] = conv(x)
                if self.batch_norm:
                    x = taps[f"bn{name}"] = BatchNorm(name=f"bn{name}")(x)
                x = taps[f"relu{name}"] = self.relu(x)
            if not fits(x, 2):
                break
            x = taps[f"pool{stage}"] = pool(x, 2, 2)
        if self.classes is None or x.shape[1:3] != self.head_size:
            return taps
        x = x.reshape(x.shape[0], -1)
        for i in (6, 7):
            x = taps[f"fc{i}"] = Dense(4096, self.precision, name=f"fc{i}")(x)
            x = taps[f"relu{i}"] = self.relu(x)
        taps["logits"] = Dense(self.classes, self.precision, name=self.classifier)(precise(x))
        return taps


VGG11 = VGG((1, 1, 2, 2, 2))
VGG13 = VGG((2, 2, 2, 2, 2))
VGG16 = VGG((2, 2, 3, 3, 3))
VGG19 = VGG((2, 2, 4, 4, 4))
