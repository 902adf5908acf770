"""AlexNet (Krizhevsky, Sutskever and Hinton, 2012) in its one-tower form (Krizhevsky, 2014)."""

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from jaxviz._typing import Relu, Taps
from jaxviz.networks.layers import POOLINGS, PRECISIONS, Conv, Dense, fits, precise

CONVOLUTIONS = {1: (64, 11, 4, 2), 2: (192, 5, 1, 2), 3: (384, 3, 1, 1), 4: (256, 3, 1, 1), 5: (256, 3, 1, 1)}
"""Number of a convolution → channels, window, stride, padding."""
POOLED = (1, 2, 5)


class AlexNet(nn.Module):
    """The network, with taps `conv1`, `relu1`, `pool1`, …, `pool5`, `fc6`, `relu6`, `fc7`, `relu7`, `logits`.

    The towers of 2012 and their response normalization are gone, as in "One weird trick" and in torchvision.

    Attributes:
      classes: Outputs of the classifier; None leaves fc6 to fc8 away.
      pooling: "max", as trained, or "average".
      relu: The nonlinearity; its derivative rule may be any of `gradient_rules`.
      precision: A name in `PRECISIONS`.
    """

    classes: int | None = 1000
    pooling: str = "max"
    relu: Relu = jax.nn.relu
    precision: str = "float32"
    classifier = "fc8"

    head_size = (6, 6)

    @nn.compact
    def __call__(self, x: Float[Array, "n h w 3"]) -> Taps:
        """Returns all taps of a batch; those of the classifier only where `pool5` is 6×6, as for 224×224."""
        pool = POOLINGS[self.pooling]
        taps: dict[str, Array] = {}
        x = x.astype(PRECISIONS[self.precision][0])
        for i, (width, window, stride, padding) in CONVOLUTIONS.items():
            if not fits(x, window, padding):
                return taps
            conv = Conv(width, window, stride, padding, self.precision, name=f"conv{i}")
            x = taps[f"conv{i}"] = conv(x)
            x = taps[f"relu{i}"] = self.relu(x)
            if i in POOLED:
                if not fits(x, 3):
                    return taps
                x = taps[f"pool{i}"] = pool(x, 3, 2)
        if self.classes is None or x.shape[1:3] != self.head_size:
            return taps
        x = x.reshape(x.shape[0], -1)
        for i in (6, 7):
            x = taps[f"fc{i}"] = Dense(4096, self.precision, name=f"fc{i}")(x)
            x = taps[f"relu{i}"] = self.relu(x)
        taps["logits"] = Dense(self.classes, self.precision, name=self.classifier)(precise(x))
        return taps


ALEXNET = AlexNet()
