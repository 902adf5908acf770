r"""Adversarial patches: a small picture that, laid anywhere on others, makes a network see one class.

.. math:: z^* = \mathrm{argmax}_{z \in [0, 1]} E_{i, t} \left[ \log P(y \,|\, A(z, x_i, t)) \right]
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float

from jaxviz import constraints
from jaxviz._checks import number, random_key, whole
from jaxviz._typing import Key, Number
from jaxviz.networks import Network
from jaxviz.optimization import Solution, minimize
from jaxviz.optimizers import Optimizer, adam
from jaxviz.techniques.attacks.pasting import (
    ROTATION,
    SCALE,
    Pasted,
    Patch,
    checked_scale,
    mask_of,
)
from jaxviz.techniques.attacks.population import (
    Images,
    Labels,
    Population,
    adversaries,
    checked_population,
    population,
)

STEPS, BATCH, STEP_SIZE = 500, 8, 0.05


def problem(
    network: Network,
    images: Images,
    labels: Labels = None,
    *,
    target: Number,
    size: int | None = None,
    shape: str = "circle",
    rotation: Number = ROTATION,
    scale: Sequence[Number] = SCALE,
    batch: int = BATCH,
    mesh: Mesh | None = None,
) -> tuple[Population, Float[Array, "p p 3"]]:
    """Returns the problem of a patch, and its start, which is grey; arguments as for `patch`."""
    turn, (low, high) = number(rotation, "rotation", 0, 180), checked_scale(scale)
    pictures, _ = checked_population(network, images, labels, target)
    side = min(pictures.shape[1:3])
    pixels = max(1, round(float(high) * side)) if size is None else whole(size, "size")
    if pixels > side:
        raise ValueError(f"size is {pixels}; expected at most the pictures' shorter side, {side}")
    change = Pasted(jnp.asarray(mask_of(shape, pixels)), low, high, turn)
    objectives = adversaries(network, None, len(pictures), target, "cross-entropy")
    start = jnp.full((pixels, pixels, 3), 0.5)
    return population(
        network, jnp.asarray(pictures), objectives, change, constraints.box(), start, batch, mesh
    )


def schedule(start: Any, *, step_size: Number = STEP_SIZE, steps: int = STEPS) -> tuple[int, Optimizer]:
    """Returns the evaluations that `steps` steps and the point that they end at need, and the optimizer."""
    return whole(steps, "steps") + 1, adam(number(step_size, "step_size", 0))


def patch(
    network: Network,
    images: Images,
    labels: Labels = None,
    *,
    target: Number,
    size: int | None = None,
    shape: str = "circle",
    rotation: Number = ROTATION,
    scale: Sequence[Number] = SCALE,
    step_size: Number = STEP_SIZE,
    steps: int = STEPS,
    batch: int = BATCH,
    key: Key | int | None = None,
    mesh: Mesh | None = None,
    on_chunk: Callable[[Solution], None] | None = None,
) -> Patch:
    r"""Returns the patch that makes a network see one class in whatever picture it is laid on.

    .. math:: z^* = \mathrm{argmax}_{z \in [0, 1]} E_{i, t} \left[ \log P(y \,|\, A(z, x_i, t)) \right]

    by Adam from grey, with A as for `paste`. Each step draws a few pictures, and for each a place at which the
    patch lies in it as a whole, a size and an angle, all uniformly.

    Args:
      network: One with a classifier.
      images: x_i, of one size, RGB, float32, in [0, 1]: the more and the more varied, the better the patch works
        on others.
      labels: The class of each, by which pictures of the target's class are left out, which say nothing; None for
        unknown.
      target: y, the class to reach.
      size: p, pixels of the patch's side, at most the pictures' shorter side; None for as many as the largest scale
        shows. It says how fine the patch is, and `scale` how large it is shown.
      shape: "circle" or "square".
      rotation: The largest angle to either side, in degrees, from 0 to 180.
      scale: The patch's smallest and largest side, as shares of the pictures' shorter side, above 0, at most 1.
      step_size: Adam's learning rate, in units of [0, 1] pixels.
      steps: Steps, at least 1.
      batch: Pictures that a step looks at, of devices a multiple.
      key: A random key, or a seed; None for 0.
      mesh: Devices to share the pictures of a step among, from `jaxviz.mesh`.
      on_chunk: As for `minimize`; the solution's value are the pixels.

    Returns:
      The patch of the last step: pixels [p, p, 3] in [0, 1], and its mask [p, p].

    Raises:
      KeyError: If there is no such shape.
      ValueError: If there is no picture, one is none or of another size, labels are of another number, a number or
        class is out of range, all pictures are of the target's class, or `batch` cannot be shared.
      Interrupted: On Ctrl-C in the main thread, with the pixels so far.

    References:
      [1] Brown, Mané, Roy, Abadi, Gilmer. Adversarial Patch. NeurIPS Workshop 2017, eq. 1.
      [2] Athalye, Engstrom, Ilyas, Kwok. Synthesizing Robust Adversarial Examples. ICML 2018, section 2.1.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> pictures = np.full((2, 64, 64, 3), 0.5, np.float32)
      >>> patch = jaxviz.attacks.patch(network, pictures, target=859, steps=2, batch=2)
      >>> patch.pixels.shape, patch.mask[16, 16].item(), patch.mask[0, 0].item()
      ((32, 32, 3), 1.0, 0.0)
    """
    seed = random_key(0 if key is None else key)
    posed, start = problem(
        network,
        images,
        labels,
        target=target,
        size=size,
        shape=shape,
        rotation=rotation,
        scale=scale,
        batch=batch,
        mesh=mesh,
    )
    evaluations, optimizer = schedule(start, step_size=step_size, steps=steps)
    found = minimize(posed, start, steps=evaluations, optimizer=optimizer, key=seed, on_chunk=on_chunk)
    return Patch(found.value, jnp.asarray(mask_of(shape, len(start))))
