"""The equation: symbols composed into one pure loss of the unknowns."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxviz._typing import (
    Constraint,
    Key,
    Objective,
    Parameterization,
    Prior,
    Scalar,
    Taps,
    Transform,
    symbol,
)
from jaxviz.networks import Network
from jaxviz.parameterizations import Pixels


@symbol
class Problem:
    r"""What is to be minimized: :math:`E_t[L(\Phi_\theta(t(\psi(z))))] + R(\psi(z))` over z in C.

    A pytree, so any number in it may vary without compiling.

    Attributes:
      network: Φ_θ.
      objective: L.
      parameterization: ψ.
      prior: R, or None for none.
      transform: t, or None for none; where there is one the loss is random.
      constraint: C, a set of unknowns, or None for all.
    """

    network: Network
    objective: Objective
    parameterization: Parameterization = Pixels()
    prior: Prior | None = None
    transform: Transform | None = None
    constraint: Constraint | None = None

    @property
    def random(self) -> bool:
        """Whether the loss depends on the key."""
        return self.transform is not None

    def loss(self, z: Any, key: Key) -> Scalar:
        """Returns the loss at unknowns `z`; `key` seeds the transform."""
        return self.loss_and_taps(z, key)[0]

    def loss_and_taps(self, z: Any, key: Key) -> tuple[Scalar, Taps]:
        """Returns the loss, and the features that the objective saw."""
        image = self.parameterization.decode(z)
        view = image if self.transform is None else self.transform(key, image)
        taps = self.network.features(view)
        data = self.objective(taps)
        return (data if self.prior is None else data + self.prior(image)), taps

    def project(self, z: Any) -> Any:
        """Returns the unknowns in C that are nearest to `z`."""
        return z if self.constraint is None else self.constraint.project(z)


def stack(problems: Sequence[Any]) -> tuple[Any, Any]:
    """Returns many problems as one batch, and the axes that say which of its leaves are stacked.

    A leaf that is the same object in all problems, as a network's weights are, stays shared; a network is
    never batched. Any pytrees of equal structure will do, such as pairs of a problem and its start:

        (problem, z), (axes, _) = stack([inversion.problem(network, image, layer="relu3_3") for image in images])
        solution = minimize(problem, z, steps=200, batch_axes=axes)

    Args:
      problems: At least one; all of the same structure and shapes.

    Returns:
      The batch, and a tree like it with 0 for each stacked leaf and None for each shared one.

    Raises:
      ValueError: If there is none, or their structures or shapes differ.
    """
    if not problems:
        raise ValueError("stack got no problem")
    flat, structures = zip(*(jax.tree.flatten(problem) for problem in problems), strict=True)
    # One problem alone shares no leaf with another, and yet its network is not to be batched.
    shared = {id(leaf) for leaf in jax.tree.leaves(_networks(problems[0]))}
    for i, structure in enumerate(structures):
        if structure != structures[0]:
            raise ValueError(f"problem {i} differs from problem 0 in its network, layers or kinds of symbol")
    leaves: list[Any] = []
    axes: list[int | None] = []
    for same in zip(*flat, strict=True):
        if all(leaf is same[0] for leaf in same) and (len(same) > 1 or id(same[0]) in shared):
            leaves.append(same[0])
            axes.append(None)
            continue
        shapes = {jnp.shape(leaf) for leaf in same}
        if len(shapes) > 1:
            raise ValueError(
                f"problems differ in the shapes of their arrays: {sorted(shapes)}; resize the pictures"
            )
        leaves.append(jnp.stack(same))
        axes.append(0)
    return jax.tree.unflatten(structures[0], leaves), jax.tree.unflatten(structures[0], axes)


def _networks(problem: Any) -> list[Network]:
    nodes = jax.tree.leaves(problem, is_leaf=lambda node: isinstance(node, Network))
    return [node for node in nodes if isinstance(node, Network)]
