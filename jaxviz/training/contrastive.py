r"""A decoder for any style, trained by a sense of style that is learned by contrast.

Of the two domains, photographs and paintings, i is one and j the other; :math:`x_i` is a picture of it, :math:`G_i`
the decoder that draws for it, :math:`D_i` its discriminator. With φ the encoder, t adaptive normalization, z the
projector's codes, :math:`\tilde x` a part of x, and C the contrast to a queue Q of the codes of paintings:

.. math:: y_i = G_i(t(\phi(x_j), \phi(x_i))), \quad x_i' = G_i(t(\phi(y_j), \phi(x_i)))
.. math:: \min_D E \; \frac{\lambda_d}{4} \sum_i \left( \max(0, 1 - D_i(x_i)) + \max(0, 1 + D_i(y_i)) \right), \quad
          \min_z E \; \frac{\lambda_p}{2} \sum_i C(z(x_i), z(\tilde x_i), Q)
.. math:: \min_G E \; \frac12 \sum_i \left( \lambda_a \max(0, 1 - D_i(y_i)) + \lambda_c \, C(z(y_i), z(x_i), Q)
          + \frac{2 \lambda_y}{n} \lVert x_i' - x_i \rVert_1 \right)
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from jaxviz import objectives, stylization, transforms
from jaxviz._checks import known
from jaxviz._typing import Image, Key, Scalar, Taps
from jaxviz.jobs.manifest import weights_hash
from jaxviz.networks import Network, bordered
from jaxviz.stylization import Adaptive, Decoder, Discriminator, Projector, StyleCoder, hinge, pooled_features
from jaxviz.training.adaptive import LAYER, beside, drawn_taps, tap_scales
from jaxviz.training.anew import DEVIATION, drawn, shallow
from jaxviz.training.passes import DOMAINS, Drawings, Passes, Pictures
from jaxviz.training.queue import Queue, enqueued, queue
from jaxviz.training.recipe import descended, floats, moved

PARTS = ("generator", "projector", "discriminators")
"""What a state has of weights, each with an optimizer of its own."""
WEIGHTS = ("adversarial", "discriminator", "contrast", "projector", "cycle")
CHOICES = {"encoder": ("frozen", "trained"), "contrasted": ("both", "paintings")}
NO_PAINTING = -2
"""In the place of a painting's number, where no code of the queue is to be left out."""


