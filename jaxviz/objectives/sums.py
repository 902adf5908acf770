"""Objectives of other objectives: sums, and a floor."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from jaxviz._checks import number
from jaxviz._typing import Number, Objective, Scalar, Taps, static, symbol
from jaxviz.objectives.parts import Part


@symbol
class WeightedSum:
    """A weighted sum of objectives; made by `weighted_sum`."""

    objectives: tuple[Objective, ...]
    weights: tuple[Array, ...]
    names: tuple[str, ...] = static(default=())

    def __call__(self, taps: Taps) -> Scalar:
        """Returns the value for the taps of one image."""
        return self._total([objective(taps) for objective in self.objectives])

    def sums(self, taps: Taps, part: Part | None = None) -> tuple[Any, ...]:
        """Returns what adds up over the parts of an image, of each objective."""
        return tuple(objective.sums(taps, part) for objective in self._additive())

    def of_sums(self, sums: tuple[Any, ...]) -> Scalar:
        """Returns the value, given the sums of all parts."""
        both = zip(self._additive(), sums, strict=True)
        return self._total([objective.of_sums(values) for objective, values in both])

    def terms_of(self, sums: tuple[Any, ...]) -> dict[str, Scalar]:
        """Returns the weighted contribution of each layer of each objective, as "name/layer", given all sums."""
        found = {}
        for name, weight, objective, own in zip(
            self.names, self.weights, self._additive(), sums, strict=True
        ):
            for layer, term in objective.terms_of(own).items():
                found[f"{name}/{layer}"] = weight * term
        return found

    def terms(self, taps: Taps) -> dict[str, Scalar]:
        """Returns the weighted contribution of each layer of each objective for the taps of one image."""
        return self.terms_of(self.sums(taps))

    @property
    def layers(self) -> tuple[str, ...]:
        """The taps that are looked at."""
        return tuple(dict.fromkeys(layer for part in self._additive() for layer in part.layers))

    def _additive(self) -> tuple[Any, ...]:
        for objective in self.objectives:
            if not hasattr(objective, "sums"):
                raise TypeError(f"{type(objective).__name__} is no function of sums over positions")
        return self.objectives

    def _total(self, values: list[Scalar]) -> Scalar:
        return jnp.sum(jnp.stack([w * value for w, value in zip(self.weights, values, strict=True)]))


def weighted_sum(*terms: tuple[Number, Objective], names: tuple[str, ...] = ()) -> WeightedSum:
    """Returns an objective: the sum of others, each times its weight.

    Args:
      terms: Pairs (weight, objective), at least one. A negative weight makes its objective large.
      names: What each is called where contributions are told apart; numbers where it is not given.

    Raises:
      ValueError: If there is no term, a weight is not finite, or there is not one name for each.

    Example:
      >>> both = weighted_sum((1.0, jaxviz.objectives.logit(0)), (2.0, jaxviz.objectives.logit(1)))
      >>> float(both({"logits": jnp.array([3.0, 5.0])}))
      -13.0
    """
    if not terms:
        raise ValueError("weighted_sum got no term; give pairs (weight, objective)")
    if names and len(names) != len(terms):
        raise ValueError(f"weighted_sum got {len(names)} names for {len(terms)} terms")
    weights = tuple(number(w, f"weight of term {i}") for i, (w, _) in enumerate(terms))
    names = names or tuple(map(str, range(len(terms))))
    return WeightedSum(tuple(objective for _, objective in terms), weights, names)


@symbol
class Floored:
    """An objective that goes no lower than some value; made by `floored`."""

    objective: Objective
    floor: Array

    def __call__(self, taps: Taps) -> Scalar:
        """Returns the value for the taps of one image."""
        return jnp.maximum(self.objective(taps), self.floor)


def floored(objective: Objective, floor: Number = 0.0) -> Floored:
    r"""Returns an objective that is satisfied at some value: :math:`\max(L, -\kappa)`, with no slope below.

    Args:
      objective: L.
      floor: -κ.

    Raises:
      ValueError: If `floor` is not finite.

    Example:
      >>> enough = floored(jaxviz.objectives.logit(0), -2.0)
      >>> [float(enough({"logits": jnp.array([score])})) for score in (1.0, 5.0)]
      [-1.0, -2.0]
    """
    return Floored(objective, number(floor, "floor"))
