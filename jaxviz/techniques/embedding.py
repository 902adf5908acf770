"""What a layer takes for alike: nearest neighbors of features, and features as points of a plane."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxviz._checks import known

__all__ = ["METRICS", "Neighbors", "neighbors", "on_grid", "pca", "tsne"]

METRICS = ("cosine", "l2")
QUERIES, POINTS = 256, 8192
"""How many of each are compared at once: the memory of their distances does not grow with their number."""
PERPLEXITY = 30.0


class Neighbors(NamedTuple):
    """The nearest points of each query, the nearest first.

    Attributes:
      indices: Of the points, [queries, k].
      distances: [queries, k]: 1 - cosine, in [0, 2], or Euclidean.
    """

    indices: Int[Array, "q k"]
    distances: Float[Array, "q k"]


def neighbors(
    queries: Float[Array | np.ndarray, "q _"],
    points: Float[Array | np.ndarray, "n _"],
    k: int = 5,
    *,
    metric: str = "cosine",
) -> Neighbors:
    r"""Returns the k nearest points of each query, exactly, in one program on the device.

    .. math:: d(a, b) = 1 - \frac{a \cdot b}{\lVert a \rVert \lVert b \rVert} \quad \text{or} \quad
              d(a, b) = \lVert a - b \rVert_2

    Blocks of queries meet blocks of points, and of each query the best so far are kept: memory is that of a block.

    Args:
      queries: Features to find the like of.
      points: Features to find them among. A query that is one of them finds itself first.
      k: How many, at least 1 and at most n.
      metric: "cosine" or "l2". A vector of zeros has a cosine of 0 with any other.

    Raises:
      KeyError: If there is no such metric.
      ValueError: If k is out of range, the widths differ, or a value is not finite.

    References:
      Krizhevsky, Sutskever, Hinton. ImageNet Classification with Deep Convolutional Neural Networks. NeurIPS 2012,
      section 6.1, where neighbors are found by the last layer's features.

    Example:
      >>> points = jnp.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
      >>> found = neighbors(points[:1], points, 2)
      >>> found.indices.tolist(), [round(d, 3) for d in found.distances[0].tolist()]
      ([[0, 2]], [0.0, 0.293])
    """
    known(metric, METRICS, "metric")
    if queries.shape[1] != points.shape[1]:
        raise ValueError(
            f"queries have {queries.shape[1]} features and points {points.shape[1]}; expected equal"
        )
    if not 1 <= k <= len(points):
        raise ValueError(f"k is {k}; expected 1 to the {len(points)} points that there are")
    for name, values in (("queries", queries), ("points", points)):
        if not np.isfinite(np.asarray(values)).all():
            raise ValueError(f"{name} hold NaN or infinite values")
    return Neighbors(*_neighbors(jnp.asarray(queries), jnp.asarray(points), k, metric))


@functools.partial(jax.jit, static_argnames=("k", "metric"))
def _neighbors(queries: Array, points: Array, k: int, metric: str) -> tuple[Array, Array]:
    if metric == "cosine":
        queries, points = (_unit(values) for values in (queries, points))
    size = min(POINTS, len(points))
    blocks = -(-len(points) // size)
    rows = jnp.arange(blocks * size, dtype=jnp.int32).reshape(blocks, size)
    padded = jnp.pad(points, ((0, blocks * size - len(points)), (0, 0))).reshape(blocks, size, -1)

    def of_queries(some: Array) -> tuple[Array, Array]:
        def block(best: tuple[Array, Array], part: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
            index, values = part
            products = jnp.matmul(some, values.T, precision="highest")
            # Of |a - b|² what differs among the points.
            closeness = products if metric == "cosine" else 2 * products - jnp.square(values).sum(1)
            closeness = jnp.where(index < len(points), closeness, -jnp.inf)
            both = jnp.concatenate([best[0], closeness], 1)
            names = jnp.concatenate([best[1], jnp.broadcast_to(index, closeness.shape)], 1)
            top, place = jax.lax.top_k(both, k)
            return (top, jnp.take_along_axis(names, place, 1)), None

        none = (jnp.full((len(some), k), -jnp.inf), jnp.zeros((len(some), k), jnp.int32))
        return jax.lax.scan(block, none, (rows, padded))[0]

    count = len(queries)
    step = min(QUERIES, count)
    turns = -(-count // step)
    filled = jnp.pad(queries, ((0, turns * step - count), (0, 0))).reshape(turns, step, -1)
    closeness, indices = (part.reshape(-1, k)[:count] for part in jax.lax.map(of_queries, filled))
    if metric == "cosine":
        return indices, jnp.clip(1 - closeness, 0, 2)
    # From the points themselves: the difference of large squares would lose small distances.
    return indices, jnp.linalg.norm(queries[:, None] - points[indices], axis=-1)


def _unit(values: Array) -> Array:
    length = jnp.linalg.norm(values, axis=1, keepdims=True)
    return values / jnp.where(length > 0, length, 1)


def pca(points: Float[Array | np.ndarray, "n c"], count: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Returns points by their first principal components, and the share of the variance that each holds.

    Args:
      points: Features, at least two points.
      count: Components, at least 1; at most n and c.

    Returns:
      [n, count], centered, in the features' unit; and [count] in [0, 1].

    Raises:
      ImportError: If scikit-learn is not installed: `pip install "jaxviz-vision[embed]"`.
      ValueError: If there are too few points, or `count` is out of range.
    """
    _check_points(points, 2)
    if not 1 <= count <= min(points.shape):
        raise ValueError(f"count is {count}; expected 1 to {min(points.shape)} components")
    fitted = _sklearn().decomposition.PCA(
        count, svd_solver="full" if min(points.shape) < 500 else "randomized"
    )
    return fitted.set_params(random_state=0).fit_transform(
        np.asarray(points)
    ), fitted.explained_variance_ratio_


