r"""SmoothGrad and its kin: moments of the derivative under noise.

With :math:`g_k = \partial S(x + n_k) / \partial x` and :math:`n_k \sim N(0, \sigma^2 (\max x - \min x)^2)`,

.. math:: \text{SmoothGrad} = \overline{g}, \quad \text{SmoothGrad}^2 = \overline{g^2}, \quad
          \text{VarGrad} = \overline{g^2} - \overline{g}^2 .
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxviz._checks import image as checked_image
from jaxviz._checks import number, random_key, whole
from jaxviz._typing import Image, Key, Number, Objective
from jaxviz.networks import Network
from jaxviz.techniques.classes import scored
from jaxviz.techniques.saliency.gradient import derivative
from jaxviz.techniques.sampling import mean_of_random

SAMPLES, SIGMA = 50, 0.15


def smoothgrad(
    network: Network,
    image: Image,
    target: Number | Objective,
    *,
    key: Key | int = 0,
    samples: int = SAMPLES,
    sigma: Number = SIGMA,
) -> Image:
    r"""Returns the mean derivative of a score over pictures with noise.

    .. math:: M = \frac{1}{n} \sum_{k=1}^n \frac{\partial S(x + n_k)}{\partial x}, \quad
              n_k \sim N(0, \sigma^2 (\max x - \min x)^2)

    with S the unnormalized score of class `target`, or minus an objective of the taps; the network's own ReLU
    rule is used. Samples are computed in one program, some at a time: memory does not grow with n. For a batch,
    `jax.vmap`.

    Args:
      network: One with a classifier, unless `target` is an objective of other taps.
      image: x, RGB, float32, [h, w, 3], in [0, 1].
      target: A class index, or an objective.
      key: Seeds the noise: sample k draws from `fold_in(key, k)`. An integer is a seed.
      samples: n, at least 1.
      sigma: σ, in parts of the image's range, 0 to 10; [1] finds 0.1 to 0.2 best.

    Returns:
      M, [h, w, 3], signed, in units of the score per unit of [0, 1] pixels.

    Raises:
      ValueError: If the image is not one, a number is out of range, the class is, or the network has no
        classifier.

    Note:
      Noisy pictures leave [0, 1], as in [1].

    References:
      [1] Smilkov, Thorat, Kim, Viégas, Wattenberg. SmoothGrad: removing noise by adding noise. arXiv 1706.03825,
          2017.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> jaxviz.saliency.smoothgrad(network, jnp.full((64, 64, 3), 0.5), 285, samples=2).shape
      (64, 64, 3)
    """
    return _moments(network, image, target, key, samples, sigma)[0]


def smoothgrad_squared(
    network: Network,
    image: Image,
    target: Number | Objective,
    *,
    key: Key | int = 0,
    samples: int = SAMPLES,
    sigma: Number = SIGMA,
) -> Image:
    r"""Returns the mean squared derivative of a score over pictures with noise.

    .. math:: M = \frac{1}{n} \sum_{k=1}^n \left( \frac{\partial S(x + n_k)}{\partial x} \right)^2

    Args:
      network: As for `smoothgrad`.
      image: As for `smoothgrad`.
      target: As for `smoothgrad`.
      key: As for `smoothgrad`, with the same noise.
      samples: As for `smoothgrad`.
      sigma: As for `smoothgrad`.

    Returns:
      M, [h, w, 3], at least 0, in squared units of `smoothgrad`.

    Raises:
      ValueError: As for `smoothgrad`.

    References:
      Hooker, Erhan, Kindermans, Kim. A Benchmark for Interpretability Methods in Deep Neural Networks. NeurIPS
      2019, section 3.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> jaxviz.saliency.smoothgrad_squared(network, jnp.full((64, 64, 3), 0.5), 285, samples=2).shape
      (64, 64, 3)
    """
    return _moments(network, image, target, key, samples, sigma)[1]


def vargrad(
    network: Network,
    image: Image,
    target: Number | Objective,
    *,
    key: Key | int = 0,
    samples: int = SAMPLES,
    sigma: Number = SIGMA,
) -> Image:
    r"""Returns the variance of a score's derivative over pictures with noise.

    .. math:: M = \frac{1}{n} \sum_{k=1}^n \left( g_k - \overline{g} \right)^2, \quad
              g_k = \frac{\partial S(x + n_k)}{\partial x}

    Args:
      network: As for `smoothgrad`.
      image: As for `smoothgrad`.
      target: As for `smoothgrad`.
      key: As for `smoothgrad`, with the same noise.
      samples: As for `smoothgrad`; of one sample the variance is 0.
      sigma: As for `smoothgrad`.

    Returns:
      M, [h, w, 3], at least 0, in squared units of `smoothgrad`.

    Raises:
      ValueError: As for `smoothgrad`.

    References:
      Adebayo, Gilmer, Goodfellow, Kim. Local Explanation Methods for Deep Neural Networks Lack Sensitivity to
      Parameter Values. ICLR Workshop 2018.

    Example:
      >>> network = jaxviz.load("squeezenet1_1")
      >>> jaxviz.saliency.vargrad(network, jnp.full((64, 64, 3), 0.5), 285, samples=2).shape
      (64, 64, 3)
    """
    mean, squared = _moments(network, image, target, key, samples, sigma)
    return jnp.maximum(squared - jnp.square(mean), 0)


def _moments(network, image, target, key, samples, sigma) -> tuple[Array, Array]:
    objective = scored(network, target)
    sigma = number(sigma, "sigma", 0, 10)
    count = whole(samples, "samples")
    return _compiled(network, checked_image(image), objective, random_key(key), count, sigma)


@functools.partial(jax.jit, static_argnames="samples")
def _compiled(network: Network, image: Image, objective: Objective, key: Key, samples: int, sigma: Array):
    spread = sigma * (image.max() - image.min())

    def one(key: Key) -> tuple[Array, Array]:
        noise = spread * jax.random.normal(key, image.shape, image.dtype)
        slope = derivative(network, image + noise, objective)
        return slope, jnp.square(slope)

    return mean_of_random(one, key, samples)
