"""How often one perturbation, or one patch, fools a network about pictures that it may not have seen before."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int

from jaxviz._checks import index, number, random_key
from jaxviz._typing import AnyImage, Image, Key, Number
from jaxviz.batching import batched
from jaxviz.networks import Network
from jaxviz.techniques.attacks.pasting import ROTATION, Patch, checked_patch, drawn_place, pasted
from jaxviz.techniques.attacks.population import Images, checked_pictures
from jaxviz.techniques.attacks.sweep import interval
from jaxviz.techniques.classes import class_count

SIZES = (0.1, 0.2, 0.3, 0.4, 0.5)


class UniversalSuccess(NamedTuple):
    """What a network sees in pictures without and with a perturbation.

    Attributes:
      before: The best class of each picture, [n].
      after: With the perturbation.
    """

    before: Int[np.ndarray, " n"]
    after: Int[np.ndarray, " n"]

    def fooling_rate(self) -> tuple[float, float, float]:
        """Returns the share of pictures whose best class changes, and its interval of 95 % (Wilson 1927)."""
        return share(self.before != self.after)


class PatchSuccess(NamedTuple):
    """How often a patch makes a network see the target, at each of some sizes.

    Attributes:
      sizes: Shares of the picture's shorter side, [s].
      counted: Whether a picture counts: not where it is of the target class without the patch, [n].
      success: Whether the target is the best class, [s, n].
      probabilities: Of the target, [s, n].
    """

    sizes: Float[np.ndarray, " s"]
    counted: Bool[np.ndarray, " n"]
    success: Bool[np.ndarray, "s n"]
    probabilities: Float[np.ndarray, "s n"]

    def points(self) -> list[tuple[float, float, float, float]]:
        """Returns (size, share, low, high) for each size: the share of successes, and its interval of 95 %.

        The interval is Wilson's (1927): what share of all pictures like these would be fooled.
        """
        rows = zip(self.sizes.tolist(), self.success, strict=True)
        return [(size, *share(found[self.counted])) for size, found in rows]


def share(flags: Bool[np.ndarray, " n"]) -> tuple[float, float, float]:
    """Returns the share of flags that are set, and Wilson's interval of 95 %."""
    count, total = int(flags.sum()), len(flags)
    return count / total, *interval(count, total)


def universal_success(
    network: Network,
    perturbation: AnyImage,
    images: Images,
    *,
    mesh: Mesh | None = None,
) -> UniversalSuccess:
    """Returns the best classes of pictures without and with a perturbation, which is added and clipped to colors.

    Args:
      network: One with a classifier.
      perturbation: v, [h, w, 3], such as `universal` returns.
      images: Of one size, that of v, RGB, float32, in [0, 1].
      mesh: Devices to share the pictures among, from `jaxviz.mesh`.

    Raises:
      ValueError: If there is no picture, one is none, or the perturbation is of another size.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> pictures = np.full((2, 64, 64, 3), 0.5, np.float32)
      >>> jaxviz.attacks.universal_success(network, np.zeros((64, 64, 3)), pictures).fooling_rate()[0]
      0.0
    """
    class_count(network)
    pictures = checked_pictures(images)
    if np.shape(perturbation) != pictures.shape[1:]:
        raise ValueError(
            f"perturbation has shape {list(np.shape(perturbation))}; expected {list(pictures.shape[1:])}"
        )
    v = jnp.asarray(perturbation, jnp.float32)
    best = batched(_best, in_axes=(None, 0, None), mesh=mesh)
    before, after = (np.asarray(best(network, pictures, added)) for added in (jnp.zeros_like(v), v))
    return UniversalSuccess(before, after)


def _best(network: Network, image: Image, added: Image) -> Int[Array, ""]:
    return _scores(network, jnp.clip(image + added, 0, 1)).argmax()


def patch_success(
    network: Network,
    patch: Patch,
    images: Images,
    *,
    target: Number,
    sizes: Sequence[float] = SIZES,
    rotation: Number = ROTATION,
    key: Key | int | None = None,
    mesh: Mesh | None = None,
) -> PatchSuccess:
    """Returns how often a patch at random places makes a network see the target, at each of some sizes.

    A picture keeps what is drawn for it, as far as it fits, at all sizes and for all patches.

    Args:
      network: One with a classifier.
      patch: Such as `patch` returns.
      images: Of one size, RGB, float32, in [0, 1]; best others than it was made with.
      target: The class to reach.
      sizes: The patch's side as shares of the pictures' shorter side, above 0 and at most 1.
      rotation: The largest angle to either side, in degrees, from 0 to 180.
      key: A random key, or a seed; None for 0.
      mesh: Devices to share the pictures among, from `jaxviz.mesh`.

    Raises:
      ValueError: If there is no picture or size, one is none, a number or the target is out of range, or all
        pictures are of the target class already.

    References:
      Brown, Mané, Roy, Abadi, Gilmer. Adversarial Patch. NeurIPS Workshop 2017, figure 3.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> patch = jaxviz.attacks.Patch(np.full((16, 16, 3), 0.5), np.ones((16, 16)))
      >>> pictures = np.full((2, 64, 64, 3), 0.5, np.float32)
      >>> found = jaxviz.attacks.patch_success(network, patch, pictures, target=859, sizes=(0.2, 0.4))
      >>> found.success.shape
      (2, 2)
    """
    reach = index(target, "target", class_count(network))
    checked, pictures = checked_patch(patch), checked_pictures(images)
    turn = number(rotation, "rotation", 0, 180)
    if not len(sizes):
        raise ValueError("there are 0 sizes; expected at least one")
    scales = jnp.stack([number(size, f"size {k}", 1e-3, 1) for k, size in enumerate(sizes)])
    keys = jax.random.split(random_key(0 if key is None else key), len(pictures))
    told = batched(_told, in_axes=(None, 0, 0, None, None, None, None), mesh=mesh)
    plain, success, probabilities = map(
        np.asarray, told(network, pictures, keys, checked, reach, scales, turn)
    )
    if plain.all():
        raise ValueError(f"all {len(plain)} pictures are of class {int(target)}, the target, already")
    return PatchSuccess(np.asarray(sizes, np.float64), ~plain, success.T, probabilities.T)


def _told(
    network: Network, image: Image, key: Key, patch: Patch, target: Array, scales: Array, rotation: Array
) -> Any:
    turned, placed = jax.random.split(key)
    angle = jax.random.uniform(turned, (), jnp.float32, -rotation, rotation)

    def at(scale: Array) -> tuple[Array, Array]:
        place = drawn_place(placed, image.shape[:2], patch.mask, scale, angle)
        scores = _scores(network, pasted(image, patch, place, scale, angle))
        return scores.argmax() == target, jax.nn.softmax(scores)[target]

    return _scores(network, image).argmax() == target, *jax.lax.map(at, scales)


def _scores(network: Network, image: Image) -> Float[Array, " classes"]:
    return network.features(image, ["logits"])["logits"]