def tsne(
    points: Float[Array | np.ndarray, "n c"], *, perplexity: float | int = PERPLEXITY, seed: int = 0
) -> np.ndarray:
    """Returns points of a plane whose neighbors are those of the features, [n, 2], by t-SNE.

    Args:
      points: Features, more of them than `perplexity`. More than fifty features are reduced to fifty principal
        components before, as in the paper.
      perplexity: About how many neighbors count, at least 1.
      seed: Of what is drawn.

    Raises:
      ImportError: If scikit-learn is not installed: `pip install "jaxviz-vision[embed]"`.
      ValueError: If there are not more points than `perplexity`.

    References:
      van der Maaten, Hinton. Visualizing Data using t-SNE. JMLR 2008.
    """
    _check_points(points, 3)
    if not 1 <= perplexity < len(points):
        raise ValueError(
            f"perplexity is {perplexity:g}, and there are {len(points)} points; it must be at least 1 and smaller"
        )
    reduced = pca(points, min(50, *points.shape))[0] if points.shape[1] > 50 else np.asarray(points)
    made = _sklearn().manifold.TSNE(
        perplexity=perplexity, random_state=seed, init="pca", learning_rate="auto"
    )
    return np.asarray(made.fit_transform(reduced), np.float32)


def on_grid(places: Float[np.ndarray, "n 2"], side: int) -> Int[np.ndarray, "side side"]:
    """Returns which point is shown in each cell of a grid over a plane, -1 for none.

    Of the points in a cell the one nearest to its middle is taken.

    Args:
      places: Points, of any unit; the grid spans their range, the second coordinate upwards.
      side: Cells down and across, at least 1.

    Example:
      >>> on_grid(np.array([[0.0, 0.0], [1.0, 1.0], [0.9, 0.95]]), 2).tolist()
      [[-1, 2], [0, -1]]
    """
    low, span = places.min(0), np.ptp(places, axis=0)
    scaled = (places - low) / np.where(span > 0, span, 1) * side
    cells = np.minimum(scaled.astype(int), side - 1)
    distances = np.linalg.norm(scaled - cells - 0.5, axis=1)
    found = np.full((side, side), -1)
    for k in np.argsort(-distances, kind="stable"):  # the nearest comes last, and stays
        found[side - 1 - cells[k, 1], cells[k, 0]] = k
    return found


def _check_points(points: Any, least: int) -> None:
    if len(points) < least:
        raise ValueError(f"there are {len(points)} points; expected at least {least}")


def _sklearn() -> Any:
    try:
        import sklearn
        import sklearn.decomposition
        import sklearn.manifold
    except ImportError as error:
        raise ImportError('PCA and t-SNE need scikit-learn: pip install "jaxviz-vision[embed]"') from error
    return sklearn
