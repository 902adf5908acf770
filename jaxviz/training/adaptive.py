r"""A decoder for any style, trained to draw features that have the statistics of a painting's.

.. math:: \min_\theta E_{x, a} \; \frac{\alpha}{n \kappa^2} \lVert \phi(y) - t \rVert^2
          + \beta \sum_l \frac{v_l}{c_l \kappa_l^2} \left( \lVert \mu_l(y) - \mu_l(a) \rVert^2
          + \lVert \sigma_l(y) - \sigma_l(a) \rVert^2 \right)
          + \frac{\iota}{m} \lVert D_\theta(\phi(x) / \kappa) - x \rVert^2, \quad y = D_\theta(t / \kappa)

The last term is not of the paper: a picture whose features are left alone shall come back, pixel by pixel. Features
have an eighth of its sides, and losses of them alone teach a decoder edges slowly.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from jaxviz import objectives, priors, samples
from jaxviz._typing import AnyImage, Image, Key, Taps
from jaxviz.jobs.manifest import weights_hash
from jaxviz.networks import Network, bordered, compiled_features
from jaxviz.stylization import Adaptive, adapted, adaptive, initialize, style_code, stylize
from jaxviz.training.data import MARGIN
from jaxviz.training.recipe import descended, floats
from jaxviz.training.solved import solved

LAYER = "relu4_1"
"""Where features are changed, and what the decoder starts from."""
TERMS = ("content", "style", "tv", "identity")


@dataclasses.dataclass(frozen=True, eq=False)
class AdaptiveRecipe:
    """A decoder and its losses; made by `arbitrary`."""

    start: Adaptive
    values: Mapping[str, Any]
    scales: Mapping[str, float]
    frozen: Any
    precision: str
    pictures: Sequence[AnyImage] = ()
    least_styles: int = 1
    margin: float = MARGIN

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that decides the result, plain enough for JSON."""
        weights = weights_hash(self.start.encoder)
        return {"weights_sha256": weights, "precision": self.precision, **self.values}

    def init(self, key: Key) -> Any:
        """Returns random weights, or those that are solved for pictures, and an optimizer without memory."""
        encoder, architecture = self.start.encoder, self.start.architecture
        if self.pictures:
            params = solved(encoder, architecture, self.pictures, scale=self.scales[LAYER], layer=LAYER)
        else:
            params = initialize("decoder", key, encoder=encoder, slimness=self.values["slimness"]).params
        return {
            "variables": {"params": params, "statistics": {}},
            "memory": self._optimizer().init(params),
        }

    def step(
        self, frozen: Any, state: Any, batch: Mapping[str, Any], key: Key
    ) -> tuple[Any, dict[str, Array]]:
        """Returns the next state, and the means of the losses over the batch."""
        content, style = floats(batch["content"]), floats(batch["style"])

        def loss(params: Any) -> Any:
            told = jax.vmap(self._losses, (None, None, 0, 0))(frozen, params, content, style)
            means = jax.tree.map(jnp.mean, told)
            return means["loss"], means

        params = state["variables"]["params"]
        params, memory, told = descended(loss, params, self._optimizer(), state["memory"])
        return {"variables": {"params": params, "statistics": {}}, "memory": memory}, told

    def _losses(self, frozen: Any, params: Any, content: Image, style: Image) -> dict[str, Array]:
        network, weights = frozen["network"], frozen["weights"]
        layers = list(self.values["style_layers"])
        painted = network.features(style, sorted({LAYER, *layers}))
        codes = jax.tree.map(lambda leaf: leaf[None], style_code(painted[LAYER]))
        seen = network.features(content, [LAYER])[LAYER]
        wanted = adapted(seen, codes, jnp.ones(1))
        seen, wanted, painted = jax.lax.stop_gradient((seen, wanted, painted))
        decoder = self.start.architecture.clone(precision=self.precision)
        drawn = decoder.apply({"params": params}, wanted[None] / self.scales[LAYER])[0]
        taps = network.features(drawn, sorted({LAYER, *layers}))
        like = objectives.match_features({LAYER: wanted}, weights={LAYER: 1 / self.scales[LAYER] ** 2})
        scaled = {layer: self.values["style_layers"][layer] / self.scales[layer] ** 2 for layer in layers}
        paint = objectives.match_moments({layer: painted[layer] for layer in layers}, weights=scaled)
        losses = {
            "content": weights["content"] * like(taps),
            "style": weights["style"] * paint(taps),
            "tv": weights["tv"] * priors.total_variation()(drawn),
        }
        if self.values["identity_weight"]:
            same = decoder.apply({"params": params}, seen[None] / self.scales[LAYER])[0]
            losses["identity"] = weights["identity"] * jnp.mean(jnp.square(same - content))
        return losses | {"loss": sum(losses.values())}

    def _optimizer(self) -> optax.GradientTransformation:
        rate, decay = self.values["learning_rate"], self.values["decay_rate"]
        return optax.adam(lambda count: rate / (1 + decay * count))

    def model(self, state: Any) -> Adaptive:
        """Returns the network as it is used."""
        return dataclasses.replace(self.start, params=state["variables"]["params"])

    def samples(self, model: Adaptive, image: Image, style: Image | None) -> Mapping[str, Image]:
        """Returns a picture in the style of a painting, beside the painting."""
        return beside(model, image, style)


