"""One picture's colors made like another's as a whole: by mean and covariance, or by histogram."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxviz._checks import known, number
from jaxviz._typing import AnyImage, Number
from jaxviz.colors.lights import Picture, picture, product

Matrix = Float[Array, "3 3"]
ROOTS = ("cholesky", "pca", "sqrt")


def match_colors(image: AnyImage, to: AnyImage, *, root: str = "pca", floor: Number = 1e-9) -> Picture:
    r"""Returns the picture with another's mean color and covariance of colors, by one linear map of its colors.

    .. math:: x' = A (x - \mu_s) + \mu_t, \qquad A \Sigma_s A^\top = \Sigma_t, \qquad A = L_t Q L_s^{-1}

    with :math:`\Sigma = L L^\top` (Cholesky). Every rotation Q gives the same mean and covariance; `root` chooses:

    - "cholesky": :math:`A = L_t L_s^{-1}`, Q = 1. Not symmetric in the three colors: red comes first.
    - "pca": :math:`A = \Sigma_t^{1/2} \Sigma_s^{-1/2}`, the symmetric roots by eigenvectors, as in image analogies.
    - "sqrt": :math:`A = \Sigma_s^{-1/2} (\Sigma_s^{1/2} \Sigma_t \Sigma_s^{1/2})^{1/2} \Sigma_s^{-1/2}`, the
      symmetric map, which of all moves the colors least (optimal transport between Gaussians).

    Args:
      image: RGB, [h, w, 3], in [0, 1], with :math:`\mu_s, \Sigma_s` over its pixels.
      to: RGB, of any size, in [0, 1], with :math:`\mu_t, \Sigma_t`.
      root: One of `ROOTS`.
      floor: Variance that is added in every direction of both, at least 1e-12: what varies less than its square
        root is not amplified to the colors of `to`. The covariance is off by as much as the map amplifies it.

    Returns:
      RGB, float32, [h, w, 3]. It may leave [0, 1]; clipping changes mean and covariance again.

    Raises:
      KeyError: If the root is unknown.
      ValueError: If a picture is not one, or `floor` is out of range.

    Note:
      A grey picture stays nearly so, and a constant one constant: no linear map gives them colors.

    References:
      Gatys, Bethge, Hertzmann, Shechtman. Preserving Color in Neural Artistic Style Transfer. arXiv 2016.
      Hertzmann, Jacobs, Oliver, Curless, Salesin. Image Analogies. SIGGRAPH 2001.
      Pitié, Kokaram. The linear Monge-Kantorovitch linear colour mapping for example-based colour transfer. CVMP
      2007 ("sqrt").

    Example:
      >>> image, to = jnp.eye(3)[None], 0.5 * jnp.eye(3)[None]
      >>> print(jnp.abs(match_colors(image, to)).round(3))
      [[[0.5 0.  0. ]
        [0.  0.5 0. ]
        [0.  0.  0.5]]]
    """
    image, to = picture(image), picture(to, "to")
    matrix = _matrix(image, to, root, floor)
    return product(image - image.mean((0, 1)), matrix.T) + to.mean((0, 1))


def color_map(
    image: AnyImage, to: AnyImage, *, root: str = "pca", floor: Number = 1e-9
) -> Float[Array, "3 4"]:
    r"""Returns the map of colors by which `match_colors` changes a picture: A, and :math:`\mu_t - A \mu_s`.

    Arguments and errors are those of `match_colors`. What is not a picture, such as the colors of a field, is
    changed by it as well.

    Example:
      >>> image, to = jnp.eye(3)[None], 0.5 * jnp.eye(3)[None]
      >>> color_map(image, to).shape
      (3, 4)
    """
    image, to = picture(image), picture(to, "to")
    matrix = _matrix(image, to, root, floor)
    return jnp.concatenate([matrix, (to.mean((0, 1)) - product(matrix, image.mean((0, 1))))[:, None]], 1)


def _matrix(image: Array, to: Array, root: str, floor: Number) -> Matrix:
    known(root, ROOTS, "root")
    epsilon = number(floor, "floor", 1e-12)
    source, target = _moments(image, epsilon), _moments(to, epsilon)
    # The symmetric root of a covariance is L with its rotation taken off, so that no covariances are multiplied:
    # float32 would lose what is small.
    rotation = {
        "cholesky": lambda: jnp.eye(3),
        "pca": lambda: product(_rotation(target).T, _rotation(source)),
        "sqrt": lambda: _rotation(product(target.T, source)),
    }[root]()
    inverse = jax.scipy.linalg.solve_triangular(source, jnp.eye(3), lower=True)
    return product(product(target, rotation), inverse)


def _moments(image: Array, floor: Array) -> Matrix:
    """Returns the Cholesky root of the covariance of a picture's colors."""
    centered = image - image.mean((0, 1))
    flat = centered.reshape(-1, 3)
    # Of the colors themselves: the covariance of nearly grey pictures is singular in float32, its root is not.
    rows = jnp.concatenate([flat / np.sqrt(len(flat)), jnp.sqrt(floor) * jnp.eye(3)])
    root = jnp.linalg.qr(rows)[1].T
    return root * jnp.where(jnp.diag(root) < 0, -1, 1)


