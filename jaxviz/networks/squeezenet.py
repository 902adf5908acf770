"""SqueezeNet 1.0 and 1.1 (Iandola et al., 2016): 3×3 convolutions fed by 1×1 "squeezes", 1.2 million weights."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._typing import Relu, Taps
from jaxviz.networks.layers import POOLINGS, PRECISIONS, Conv, fits, precise

FIRES = {
    2: (16, 64),
    3: (16, 64),
    4: (32, 128),
    5: (32, 128),
    6: (48, 192),
    7: (48, 192),
    8: (64, 256),
    9: (64, 256),
}
"""Number of a fire module → channels of its squeeze and of each of its two expansions."""


class Fire(nn.Module):
    """A squeeze to few channels, then two expansions side by side; adds its taps to `taps`."""

    squeeze: int
    expand: int
    relu: Relu
    precision: str

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], taps: dict[str, Array]) -> Float[Array, "n h w d"]:
        """Returns the concatenated expansions."""

        def convolved(x, name, width, window):
            conv = Conv(width, window, 1, window // 2, self.precision, name=name)
            y = taps[f"{self.name}/{name}"] = conv(x)
            y = taps[f"{self.name}/relu_{name}"] = self.relu(y)
            return y

        x = convolved(x, "squeeze1x1", self.squeeze, 1)
        sides = [convolved(x, "expand1x1", self.expand, 1), convolved(x, "expand3x3", self.expand, 3)]
        taps[f"{self.name}"] = jnp.concatenate(sides, -1)
        return taps[f"{self.name}"]


class SqueezeNet(nn.Module):
    """The network; taps `conv1`, `relu1`, `pool1`, `fire2/squeeze1x1`, …, `fire2`, …, `conv10`, `logits`.

    Attributes:
      width: Channels of `conv1`.
      window: Side of its window.
      pooled: Fire modules that a pooling follows.
      classes: Outputs of the classifier, a 1×1 convolution whose spatial mean is the logits; None leaves it
        away.
      pooling: "max", as trained, or "average".
      relu: The nonlinearity; its derivative rule may be any of `gradient_rules`.
      precision: A name in `PRECISIONS`.
    """

    width: int = 64
    window: int = 3
    pooled: tuple[int, ...] = (3, 5)
    classes: int | None = 1000
    pooling: str = "max"
    relu: Relu = jax.nn.relu
    precision: str = "float32"
    classifier = "conv10"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w 3"]) -> Taps:
        """Returns all taps of a batch of images of any size that the pools leave something of."""
        pool = POOLINGS[self.pooling]
        taps: dict[str, Array] = {}
        x = x.astype(PRECISIONS[self.precision][0])
        if not fits(x, self.window + 4):
            return taps
        x = taps["conv1"] = Conv(self.width, self.window, 2, 0, self.precision, name="conv1")(x)
        x = taps["relu1"] = self.relu(x)
        x = taps["pool1"] = pool(x, 3, 2, True)
        for number, (squeeze, expand) in FIRES.items():
            x = Fire(squeeze, expand, self.relu, self.precision, name=f"fire{number}")(x, taps)
            if number in self.pooled:
                if not fits(x, 3):
                    return taps
                x = taps[f"pool{number}"] = pool(x, 3, 2, True)
        if self.classes is None:
            return taps
        x = taps["conv10"] = Conv(self.classes, 1, 1, 0, self.precision, name=self.classifier)(x)
        x = taps["relu10"] = self.relu(x)
        taps["logits"] = precise(x).mean((1, 2))
        return taps


SQUEEZENET1_0 = SqueezeNet(width=96, window=7, pooled=(4, 8))
SQUEEZENET1_1 = SqueezeNet()
