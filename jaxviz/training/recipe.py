"""What the loop of training needs of a method, and the step down a loss of which methods are made."""

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
    def least_styles(self) -> int:
        """How many paintings there must be for batches to have them beside photographs; 0 if they have none."""

    @property
    def margin(self) -> float:
        """How much larger the shorter side of a picture is made than the square that is cut from it."""

    def init(self, key: Key) -> Any:
        """Returns the state before the first step, a tree of arrays."""

    def step(
        self, frozen: Any, state: Any, batch: Mapping[str, Any], key: Key
    ) -> tuple[Any, dict[str, Array]]:
        """Returns the next state, and the losses of the batch by name, "loss" among them.

        Args:
          frozen: The recipe's own.
          state: As `init` makes it.
          batch: "content", and "style" where there are paintings, bytes [n, size, size, 3]; "content_numbers" and
            "style_numbers", which pictures of their source these are, [n].
          key: Of this step.
        """

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


def descended(loss: Any, params: Any, optimizer: optax.GradientTransformation, memory: Any) -> Any:
    """Returns weights and the optimizer's memory after one step down a loss, and what it told.

    Args:
      loss: From weights to (loss, told).
      params: The weights, a tree of arrays.
      optimizer: An optax transformation.
      memory: Its state.
    """
    slope, told = jax.grad(loss, has_aux=True)(params)
    return *moved(slope, params, optimizer, memory), told


def moved(slope: Any, params: Any, optimizer: optax.GradientTransformation, memory: Any) -> Any:
    """Returns weights and the optimizer's memory after one step, given the derivative of the loss."""
    updates, memory = optimizer.update(slope, memory, params)
    return optax.apply_updates(params, updates), memory


def floats(pictures: Any) -> Float[Array, "n h w 3"]:
    """Returns bytes as floats in [0, 1]."""
    return jnp.asarray(pictures, jnp.float32) / 255