@jax.custom_jvp
def _rotation(matrix: Matrix) -> Matrix:
    r"""Returns the orthogonal factor Q of the polar form :math:`M = Q (M^\top M)^{1/2}`."""
    u, _, v = jnp.linalg.svd(matrix)
    return product(u, v)


@_rotation.defjvp
def _derivative_of_rotation(primals: tuple[Matrix], tangents: tuple[Matrix]) -> tuple[Matrix, Matrix]:
    # That of the factors themselves is infinite where two singular values are equal, as of every grey picture.
    u, s, v = jnp.linalg.svd(primals[0])
    turned = product(product(u.T, tangents[0]), v.T)
    change = (turned - turned.T) / (s[:, None] + s[None, :])
    return product(u, v), product(product(u, change), v)


def match_histogram(image: AnyImage, to: AnyImage, *, iterations: int = 0) -> Picture:
    r"""Returns the picture with another's histogram, for each of red, green and blue.

    .. math:: x' = F_t^{-1}(F_s(x))

    where F(x) is the part of a channel's values below x and half of those equal to it; between the values of `to`
    it is interpolated, so that the pictures may differ in size. Pictures of equal size whose values all differ get
    exactly the values of `to`, in their own order.

    Args:
      image: RGB, [h, w, 3], in [0, 1].
      to: RGB, of any size, in [0, 1].
      iterations: Rounds in which the histograms along three axes, turned at random, are matched before those of the
        channels: with 10 to 30 the joint distribution of colors becomes that of `to`, not each channel's alone.

    Returns:
      RGB, float32, [h, w, 3], within the values of `to`. Its derivative with respect to `image` is 0, since only
      the order of the values counts.

    Raises:
      ValueError: If a picture is not one, or `iterations` is negative.

    Note:
      `skimage.exposure.match_histograms` counts all equal values as below, which makes flat dark areas brighter.

    References:
      Pitié, Kokaram, Dahyot. N-Dimensional Probability Density Function Transfer and Its Application to Colour
      Transfer. ICCV 2005.

    Example:
      >>> image, to = jnp.full((1, 2, 3), 0.5).at[0, 1].set(0.6), jnp.zeros((1, 2, 3)).at[0, 0].set(1.0)
      >>> match_histogram(image, to)[..., 0].tolist()
      [[0.0, 1.0]]
    """
    image, to = picture(image), picture(to, "to")
    if iterations < 0:
        raise ValueError(f"iterations is {iterations}; expected at least 0")
    x, target = image.reshape(-1, 3), to.reshape(-1, 3)
    match = jax.vmap(_matched, in_axes=1, out_axes=1)

    def turned(x: Array, axes: Matrix) -> tuple[Array, None]:
        return product(match(product(x, axes), product(target, axes)), axes.T), None

    if iterations:
        x, _ = jax.lax.scan(turned, x, jax.random.orthogonal(jax.random.key(0), 3, (iterations,)))
    return match(x, target).reshape(image.shape)


def _matched(values: Float[Array, " n"], to: Float[Array, " m"]) -> Float[Array, " n"]:
    ordered = jnp.sort(to)
    return jnp.interp(_quantiles(values, jnp.sort(values)), _quantiles(ordered, ordered), ordered)


def _quantiles(values: Float[Array, " n"], ordered: Float[Array, " n"]) -> Float[Array, " n"]:
    below, upto = (jnp.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return (below + upto) / (2 * ordered.size)
