"""What a picture costs by a problem, term by term."""

from typing import Any

import jax

from jaxviz import tiling
from jaxviz._typing import Image, Scalar
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


@jax.jit
def _terms(problem: Problem, image: Image) -> dict[str, Scalar]:
    objective: Any = problem.objective
    return objective.terms(problem.network.features(image))


def _prior(prior: Any, image: Image) -> Scalar:
    return prior(image)