@dataclasses.dataclass(frozen=True, eq=False)
class Contrastive:
    """Two decoders, a projector, two discriminators, and their losses; made by `contrastive`.

    Attributes:
      passes: The networks.
      values: All options.
      frozen: Weights of the encoder, where it is not trained, and of the losses.
      start: Weights that both decoders begin with; None for random ones.
      middles: Layer → the mean of pooled features, which the projector's first layer takes away when it begins.
        They are all positive, so that without it codes of any two pictures are much the same.
      seen: Hashes of the weights that were given.
      least_styles: How many paintings there must be.
    """

    passes: Passes
    values: Mapping[str, Any]
    frozen: Any
    start: Any
    middles: Mapping[str, Array]
    seen: Mapping[str, str]
    least_styles: int = 2

    @property
    def margin(self) -> float:
        """How much larger the shorter side of a picture is made than the square that is cut from it."""
        return float(self.values["margin"])

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that decides the result, plain enough for JSON."""
        return {**self.seen, "precision": self.passes.precision, **self.values}

    def init(self, key: Key) -> Any:
        """Returns random weights, optimizers without memory, and a queue of random codes."""
        keys = jax.random.split(key)
        anew = self.values["encoder"] == "trained"
        weights = drawn(keys[0], self._shapes(), DEVIATION if anew else None)
        if self.start is not None:
            weights["generator"] |= {domain: jax.tree.map(jnp.copy, self.start) for domain in DOMAINS}
        for layer, middle in self.middles.items():
            first = weights["projector"]["coder"][f"{layer}_0"]
            first["bias"] = -middle @ first["kernel"]
        parts = {
            name: {"params": one, "memory": self._optimizer().init(one)} for name, one in weights.items()
        }
        coder = self.passes.coder.architecture
        return parts | {"queue": queue(keys[1], coder.layers, coder.size, self.values["queue"])}

    def _shapes(self) -> dict[str, Any]:
        """Returns the shapes of all weights that are trained."""
        encoder, coder = self.passes.model.encoder, self.passes.coder
        pooled = {layer: (1, 2 * coder.network.shapes[layer][-1]) for layer, _ in coder.scales}
        decoder = _shapes_of(self.passes.model.architecture, (1, 2, 2, encoder.shapes[LAYER][-1]))
        judge = _shapes_of(self.passes.discriminator, (1, 32, 32, 3))
        trained = self.values["encoder"] == "trained"
        generator = dict.fromkeys(DOMAINS, decoder) | ({"encoder": encoder.params} if trained else {})
        before = {"network": coder.network.params} if trained else {}
        projector = {"coder": _shapes_of(coder.architecture, pooled)} | before
        return dict(zip(PARTS, (generator, projector, dict.fromkeys(DOMAINS, judge)), strict=True))

    def step(
        self, frozen: Any, state: Any, batch: Mapping[str, Any], key: Key
    ) -> tuple[Any, dict[str, Array]]:
        """Returns the next state, and the losses of the batch.

        Discriminators move first, then the projector, then the decoders, each by those that have moved before.
        """
        pictures = jnp.concatenate([floats(batch["content"]), floats(batch["style"])])
        numbers, weights = jnp.asarray(batch["style_numbers"], jnp.int32), frozen["weights"]
        keys, (generator, projector, judges) = jax.random.split(key, 4), (state[name] for name in PARTS)

        def drawings(params: Any) -> Any:
            return self.passes.drawings(params.get("encoder", frozen["encoder"]), params, pictures)

        made, pull, seen = jax.vjp(drawings, generator["params"], has_aux=True)

        def judging(params: Any) -> Any:
            sides = zip(*(self.passes.scores(params, these) for these in (pictures, made.drawn)), strict=True)
            loss = (
                weights["discriminator"] * sum(hinge(real) + hinge(false, -1.0) for real, false in sides) / 4
            )
            return loss, loss

        def telling(params: Any) -> Any:
            queries = self._codes(frozen, params, pictures, seen, keys[0])
            positives = self._codes(frozen, params, pictures, None, keys[1])
            of_paintings = {
                layer: jax.lax.stop_gradient(codes[-len(numbers) :]) for layer, codes in queries.items()
            }
            after = enqueued(state["queue"], of_paintings, numbers)
            # Where a code is in the queue before its own loss, it is its own negative.
            against = after if self.values["own_negatives"] else state["queue"]
            loss = weights["projector"] * self._contrast(queries, positives, against, numbers)
            return loss, (loss, after)

        judges, judged = self._descended(judging, judges)
        projector, (told_apart, ring) = self._descended(telling, projector)

        def drawing(made: Drawings) -> Any:
            queries = self._codes(frozen, projector["params"], made.drawn, made.pooled, keys[2])
            positives = self._codes(frozen, projector["params"], pictures, seen, keys[3])
            losses = {
                "adversarial": sum(map(hinge, self.passes.scores(judges["params"], made.drawn))) / 2,
                "contrast": self._contrast(queries, positives, ring, numbers),
                # Colors from -1 to 1, as in the published code.
                "cycle": 2 * jnp.mean(jnp.abs(made.back - pictures)),
            }
            losses = {name: weights[name] * value for name, value in losses.items()}
            total = sum(losses.values())
            return total, losses | {"loss": total}

        slope, told = jax.grad(drawing, has_aux=True)(made)
        params, memory = moved(pull(slope)[0], generator["params"], self._optimizer(), generator["memory"])
        parts = dict(zip(PARTS, ({"params": params, "memory": memory}, projector, judges), strict=True))
        return parts | {"queue": ring}, told | {"discriminators": judged, "projector": told_apart}

    def _codes(self, frozen: Any, params: Any, pictures: Pictures, pooled: Taps | None, key: Key) -> Any:
        """Returns codes of the pictures that are contrasted, or of parts of those that have not been seen yet."""

        def contrasted(tree: Any) -> Any:
            half = len(pictures) // 2 if self.values["contrasted"] == "paintings" else 0
            return jax.tree.map(lambda leaf: leaf[half:], tree)

        if pooled is not None:
            return self.passes.codes(params["coder"], contrasted(pooled))
        network = params.get("network", frozen["encoder"])
        return self.passes.codes(params["coder"], self.passes.cropped(network, contrasted(pictures), key))

    def _contrast(self, queries: Taps, positives: Taps, ring: Queue, numbers: Array) -> Scalar:
        """Returns half the mean over each domain that is contrasted."""
        nothing = jnp.full_like(numbers, NO_PAINTING)
        left_out = jnp.concatenate([nothing, nothing if self.values["own_negatives"] else numbers])

        def one(query: Taps, positive: Taps, number: Array) -> Scalar:
            others = ring.others(number)
            hard = objectives.contrast(
                positive, ring.codes, temperature=self.values["temperature"], counted=others
            )
            return hard(query)

        count = len(next(iter(queries.values())))
        return jnp.sum(jax.vmap(one)(queries, positives, left_out[-count:])) / len(left_out)

    def _descended(self, loss: Any, part: Any) -> Any:
        params, memory, told = descended(loss, part["params"], self._optimizer(), part["memory"])
        return {"params": params, "memory": memory}, told

    def _optimizer(self) -> optax.GradientTransformation:
        values = self.values
        falling = (values["learning_rate"], 0.0, values["decay_over"], values["decay_from"])
        return optax.adam(optax.linear_schedule(*falling), b1=values["momentum"])

    def model(self, state: Any) -> Adaptive:
        """Returns the decoder that draws paintings, and the projector, as they are used."""
        generator, projector = (state[name]["params"] for name in PARTS[:2])
        encoder, coder = self.passes.model.encoder, self.passes.coder
        if "encoder" in generator:
            encoder = dataclasses.replace(encoder, params=generator["encoder"])
            coder = dataclasses.replace(
                coder, network=dataclasses.replace(coder.network, params=projector["network"])
            )
        coder = dataclasses.replace(coder, params=projector["coder"])
        trained = {"params": generator["paintings"], "encoder": encoder, "projector": coder}
        return dataclasses.replace(self.passes.model, **trained)

    def samples(self, model: Adaptive, image: Image, style: Image | None) -> Mapping[str, Image]:
        """Returns a picture in the style of a painting, beside the painting."""
        return beside(model, image, style)


def contrastive(network: Network, values: Mapping[str, Any], *, precision: str = "float32") -> Contrastive:
    """Returns the recipe of training a decoder for any style, and a projector that tells styles apart.

    Args:
      network: The encoder, a VGG; where it is trained, its shape alone.
      values: All options of a preset of `CAST`.
      precision: Of decoders and discriminators, as of `jaxviz.load`.

    Raises:
      KeyError: If a layer or choice does not exist, or the model to start from is not there.
      ValueError: If the queue is shorter than a batch, or the model to start from is of another shape.
    """
    for name, choices in CHOICES.items():
        known(values[name], choices, name)
    if values["queue"] < values["batch"]:
        raise ValueError(
            f"queue is {values['queue']} and batch {values['batch']}; expected a queue of at least a batch"
        )
    layers, encoder = tuple(values["code_layers"]), bordered(network, "reflect")
    # Before anything that takes long: the name may be wrong.
    given = None if values["start"] is None else stylization.load(values["start"], encoder=encoder)
    for layer in layers:
        known(layer, network.layers, f"layer of {network.name or 'this network'}")
    wanted = sorted({LAYER, *layers})
    before, scales, middles = encoder, dict.fromkeys(wanted, 1.0), {}
    if trained := values["encoder"] == "trained":
        encoder, before = shallow(encoder, [LAYER]), shallow(encoder, layers)
    else:
        scales = tap_scales(encoder, wanted)
        read = {layer: scales[layer] for layer in layers}
        pooled = [pooled_features(taps, read) for taps in drawn_taps(encoder, wanted)]
        middles = jax.tree.map(lambda *of: sum(of) / len(of), *pooled)
    projector = Projector(layers, values["code_size"])
    coder = StyleCoder({}, before, projector, tuple((layer, scales[layer]) for layer in layers))
    decoder = Decoder(tuple(network.architecture.depths[:3]), values["slimness"])
    model = Adaptive({}, encoder, decoder, scales[LAYER], LAYER, projector=coder)
    begun = None if given is None else _begun(values["start"], given, model)
    discriminator = Discriminator(values["discriminator_width"], values["blurred"])
    crop = transforms.resized_crop(values["crop_least"], 1.0)
    weights = {name: jnp.float32(values[f"{name}_weight"]) for name in WEIGHTS}
    frozen = {"encoder": {} if trained else encoder.params, "weights": weights}
    seen = {} if trained else {"weights_sha256": weights_hash(network)}
    passes = Passes(model, discriminator, crop, not trained, precision)
    return Contrastive(passes, values, frozen, begun, middles, seen)


def _begun(name: str, given: Any, model: Adaptive) -> Any:
    """Returns the weights of the decoder of a trained model, for decoders to begin with."""
    if not isinstance(given, Adaptive) or (given.architecture, given.layer) != (model.architecture, LAYER):
        raise ValueError(f"{name} has no decoder of this network and slimness, from which one could start")
    # What features are divided by may differ: the first convolution makes up for it.
    factor = model.scale / given.scale
    first = {**given.params["conv4_1"], "kernel": given.params["conv4_1"]["kernel"] * factor}
    return {**given.params, "conv4_1": first}


def _shapes_of(module: Any, *shapes: Any) -> Any:
    given = jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, np.float32),
        shapes,
        is_leaf=lambda x: isinstance(x, tuple) and isinstance(x[0], int),
    )
    return jax.eval_shape(module.init, jax.random.key(0), *given)["params"]
