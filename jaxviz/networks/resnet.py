"""ResNet-18, -34, -50 and -101 (He, Zhang, Ren and Sun, 2016): blocks that add to what they are given."""

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from jaxviz._typing import Relu, Taps
from jaxviz.networks.layers import POOLINGS, PRECISIONS, BatchNorm, Conv, Dense, precise

WIDTHS = (64, 128, 256, 512)


class Block(nn.Module):
    """Two or three convolutions, and the sum with what came in; adds its taps to `taps`.

    A block has the convolutions of `windows`. Three make a bottleneck, whose last has four times the channels.
    """

    width: int
    windows: tuple[int, ...]
    strides: tuple[int, ...]
    relu: Relu
    precision: str

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], taps: dict[str, Array]) -> Float[Array, "n h2 w2 d"]:
        """Returns the rectified sum."""
        outer = self.width * (4 if len(self.windows) == 3 else 1)

        def tapped(tap, value):
            taps[f"{self.name}/{tap}"] = value
            return value

        def normalized(x, conv, bn, width, window, stride):
            layer = Conv(width, window, stride, window // 2, self.precision, use_bias=False, name=conv)
            return tapped(bn, BatchNorm(name=bn)(tapped(conv, layer(x))))

        y = x
        for i, (window, stride) in enumerate(zip(self.windows, self.strides, strict=True), 1):
            last = i == len(self.windows)
            y = normalized(y, f"conv{i}", f"bn{i}", outer if last else self.width, window, stride)
            if not last:
                y = tapped(f"relu{i}", self.relu(y))
        if max(self.strides) > 1 or x.shape[-1] != outer:
            x = normalized(x, "shortcut_conv", "shortcut_bn", outer, 1, max(self.strides))
        taps[f"{self.name}"] = self.relu(tapped("sum", x + y))
        return taps[f"{self.name}"]


class ResNet(nn.Module):
    """The network; taps `conv1`, `bn1`, `relu1`, `pool1`, `conv2_1/conv1`, …, `conv2_1`, …, `pool5`, `logits`.

    Stages are numbered as in the paper's table 1: `conv3_2` is the second block of conv3_x, after its ReLU.

    Attributes:
      depths: Blocks per stage.
      bottleneck: Whether a block is 1×1, 3×3, 1×1 rather than 3×3, 3×3.
      stride_first: Whether a bottleneck that halves the size does so in its first convolution, as in the
        paper and in Keras; torchvision does it in the second.
      classes: Outputs of the classifier; None leaves it away.
      pooling: "max", as trained, or "average", for `pool1`.
      relu: The nonlinearity; its derivative rule may be any of `gradient_rules`.
      precision: A name in `PRECISIONS`.
    """

    depths: tuple[int, ...]
    bottleneck: bool = False
    stride_first: bool = False
    classes: int | None = 1000
    pooling: str = "max"
    relu: Relu = jax.nn.relu
    precision: str = "float32"
    classifier = "fc"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w 3"]) -> Taps:
        """Returns all taps of a batch of images of any size."""
        taps: dict[str, Array] = {}
        x = x.astype(PRECISIONS[self.precision][0])
        x = taps["conv1"] = Conv(64, 7, 2, 3, self.precision, use_bias=False, name="conv1")(x)
        x = taps["bn1"] = BatchNorm(name="bn1")(x)
        x = taps["relu1"] = self.relu(x)
        x = taps["pool1"] = POOLINGS[self.pooling](x, 3, 2, False, 1)
        windows = (1, 3, 1) if self.bottleneck else (3, 3)
        for stage, (depth, width) in enumerate(zip(self.depths, WIDTHS, strict=True), 2):
            for i in range(1, depth + 1):
                stride = 2 if stage > 2 and i == 1 else 1
                at = 1 if self.bottleneck and not self.stride_first else 0
                strides = tuple(stride if k == at else 1 for k in range(len(windows)))
                x = Block(width, windows, strides, self.relu, self.precision, name=f"conv{stage}_{i}")(
                    x, taps
                )
        if self.classes is None:
            return taps
        x = taps["pool5"] = x.mean((1, 2))
        taps["logits"] = Dense(self.classes, self.precision, name=self.classifier)(precise(x))
        return taps


RESNET18 = ResNet((2, 2, 2, 2))
RESNET34 = ResNet((3, 4, 6, 3))
RESNET50 = ResNet((3, 4, 6, 3), bottleneck=True)
RESNET101 = ResNet((3, 4, 23, 3), bottleneck=True)
