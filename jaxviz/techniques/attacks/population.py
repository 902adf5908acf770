"""What one result is sought for, where that is many pictures: their loss, as a mean over a few at a time."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from jaxviz import sharding
from jaxviz._checks import image as checked_image
from jaxviz._checks import index, whole
from jaxviz._typing import Constraint, Image, Key, Number, Objective, Scalar, static, symbol
from jaxviz.networks import Network
from jaxviz.techniques.attacks.sweep import checked_labels
from jaxviz.techniques.classes import LOSSES, adversarial, class_count

Images: TypeAlias = Sequence[Image] | Float[Array | np.ndarray, "*n h w 3"]
"""Many pictures of one size: a sequence, or an array [n, h, w, 3]."""
Labels: TypeAlias = Sequence[int] | Int[Array | np.ndarray, " n"] | None


@runtime_checkable
class Change(Protocol):
    """What unknowns do to a picture: (key, z, image) → image of the same size."""

    def __call__(self, key: Key, z: Any, image: Image) -> Image:
        """Returns the changed picture."""


@symbol
class Population:
    r"""The problem of one z for many pictures: :math:`E_{i, t} [ L_i(\Phi_\theta(t(z, x_i))) ]` over z in C.

    Each evaluation draws a minibatch without repetition, as long as there are enough pictures. A pytree for
    `minimize`, so any number in it may vary without compiling.

    Attributes:
      network: Φ_θ.
      images: x_i, [n, h, w, 3].
      objectives: L_i, one symbol whose leaves are stacked along a leading axis of n.
      change: t.
      constraint: C.
      batch: Pictures of a minibatch.
      mesh: Devices that share each minibatch, of which `batch` is a multiple; None for one.
    """

    network: Network
    images: Float[Array | np.ndarray, "n h w 3"]
    objectives: Objective
    change: Change
    constraint: Constraint
    batch: int = static()
    mesh: Mesh | None = static(default=None)

    @property
    def random(self) -> bool:
        """Whether the loss depends on the key: it does."""
        return True

    def loss(self, z: Any, key: Key) -> Scalar:
        """Returns the mean loss of a minibatch that `key` draws."""
        drawing, changing = jax.random.split(key)
        count = len(self.images)
        chosen = jax.random.permutation(drawing, count)[jnp.arange(self.batch) % count]
        images, objectives = jax.tree.map(lambda leaf: leaf[chosen], (self.images, self.objectives))
        axes = (None, None, None, 0, 0, 0)
        losses = sharding.split(jax.vmap(_loss, in_axes=axes), self.mesh, axes)
        keys = jax.random.split(changing, self.batch)
        mean: Scalar = losses(self.network, self.change, z, keys, images, objectives).mean()
        return mean

    def project(self, z: Any) -> Any:
        """Returns the unknowns in C that are nearest to `z`."""
        return self.constraint.project(z)


def _loss(
    network: Network, change: Change, z: Any, key: Key, image: Image, objective: Objective
) -> Float[Array, ""]:
    return objective(network.features(change(key, z, image)))


def population(
    network: Network,
    images: Float[Array | np.ndarray, "n h w 3"],
    objectives: Objective,
    change: Change,
    constraint: Constraint,
    start: Any,
    batch: int,
    mesh: Mesh | None,
) -> tuple[Population, Any]:
    """Returns the problem and its start, on the devices of the mesh where there is one.

    Raises:
      ValueError: If `batch` is below 1, or no multiple of the number of devices.
    """
    devices = 1 if mesh is None else mesh.size
    if whole(batch, "batch") % devices:
        raise ValueError(f"batch is {batch}; expected a multiple of {devices}, the number of devices")
    posed = Population(network, images, objectives, change, constraint, int(batch), mesh)
    placed: tuple[Population, Any] = (posed, start)
    return placed if mesh is None else sharding.place(None, placed, mesh)


def adversaries(
    network: Network, labels: Int[np.ndarray, " n"] | None, count: int, target: Number | None, loss: str
) -> Objective:
    """Returns the objectives of `count` pictures, stacked: minus the loss of each label, or that of the target."""
    if target is not None:
        reached: Objective = jax.vmap(LOSSES[loss])(jnp.full(count, target, jnp.int32))
        return reached
    left: Objective = jax.vmap(lambda label: adversarial(network, label, None, loss))(jnp.asarray(labels))
    return left


def checked_population(
    network: Network, images: Images, labels: Labels, target: Number | None
) -> tuple[Float[np.ndarray, "n h w 3"], Int[np.ndarray, " n"] | None]:
    """Returns pictures and their classes, without those that are of the target's class already.

    Args:
      network: One with a classifier.
      images: Of one size, RGB, float32, in [0, 1].
      labels: The class of each; None, where there is a target, for unknown: then no picture is left out.
      target: The class to reach; None for none.

    Raises:
      ValueError: If there is no picture, one is none or of another size, labels are missing or are no classes, the
        target is none, or all pictures are of its class.
    """
    pictures = checked_pictures(images)
    reach = None if target is None else int(index(target, "target", class_count(network)))
    if labels is None and reach is not None:
        return pictures, None
    classes = checked_labels(network, labels, len(pictures))
    if reach is None:
        return pictures, classes
    kept = classes != reach
    if not kept.any():
        raise ValueError(f"all {len(kept)} pictures are of class {reach}, the target; give others too")
    return pictures[kept], classes[kept]


def checked_pictures(images: Images) -> Float[np.ndarray, "n h w 3"]:
    """Returns pictures of one size as one array; raises ValueError where there is none, or one is none."""
    if getattr(images, "ndim", 4) != 4:
        raise ValueError(f"images has shape {list(np.shape(images))}; expected many, [n, height, width, 3]")
    found = [np.asarray(checked_image(image, f"image {k}")) for k, image in enumerate(images)]
    if not found:
        raise ValueError("there are 0 images; expected at least one")
    sizes = sorted({picture.shape[:2] for picture in found})
    if len(sizes) > 1:
        told = ", ".join(f"{h}×{w}" for h, w in sizes)
        raise ValueError(f"images have different sizes, {told}; expected one size")
    return np.stack(found)
