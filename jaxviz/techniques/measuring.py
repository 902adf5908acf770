"""What a picture costs by a problem, term by term."""

from collections.abc import Mapping
from typing import Any

import jax

from jaxviz import tiling
from jaxviz._typing import Image, Scalar, Taps
from jaxviz.networks import Network, compiled_features
from jaxviz.objectives import match_perceptual
from jaxviz.problem import Problem
from jaxviz.tiling import Tiled


def contributions(problem: Problem | Tiled, image: Image) -> dict[str, float]:
    """Returns what each term contributes to a problem's loss at an image, weights included.

    Args:
      problem: One whose objective is a sum of objectives of features, as `style.problem` returns it.
      image: [h, w, 3], in [0, 1].

    Returns:
      "NAME/LAYER" → its contribution, NAME → the sum over its layers, "prior" → that of the prior, and "loss" → of
      all.

    Example:
      >>> from jaxviz.techniques.measuring import contributions
      >>> picture = jax.random.uniform(jax.random.key(0), (32, 32, 3))
      >>> weights = {"content_weights": {"relu1_2": 1}, "style_weights": {"relu1_1": 1}}
      >>> problem, start = jaxviz.style.problem(jaxviz.load("vgg16"), picture, [picture[::-1]], **weights)
      >>> found = contributions(problem, start)
      >>> list(found), found["content"]
      (['content/relu1_2', 'style/relu1_1', 'content', 'style', 'prior', 'loss'], 0.0)
    """
    if isinstance(problem, Tiled):
        terms, prior = tiling.terms(problem, image), problem.problem.prior
    else:
        terms, prior = _terms(problem, image), problem.prior
    found = {name: float(term) for name, term in terms.items()}
    totals: dict[str, float] = {}
    for name, term in found.items():
        head = name.partition("/")[0]
        totals[head] = totals.get(head, 0.0) + term
    smooth = 0.0 if prior is None else float(jax.jit(_prior)(prior, image))
    return found | totals | {"prior": smooth, "loss": sum(totals.values()) + smooth}


def perceptual_distance(
    network: Network, image: Image, target: Image, weights: Mapping[str, Any], *, window: int | None = None
) -> float:
    """Returns how unlike two pictures are in the eyes of people: LPIPS.

    Args:
      network: The one that the weights are for.
      image: [h, w, 3], in [0, 1].
      target: Of the same shape.
      weights: From `jaxviz.checkpoints.perceptual_weights`.
      window: For pictures too large for the memory: about how many pixels are seen at a time.

    Raises:
      ValueError, KeyError: As `match_perceptual` does.

    Example:
      >>> from jaxviz.techniques.measuring import perceptual_distance
      >>> picture = jax.random.uniform(jax.random.key(0), (32, 32, 3))
      >>> weights = {"relu1_2": jnp.full(64, 0.1)}
      >>> perceptual_distance(jaxviz.load("vgg16"), picture, picture, weights)
      0.0
    """
    layers = tuple(weights)
    if window is None:
        objective = match_perceptual(compiled_features(network, target, layers), weights=weights)
        return float(_value(objective, compiled_features(network, image, layers)))
    objective = match_perceptual(tiling.features(network, target, layers, window), weights=weights)
    problem = tiling.tiled(Problem(network=network, objective=objective), window)
    return sum(float(term) for term in tiling.terms(problem, image).values())


@jax.jit
def _value(objective: Any, taps: Taps) -> Scalar:
    return objective(taps)


@jax.jit
def _terms(problem: Problem, image: Image) -> dict[str, Scalar]:
    objective: Any = problem.objective
    return objective.terms(problem.network.features(image))


def _prior(prior: Any, image: Image) -> Scalar:
    return prior(image)
