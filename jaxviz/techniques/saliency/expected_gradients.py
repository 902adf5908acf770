r"""Expected gradients: integrated gradients in the mean over many baselines."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxviz._checks import image as checked_image
from jaxviz._checks import random_key, whole
from jaxviz._typing import Image, Key, Number, Objective
from jaxviz.networks import Network
from jaxviz.techniques.classes import scored
from jaxviz.techniques.saliency.gradient import derivative
from jaxviz.techniques.sampling import mean_of_random

SAMPLES = 50


def expected_gradients(
    network: Network,
    image: Image,
    target: Number | Objective,
    *,
    references: Float[Array | np.ndarray, "..."] | None = None,
    key: Key | int = 0,
    samples: int = SAMPLES,
) -> Image:
    r"""Returns integrated gradients in the mean over many baselines, with one random step for each.

    .. math:: M = \frac{1}{n} \sum_k (x - x'_k) \odot
              \frac{\partial S}{\partial x} \bigl( x'_k + t_k (x - x'_k) \bigr), \quad t_k \sim U(0, 1)

    with :math:`x'_k` drawn from `references`. For a batch, `jax.vmap`.

    Args:
      network: One with a classifier, unless `target` is an objective of other taps.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      target: A class index, or an objective.
      references: Pictures of the data, of the image's size, which [1] draws from; None for uniform noise, the
        "uniform" baseline of [2].
      key: Seeds places and references: sample k draws from `fold_in(key, k)`. An integer is a seed.
      samples: n, at least 1.

    Returns:
      M, [h, w, 3], signed, in units of the score.

    Raises:
      ValueError: If the image is not one, the references are of another size, `samples` is below 1, the class is
        out of range, or the network has no classifier.

    References:
      [1] Erion, Janizek, Sturmfels, Lundberg, Lee. Improving performance of deep learning models with axiomatic
          attribution priors and expected gradients. Nature Machine Intelligence 2021.
      [2] Sturmfels, Lundberg, Lee. Visualizing the Impact of Feature Attribution Baselines. Distill 2020.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> jaxviz.saliency.expected_gradients(network, jnp.full((64, 64, 3), 0.5), 285, samples=2).shape
      (64, 64, 3)
    """
    image = checked_image(image)
    if references is not None and (np.ndim(references) != 4 or np.shape(references)[1:] != image.shape):
        raise ValueError(
            f"references are {list(np.shape(references))}; expected [n, {', '.join(map(str, image.shape))}]"
        )
    return _expected(
        network, image, scored(network, target), references, random_key(key), whole(samples, "samples")
    )


@functools.partial(jax.jit, static_argnames="samples")
def _expected(network, image, objective, references, key, samples) -> Image:
    def one(key: Key) -> Image:
        place, choice = jax.random.split(key)
        if references is None:
            start = jax.random.uniform(choice, image.shape, image.dtype)
        else:
            start = jnp.asarray(references)[jax.random.randint(choice, (), 0, len(references))]
        way = image - start
        return way * derivative(network, start + jax.random.uniform(place) * way, objective)

    return mean_of_random(one, key, samples)