def beside(model: Adaptive, image: Image, style: Any) -> Mapping[str, Image]:
    """Returns a painting, and a picture in its style."""
    painting = jnp.asarray(style)
    return {"painting": painting, "drawn": _stylized(model, image, model.codes([painting]))}


@jax.jit
def _stylized(model: Adaptive, image: Image, codes: Any) -> Image:
    return stylize(model, image, codes)


def tap_scales(network: Network, layers: Sequence[str]) -> dict[str, float]:
    """Returns the root of the mean square of features at layers, over four drawn pictures: κ."""
    squares = [
        {layer: float(jnp.mean(tap**2)) for layer, tap in taps.items()}
        for taps in drawn_taps(network, layers)
    ]
    # To three digits: the same on every machine.
    return {layer: float(f"{np.sqrt(np.mean([s[layer] for s in squares])):.3g}") for layer in layers}


def drawn_taps(network: Network, layers: Sequence[str]) -> Iterator[Taps]:
    """Yields the features of four drawn pictures, layer → [h, w, c]."""
    for seed in range(4):
        yield compiled_features(network, jnp.asarray(_painting(seed)), tuple(layers))


@functools.cache
def _painting(seed: int) -> np.ndarray:
    return samples.painting(128, seed=seed)


def arbitrary(
    network: Network,
    values: Mapping[str, Any],
    *,
    precision: str = "float32",
    pictures: Sequence[AnyImage] = (),
) -> AdaptiveRecipe:
    """Returns the recipe of training a decoder for any style.

    Args:
      network: The encoder, a VGG.
      values: All options of a preset of `ADAIN`.
      precision: Of the decoder, as of `jaxviz.load`.
      pictures: Photographs of one shape for which the first weights are `solved`; random weights without any.

    Raises:
      KeyError: If a layer does not exist.
      ValueError: If another number of pictures is given than the option `solved_from` says.
    """
    if len(pictures) != values["solved_from"]:
        raise ValueError(f"solved_from is {values['solved_from']}, and there are {len(pictures)} pictures")
    network = bordered(network, "reflect")
    scales = tap_scales(network, sorted({LAYER, *values["style_layers"]}))
    drawn: Any = initialize("decoder", jax.random.key(0), encoder=network, slimness=values["slimness"])
    start = adaptive(network, drawn.params, drawn.architecture, scale=scales[LAYER], layer=LAYER)
    weights = {name: jnp.float32(values[f"{name}_weight"]) for name in TERMS}
    frozen = {"network": network, "weights": weights}
    return AdaptiveRecipe(start, values, scales, frozen, precision, pictures)
