"""Attacks that know what a success is: runs that end at the first one, or keep the nearest."""

import jax.numpy as jnp

from jaxviz._typing import Image, Key, Objective, Scalar, symbol
from jaxviz.problem import Problem
from jaxviz.stepping import Verdict


class Judged:
    """What is minimized is the `problem` of a symbol, which itself only says what its points are worth."""

    problem: Problem

    @property
    def random(self) -> bool:
        """Whether the loss depends on the key."""
        return self.problem.random

    def loss(self, z: Image, key: Key) -> Scalar:
        """Returns the problem's own loss."""
        return self.problem.loss(z, key)

    def project(self, z: Image) -> Image:
        """Returns the problem's own projection."""
        return self.problem.project(z)


@symbol
class UntilFooled(Judged):
    """A problem whose run ends at the first point that fools the network.

    Attributes:
      problem: What is minimized.
      gap: Below 0 where the network is fooled, such as `classes.adversarial(…, loss="margin")`.
    """

    problem: Problem
    gap: Objective

    def judged(self, z: Image, key: Key) -> tuple[Scalar, Verdict]:
        """Returns the loss; and that a point is the better the lower its loss, and the last where it fools."""
        loss, taps = self.problem.loss_and_taps(z, key)
        fooled = self.gap(taps) < 0
        return loss, Verdict(jnp.where(fooled, success(loss), loss), fooled)


def success(loss: Scalar) -> Scalar:
    """Returns the merit of a point that fools, whatever its loss: the least finite number of that type."""
    return jnp.full_like(loss, jnp.finfo(loss.dtype).min)


@symbol
class NearestFooling(Judged):
    r"""A problem of whose points the nearest one counts that fools the network.

    Attributes:
      problem: What is minimized.
      gap: As for `UntilFooled`.
      image: x, from which distances are counted, by the Euclidean norm.
      confidence: κ, at least 0: by how much the best other class must be ahead.
    """

    problem: Problem
    gap: Objective
    image: Image
    confidence: Scalar

    def judged(self, z: Image, key: Key) -> tuple[Scalar, Verdict]:
        """Returns the loss; and the squared distance of a point that fools, infinite for any other."""
        loss, taps = self.problem.loss_and_taps(z, key)
        gap = self.gap(taps)
        fooled = (gap < 0) & (gap <= -self.confidence)
        distance = jnp.sum((self.problem.parameterization.decode(z) - self.image) ** 2)
        return loss, Verdict(jnp.where(fooled, distance, jnp.inf), jnp.zeros((), bool))
