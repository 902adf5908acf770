r"""Image transformation networks trained by perceptual losses: one style, or a bank of styles.

.. math:: \min_\theta E_{x, s} \; \frac{\alpha}{n} \lVert \phi_c(y) - \phi_c(x) \rVert^2
          + \beta \sum_l v_l \, d \left( G(\phi_l(y)), G(\phi_l(a_s)) \right) + \lambda \, TV(y),
          \quad y = T_\theta(x, s)
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from jaxviz import objectives, priors
from jaxviz._checks import known
from jaxviz._typing import AnyImage, Image, Key
from jaxviz.jobs.manifest import tree_hash, weights_hash
from jaxviz.jobs.tasks.base import sha256
from jaxviz.networks import Network, compiled_features, pooled
from jaxviz.stylization import Bank, Transformer, initialize, stylize
from jaxviz.stylization.layers import NORMS
from jaxviz.training.data import MARGIN
from jaxviz.training.recipe import descended, floats


@dataclasses.dataclass(frozen=True, eq=False)
class Perceptual:
    """A transformer and its losses; made by `perceptual`."""

    architecture: Transformer
    styles: tuple[str, ...]
    values: Mapping[str, Any]
    frozen: Any
    seen: Mapping[str, Any]
    precision: str
    start: Bank | None = None
    least_styles: int = 0
    margin: float = MARGIN

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that decides the result, plain enough for JSON."""
        return {"styles": self.styles, **self.seen, "precision": self.precision, **self.values}

    def init(self, key: Key) -> Any:
        """Returns the weights of the start, or else random ones, and an optimizer without memory."""
        bank = self.start if self.start is not None else _model(self.architecture, self.styles, key)
        variables = {"params": bank.params, "statistics": bank.statistics}
        return {"variables": variables, "memory": self._optimizer().init(bank.params)}

    def step(
        self, frozen: Any, state: Any, batch: Mapping[str, Any], key: Key
    ) -> tuple[Any, dict[str, Array]]:
        """Returns the next state, and the means of the losses over the batch."""
        content = floats(batch["content"])
        which = jax.random.randint(key, (content.shape[0],), 0, len(self.styles))
        weights = jax.nn.one_hot(which, len(self.styles))
        layers = list(self.values["content_layers"])

        def loss(params: Any) -> Any:
            variables = state["variables"] | {"params": params}
            drawn, changed = self.architecture.apply(
                variables, content, weights, train=True, mutable=["statistics"]
            )
            told = jax.vmap(self._losses, (None, 0, 0, 0, None))(frozen, drawn, content, which, layers)
            means = jax.tree.map(jnp.mean, told)
            return means["loss"], (means, changed.get("statistics", {}))

        params = state["variables"]["params"]
        params, memory, (told, statistics) = descended(loss, params, self._optimizer(), state["memory"])
        return {"variables": {"params": params, "statistics": statistics}, "memory": memory}, told

    def _losses(
        self, frozen: Any, drawn: Image, content: Image, which: Array, layers: Sequence[str]
    ) -> dict[str, Array]:
        network, weights = frozen["network"], frozen["weights"]
        target = jax.lax.stop_gradient(network.features(content, layers))
        taps = network.features(drawn, sorted({*layers, *self.values["style_layers"]}))
        like = objectives.match_features(target, weights=self.values["content_layers"])(taps)
        style = jax.tree.map(lambda bank: bank[which], frozen["styles"])(taps)
        smooth = priors.total_variation()(drawn)
        losses = {
            "content": weights["content"] * like,
            "style": weights["style"] * style,
            "tv": weights["tv"] * smooth,
        }
        return losses | {"loss": sum(losses.values())}

    def _optimizer(self) -> optax.GradientTransformation:
        values = self.values
        return optax.adam(
            optax.exponential_decay(
                values["learning_rate"], values["decay_every"], values["decay"], staircase=True
            )
        )

    def model(self, state: Any) -> Bank:
        """Returns the network as it is used."""
        architecture = self.architecture.clone(precision="float32")
        variables = state["variables"]
        return Bank(variables["params"], variables["statistics"], architecture, self.styles)

    def samples(self, model: Bank, image: Image, style: Image | None) -> Mapping[str, Image]:
        """Returns a picture in every style of the bank."""
        weights = jnp.eye(len(self.styles))
        drawn = _all_styles(model, image, weights)
        return dict(zip(self.styles, drawn, strict=True))


