"""GoogLeNet, or Inception v1 (Szegedy et al., 2015): four ways through each module, side by side."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._typing import Relu, Taps
from jaxviz.networks.layers import POOLINGS, PRECISIONS, BatchNorm, Conv, Dense, fits, precise

MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""Inception module → channels of 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool_proj: table 1 of the paper."""
POOLED = {"3b": ("pool3", 3), "4e": ("pool4", 2)}
"""Module → the pooling that follows, and its window."""
STEM = (("conv1/7x7", 64, 7, 2), ("conv2/3x3_reduce", 64, 1, 1), ("conv2/3x3", 192, 3, 1))


class Unit(nn.Module):
    """Convolution, normalization and ReLU; adds their taps under its name."""

    features: int
    window: int
    stride: int
    relu: Relu
    precision: str

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], taps: dict[str, Array], tap: str
    ) -> Float[Array, "n h2 w2 d"]:
        """Returns the rectified features."""
        conv = Conv(
            self.features,
            self.window,
            self.stride,
            self.window // 2,
            self.precision,
            use_bias=False,
            name="conv",
        )
        taps[f"{tap}_conv"] = conv(x)
        taps[f"{tap}_bn"] = BatchNorm(1e-3, name="bn")(taps[f"{tap}_conv"])
        taps[tap] = self.relu(taps[f"{tap}_bn"])
        return taps[tap]


class GoogLeNet(nn.Module):
    """The network as torchvision trained it: batch normalization, and 3×3 windows where the paper has 5×5.

    Taps have the paper's names: `conv1/7x7`, `pool1`, `conv2/3x3_reduce`, `conv2/3x3`, `pool2`,
    `inception_3a/1x1`, …, `inception_3a/5x5`, `inception_3a/pool_proj`, `inception_3a`, …, `pool5`, `logits`.
    Each names the rectified features of its unit; `…_conv` and `…_bn` name those before. The two classifiers
    that helped training are left away.

    Attributes:
      classes: Outputs of the classifier; None leaves it away.
      pooling: "max", as trained, or "average".
      relu: The nonlinearity; its derivative rule may be any of `gradient_rules`.
      precision: A name in `PRECISIONS`.
    """

    classes: int | None = 1000
    pooling: str = "max"
    relu: Relu = jax.nn.relu
    precision: str = "float32"
    classifier = "fc"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w 3"]) -> Taps:
        """Returns all taps of a batch of images of any size."""
        pool = POOLINGS[self.pooling]
        taps: dict[str, Array] = {}

        def unit(x, name, width, window, stride=1):
            return Unit(width, window, stride, self.relu, self.precision, name=name.replace("/", "_"))(
                x, taps, name
            )

        def inception(x, name, widths):
            one, reduce3, three, reduce5, five, projection = widths
            sides = [
                unit(x, f"{name}/1x1", one, 1),
                unit(unit(x, f"{name}/3x3_reduce", reduce3, 1), f"{name}/3x3", three, 3),
                unit(unit(x, f"{name}/5x5_reduce", reduce5, 1), f"{name}/5x5", five, 3),
            ]
            pooled = taps[f"{name}/pool"] = pool(x, 3, 1, True, 1)
            sides.append(unit(pooled, f"{name}/pool_proj", projection, 1))
            return jnp.concatenate(sides, -1)

        x = x.astype(PRECISIONS[self.precision][0])
        if not fits(x, 2):
            return taps
        x = unit(x, *STEM[0])
        x = taps["pool1"] = pool(x, 3, 2, True)
        x = unit(unit(x, *STEM[1]), *STEM[2])
        x = taps["pool2"] = pool(x, 3, 2, True)
        for name, widths in MODULES.items():
            x = taps[f"inception_{name}"] = inception(x, f"inception_{name}", widths)
            if name in POOLED:
                tap, window = POOLED[name]
                x = taps[tap] = pool(x, window, 2, True)
        if self.classes is None:
            return taps
        x = taps["pool5"] = x.mean((1, 2))
        taps["logits"] = Dense(self.classes, self.precision, name=self.classifier)(precise(x))
        return taps


GOOGLENET = GoogLeNet()
