"""A network as the rest of the library sees it: a pure function from one image to named taps."""

import functools
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxviz._checks import known
from jaxviz._typing import Image, Key, Params, Relu, Taps, static, symbol
from jaxviz.networks.layers import POOLED, PRECISIONS
from jaxviz.networks.preprocessing import Preprocessing


@symbol
class Network:
    r"""Φ_θ: an architecture, its weights, and the preprocessing that belongs to them.

    A pytree whose leaves are the weights, so a new set of weights compiles nothing. To exchange the derivative
    rule of its ReLUs, `dataclasses.replace(network, relu=rule)`.

    Attributes:
      params: θ, the tree of weights.
      architecture: The Linen module.
      preprocessing: What turns a public image into this network's input.
      name: The name under which it was loaded.
      labels: Class names by index; empty where there is no classifier.
      relu: The nonlinearity, with its derivative rule.
      rematerialized: Whether of its features only the pooled ones are kept for the derivative, and the others
        computed again (Chen et al. Training Deep Nets with Sublinear Memory Cost. arXiv 2016): less memory, about a
        third more time. XLA's CPU backend computes nothing again, so it changes nothing there.
    """

    params: Params
    architecture: nn.Module = static()
    preprocessing: Preprocessing = static()
    name: str = static(default="")
    labels: tuple[str, ...] = static(default=())
    relu: Relu = static(default=jax.nn.relu)
    rematerialized: bool = static(default=False)

    def __repr__(self) -> str:
        count = sum(getattr(leaf, "size", 0) for leaf in jax.tree.leaves(self.params))
        classes = "no classifier" if self.classes is None else f"{self.classes} classes"
        return f"Network({self.name!r}, {len(self.layers)} layers, {count:,} parameters, {classes})"

    def features(self, image: Image, layers: Sequence[str] | None = None) -> Taps:
        """Returns the activations of one image at named layers.

        Args:
          image: RGB, float32, [h, w, 3], in [0, 1].
          layers: Names from `self.layers`; None for all that exist at this image's size.

        Returns:
          Name → [h', w', c] for a layer with positions, [c] for one without.

        Raises:
          KeyError: If a layer does not exist; the message offers the nearest names.
          ValueError: If the image is too small for a layer, or has another size than the classifier needs.
        """
        taps = self.batch_of_one(image)
        wanted = taps if layers is None else layers
        for layer in wanted:
            if layer not in taps:
                known(layer, self.layers, f"layer of {self.name or 'this network'}")
                h, w = image.shape[:2]
                dense = hasattr(self.architecture, "head_size") and len(self.shapes[layer]) == 1
                remedy = "take 224×224, which its classifier needs" if dense else "take a larger one"
                raise ValueError(
                    f"layer {layer!r} of {self.name} does not exist for a picture of {h}×{w}; {remedy}"
                )
        return {layer: taps[layer][0] for layer in wanted}

    def batch_of_one(self, image: Image) -> dict[str, Array]:
        """Returns all taps that exist at this image's size, each with a leading axis of 1, as they are computed."""
        x = self.preprocessing.apply(jnp.asarray(image))[None]
        architecture = self.architecture.clone(relu=self.relu)

        def applied(params: Params, x: Any) -> dict[str, Array]:
            taps: Any = architecture.apply({"params": params}, x)
            return dict(taps)

        if self.rematerialized:
            applied = jax.checkpoint(applied, policy=jax.checkpoint_policies.save_only_these_names(POOLED))
        return applied(self.params, x)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of all taps, in the order in which they are computed."""
        return tuple(self.shapes)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all taps of a 224×224 picture, by name."""
        return tap_shapes(self.architecture, self.params)

    @property
    def precision(self) -> jax.lax.Precision:
        """How exactly its products are made on accelerators; HIGHEST where its architecture does not say."""
        return PRECISIONS[getattr(self.architecture, "precision", "float32")][1]

    @property
    def classes(self) -> int | None:
        """Number of classes, or None where there is no classifier."""
        return getattr(self.architecture, "classes", None)


_IMAGE = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
_TAP_SHAPES: dict[nn.Module, dict[str, tuple[int, ...]]] = {}


def tap_shapes(architecture: nn.Module, params: Params) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of all taps of a 224×224 picture, in the order of computation.

    Args:
      architecture: A Linen module that returns taps.
      params: Its weights, or what `parameter_shapes` returns.
    """
    architecture = plain(architecture)
    if architecture not in _TAP_SHAPES:
        order: list[str] = []

        def run(params, x):
            taps = architecture.apply({"params": params}, x)
            order.extend(taps)
            return taps

        taps = jax.eval_shape(run, params, _IMAGE)
        _TAP_SHAPES[architecture] = {name: taps[name].shape[1:] for name in order}
    return dict(_TAP_SHAPES[architecture])


def plain(architecture: nn.Module) -> nn.Module:
    """Returns an architecture with the usual derivative rule and borders, which decide no shape and no field."""
    usual: dict[str, Any] = {}
    if hasattr(architecture, "borders"):
        usual = {"borders": "zero", "first_borders": ""}
    return architecture.clone(relu=jax.nn.relu, **usual)


@functools.cache
def parameter_shapes(architecture: nn.Module) -> Params:
    """Returns the tree of an architecture's weights as shapes and types, without computing any."""
    return jax.eval_shape(architecture.init, jax.random.key(0), _IMAGE)["params"]


def drawn_parameters(architecture: nn.Module, key: Key) -> Params:
    """Returns random weights of an architecture: He normal kernels, zero biases."""
    return _drawn(plain(architecture), key)


@functools.partial(jax.jit, static_argnames="architecture")
def _drawn(architecture: nn.Module, key: Key) -> Params:
    return architecture.init(key, jnp.zeros((1, 224, 224, 3)))["params"]


@functools.partial(jax.jit, static_argnames="layers")
def compiled_features(network: Network, image: Image, layers: tuple[str, ...]) -> Taps:
    """Returns `network.features(image, layers)` as one compiled program."""
    return network.features(image, layers)
