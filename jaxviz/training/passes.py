"""What a step of contrastive training computes of its pictures, each pass through a network once.

Pictures come in two halves, of the two domains: photographs, then paintings.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxviz._typing import Key, Params, Taps, Transform
from jaxviz.networks import Network
from jaxviz.stylization import Adaptive, Discriminator, StyleCoder, adapted, pooled_features, style_code
from jaxviz.training.adaptive import LAYER

DOMAINS = ("photographs", "paintings")

Pictures = Float[Array, "n _ _ 3"]


class Drawings(NamedTuple):
    """What decoders make of pictures.

    Attributes:
      drawn: Of each picture of the other domain, one with the style of the picture at its own place.
      back: Of these, likewise again: the pictures themselves, if nothing was lost.
      pooled: `pooled_features` of what was drawn; None where the projector does not read the encoder.
    """

    drawn: Pictures
    back: Pictures
    pooled: Taps | None


@dataclasses.dataclass(frozen=True, eq=False)
class Passes:
    """The networks of a training, whose weights are arguments.

    Attributes:
      model: Encoder, decoder and projector as they are used; its weights are not looked at.
      discriminator: The architecture of both.
      crop: What makes of a picture another one of the same style.
      shares: Whether the projector reads the encoder.
      precision: Of decoders and discriminators.
    """

    model: Adaptive
    discriminator: Discriminator
    crop: Transform
    shares: bool = True
    precision: str = "float32"

    @property
    def coder(self) -> StyleCoder:
        """The projector, with the network before it."""
        coder: Any = self.model.projector
        return coder

    def drawings(self, encoder: Params, decoders: Params, pictures: Pictures) -> tuple[Drawings, Taps | None]:
        """Returns what decoders draw, and the pooled features of the pictures themselves.

        Args:
          encoder: Weights of the encoder.
          decoders: Domain → weights of its decoder.
          pictures: In [0, 1].
        """
        seen, pooled = self._encoded(encoder, pictures)
        styles = jax.vmap(style_code)(seen)
        drawn = self._decoded(decoders, seen, styles)
        again, pooled_drawn = self._encoded(encoder, drawn)
        return Drawings(drawn, self._decoded(decoders, again, styles), pooled_drawn), pooled

    def _encoded(self, params: Params, pictures: Pictures) -> tuple[Array, Taps | None]:
        layers = sorted({LAYER, *(self.coder.architecture.layers if self.shares else ())})
        taps = _taps(self.model.encoder, params, pictures, layers)
        return taps[LAYER], self._pooled(taps) if self.shares else None

    def _decoded(self, params: Params, features: Array, styles: Any) -> Pictures:
        """Returns pictures of the features of the other domain's, each with the style of its own place."""

        def of_style(features: Array, code: Any) -> Array:
            return adapted(features, jax.tree.map(lambda leaf: leaf[None], code), jnp.ones(1))

        half = len(features) // 2
        wanted = jax.vmap(of_style)(jnp.roll(features, half, 0), styles) / self.model.scale
        decoder: Any = self.model.architecture.clone(precision=self.precision)
        halves = zip(DOMAINS, (wanted[:half], wanted[half:]), strict=True)
        return jnp.concatenate([decoder.apply({"params": params[domain]}, part) for domain, part in halves])

    def _pooled(self, taps: Taps) -> Taps:
        scales = dict(self.coder.scales)
        return jax.vmap(lambda own: pooled_features(own, scales))({layer: taps[layer] for layer in scales})

    def cropped(self, network: Params, pictures: Pictures, key: Key) -> Taps:
        """Returns the pooled features of a part of each picture, given the weights before the projector."""
        parts = jax.vmap(self.crop)(jax.random.split(key, len(pictures)), pictures)
        layers = list(self.coder.architecture.layers)
        return self._pooled(_taps(self.coder.network, network, parts, layers))

    def codes(self, projector: Params, pooled: Taps) -> Mapping[str, Float[Array, "n d"]]:
        """Returns the codes of pictures, layer by layer, given the projector's weights."""
        codes: Any = self.coder.architecture.apply({"params": projector}, pooled)
        return codes

    def scores(self, discriminators: Params, pictures: Pictures) -> list[Array]:
        """Returns how much each half is like its own domain, by the discriminators whose weights are given."""
        half = len(pictures) // 2
        module: Any = self.discriminator.clone(precision=self.precision)
        halves = zip(DOMAINS, (pictures[:half], pictures[half:]), strict=True)
        return [module.apply({"params": discriminators[domain]}, part) for domain, part in halves]


def _taps(network: Network, params: Params, pictures: Any, layers: list[str]) -> dict[str, Array]:
    whole = dataclasses.replace(network, params=params)
    return dict(jax.vmap(lambda picture: whole.features(picture, layers))(pictures))
