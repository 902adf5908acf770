"""What the loop of training needs of a method, and the form that most have: one loss and one optimizer."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jaxviz._checks import known
from jaxviz._typing import Image, Key
from jaxviz.stylization import Adaptive, Bank


@runtime_checkable
class Recipe(Protocol):
    """A method of training, with all its numbers; a new one is one file and one entry in `METHODS`.

    `frozen` is what is not trained: it is an argument of the compiled step, and no constant of it.
    """

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that decides the result, plain enough for JSON."""

    @property
    def frozen(self) -> Any:
        """A tree of arrays: networks, targets, weights of losses."""

    @property
    def draws_styles(self) -> bool:
        """Whether a batch has paintings beside photographs."""

    def init(self, key: Key) -> Any:
        """Returns the state before the first step, a tree of arrays."""

    def step(
        self, frozen: Any, state: Any, batch: Mapping[str, Any], key: Key
    ) -> tuple[Any, dict[str, Array]]:
        """Returns the next state, and the losses of the batch by name, "loss" among them."""

    def model(self, state: Any) -> Bank | Adaptive:
        """Returns the network as it is used."""

    def samples(self, model: Any, image: Image, style: Image | None) -> Mapping[str, Image]:
        """Returns what a sheet shows of a picture: name → picture."""


@dataclasses.dataclass(frozen=True)
class Preset:
    """Numbers that belong together.

    Attributes:
      values: Option → value.
      paper: Authors, title, venue; empty for the library's own.
      departures: Where a run differs from the paper, in one sentence.
    """

    values: Mapping[str, Any]
    paper: str = ""
    departures: str = ""

    def merged(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the preset's values, and in their place those given that are not None.

        Raises:
          KeyError: If an option is given that the method does not have.
        """
        for name in given:
            known(name, self.values, "option of this training")
        return {**self.values, **{name: value for name, value in given.items() if value is not None}}


def descended(
    loss: Any, variables: Mapping[str, Any], optimizer: optax.GradientTransformation, memory: Any
) -> Any:
    """Returns variables and memory after one step down a loss, and what it told.

    Args:
      loss: From params to (loss, (told, statistics)).
      variables: "params" and "statistics".
      optimizer: An optax transformation.
      memory: Its state.
    """
    (_, (told, statistics)), slope = jax.value_and_grad(loss, has_aux=True)(variables["params"])
    updates, memory = optimizer.update(slope, memory, variables["params"])
    params = optax.apply_updates(variables["params"], updates)
    return {"params": params, "statistics": statistics}, memory, told


def floats(pictures: Any) -> Float[Array, "n h w 3"]:
    """Returns bytes as floats in [0, 1]."""
    return jnp.asarray(pictures, jnp.float32) / 255