@jax.jit
def _all_styles(model: Bank, image: Image, weights: Array) -> Array:
    codes = model.codes()
    return jax.lax.map(lambda w: stylize(model, image, codes, weights=w), weights)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _model(architecture: Transformer, styles: tuple[str, ...], key: Key) -> Bank:
    names = ("norm", "width", "blocks", "last_normalized", "precision")
    attributes = {name: getattr(architecture, name) for name in names}
    return initialize("transformer", key, styles=styles, **attributes)  # type: ignore[return-value]


def perceptual(
    network: Network,
    styles: Mapping[str, AnyImage | Sequence[AnyImage]],
    values: Mapping[str, Any],
    *,
    precision: str = "float32",
    start: Bank | None = None,
) -> Perceptual:
    """Returns the recipe of training a transformer for one style or for a bank of them.

    Args:
      network: Φ, whose taps the losses compare.
      styles: Name → painting, RGB in [0, 1], of any size: it sets the size of the strokes. Several pictures of one
        name, or one in several sizes, are pooled.
      values: All options of a preset of `FAST` or `MULTI`.
      precision: Of the transformer, as of `jaxviz.load`.
      start: A trained network to begin from, in place of random weights. A style that it knows by name begins with
        its scales and shifts, another one with the mean of all: a few hundred steps teach it a new style [1].

    Raises:
      ValueError: If there is no style, or several for a norm that has room for one, or the start is of another
        architecture.
      KeyError: If a layer or norm does not exist.

    References:
      [1] Dumoulin, Shlens, Kudlur. A Learned Representation for Artistic Style. ICLR 2017, section 3.3.
    """
    norm = known(values["norm"], NORMS, "norm")
    if not styles:
        raise ValueError("there is no style; give at least one painting")
    if len(styles) > 1 and norm != "conditional-instance":
        raise ValueError(f"norm is {norm}, which has one style; for {len(styles)} take conditional-instance")
    network = pooled(network, values["pooling"])
    layers = tuple(sorted({*values["content_layers"], *values["style_layers"]}))
    targets, hashes = [], {}
    for name, picture in styles.items():
        several = [picture] if hasattr(picture, "ndim") else list(picture)
        hashes[name] = [sha256(one) for one in several]
        taps = [compiled_features(network, jnp.asarray(one), layers) for one in several]
        targets.append(
            objectives.match_gram(taps, weights=values["style_layers"], precision=network.precision)
        )
    frozen = {
        "network": network,
        "styles": jax.tree.map(lambda *leaves: jnp.stack(leaves), *targets),
        "weights": {name: jnp.float32(values[f"{name}_weight"]) for name in ("content", "style", "tv")},
    }
    architecture = Transformer(
        norm,
        len(styles),
        values["width"],
        last_normalized=values["last_normalized"],
        precision=precision,
    )
    seen = {"weights_sha256": weights_hash(network), "styles_sha256": hashes}
    if start is not None:
        seen["start_sha256"] = tree_hash((start.params, start.statistics))
        start = _begun(start, architecture, tuple(styles))
    return Perceptual(architecture, tuple(styles), values, frozen, seen, precision, start)


def _begun(start: Bank, architecture: Transformer, styles: tuple[str, ...]) -> Bank:
    theirs = start.architecture
    for name in ("width", "widths", "blocks", "last_normalized"):
        if (there := getattr(theirs, name)) != (here := getattr(architecture, name)):
            raise ValueError(
                f"the network to start from has {name} {there}, the training {here}; give it the same"
            )
    if (theirs.norm == "batch") != (architecture.norm == "batch"):
        raise ValueError(
            f"the network to start from has norm {theirs.norm}, the training {architecture.norm}; batch "
            "normalization begins from batch normalization alone"
        )

    def rows(bank: Array) -> Array:
        known_rows = [
            bank[start.styles.index(name)] if name in start.styles else bank.mean(0) for name in styles
        ]
        return jnp.stack(known_rows)

    params = {
        name: jax.tree.map(rows, leaf) if "scale" in leaf else leaf for name, leaf in start.params.items()
    }
    return Bank(params, start.statistics, architecture, styles)
