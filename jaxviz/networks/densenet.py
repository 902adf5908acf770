"""DenseNet-121 (Huang, Liu, van der Maaten and Weinberger, 2017): each layer sees all before it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._typing import Relu, Taps
from jaxviz.networks.layers import POOLINGS, PRECISIONS, BatchNorm, Conv, Dense, average_pool, fits, precise


class Layer(nn.Module):
    """Normalization, ReLU and convolution, twice: 1×1 to four times the growth, 3×3 to the growth."""

    growth: int
    relu: Relu
    precision: str

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], taps: dict[str, Array]) -> Float[Array, "n h w d"]:
        """Returns the new features alone."""
        for i, (width, window) in enumerate(((4 * self.growth, 1), (self.growth, 3)), 1):
            conv = Conv(width, window, 1, window // 2, self.precision, use_bias=False, name=f"conv{i}")
            x = taps[f"{self.name}/bn{i}"] = BatchNorm(name=f"bn{i}")(x)
            x = taps[f"{self.name}/relu{i}"] = self.relu(x)
            x = taps[f"{self.name}/conv{i}"] = conv(x)
        return x


class Transition(nn.Module):
    """Normalization, ReLU, a 1×1 convolution to half the channels, and pooling to half the size."""

    relu: Relu
    precision: str

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], taps: dict[str, Array]) -> Float[Array, "n h2 w2 d"]:
        """Returns the pooled features."""
        conv = Conv(x.shape[-1] // 2, 1, 1, 0, self.precision, use_bias=False, name="conv")
        x = taps[f"{self.name}/bn"] = BatchNorm(name="bn")(x)
        x = taps[f"{self.name}/relu"] = self.relu(x)
        x = taps[f"{self.name}/conv"] = conv(x)
        taps[f"{self.name}"] = average_pool(x, 2, 2)
        return taps[f"{self.name}"]


class DenseNet(nn.Module):
    """The network; taps `conv1`, `bn1`, `relu1`, `pool1`, `dense1_1/bn1`, …, `dense1`, `transition1`, …, `logits`.

    `dense2_5/conv2` is what the fifth layer of the second block adds, `dense2` all that the block returns.

    Attributes:
      depths: Layers per block.
      growth: Channels that each layer adds.
      classes: Outputs of the classifier; None leaves it away.
      pooling: "max", as trained, or "average", for `pool1`.
      relu: The nonlinearity; its derivative rule may be any of `gradient_rules`.
      precision: A name in `PRECISIONS`.
    """

    depths: tuple[int, ...]
    growth: int = 32
    classes: int | None = 1000
    pooling: str = "max"
    relu: Relu = jax.nn.relu
    precision: str = "float32"
    classifier = "fc"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w 3"]) -> Taps:
        """Returns all taps of a batch of images of any size that the transitions leave something of."""
        taps: dict[str, Array] = {}
        x = x.astype(PRECISIONS[self.precision][0])
        x = taps["conv1"] = Conv(2 * self.growth, 7, 2, 3, self.precision, use_bias=False, name="conv1")(x)
        x = taps["bn1"] = BatchNorm(name="bn1")(x)
        x = taps["relu1"] = self.relu(x)
        x = taps["pool1"] = POOLINGS[self.pooling](x, 3, 2, False, 1)
        for block, depth in enumerate(self.depths, 1):
            features = [x]
            for i in range(1, depth + 1):
                layer = Layer(self.growth, self.relu, self.precision, name=f"dense{block}_{i}")
                features.append(layer(jnp.concatenate(features, -1), taps))
            x = taps[f"dense{block}"] = jnp.concatenate(features, -1)
            if block < len(self.depths):
                if not fits(x, 2):
                    return taps
                x = Transition(self.relu, self.precision, name=f"transition{block}")(x, taps)
        x = taps["bn5"] = BatchNorm(name="bn5")(x)
        x = taps["relu5"] = self.relu(x)
        if self.classes is None:
            return taps
        x = taps["pool5"] = x.mean((1, 2))
        taps["logits"] = Dense(self.classes, self.precision, name=self.classifier)(precise(x))
        return taps


DENSENET121 = DenseNet((6, 12, 24, 16))
