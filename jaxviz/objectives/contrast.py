"""How much more an image is like one exemplar than like many others."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxviz._checks import number
from jaxviz._typing import Number, Scalar, Taps, symbol
from jaxviz.objectives.parts import tap_of


@symbol
class Contrast:
    """The contrastive loss of codes; made by `contrast`."""

    positive: Mapping[str, Float[Array, " _"]]
    negatives: Mapping[str, Float[Array, "n _"]]
    temperature: Array
    counted: Bool[Array, " n"] | None = None

    def __call__(self, taps: Taps) -> Scalar:
        """Returns the value for the codes of one image."""
        return jnp.sum(jnp.stack([self._term(layer, tap_of(taps, layer)) for layer in self.positive]))

    def _term(self, layer: str, code: Array) -> Scalar:
        like = jnp.vdot(code, self.positive[layer], precision="highest") / self.temperature
        unlike = jnp.matmul(self.negatives[layer], code, precision="highest") / self.temperature
        if self.counted is not None:
            unlike = jnp.where(self.counted, unlike, -jnp.inf)
        return jax.nn.logsumexp(jnp.append(unlike, like)) - like


def contrast(
    positive: Taps,
    negatives: Taps,
    *,
    temperature: Number = 0.07,
    counted: Bool[Array, " n"] | None = None,
) -> Contrast:
    r"""Returns an objective: how hard it is to tell that an image belongs to one exemplar and to no other.

    .. math:: E(x) = - \sum_l \log \frac{e^{z_l(x) \cdot z_l^+ / \tau}}
              {e^{z_l(x) \cdot z_l^+ / \tau} + \sum_j e^{z_l(x) \cdot z_{lj}^- / \tau}}

    with :math:`z_l(x)` the image's code of layer l. It is 0 where a code is infinitely more like the positive than
    like any negative, and :math:`\log (n + 1)` a layer where it is equally like all.

    Args:
      positive: Layer → :math:`z_l^+`, [d], a code of unit length. Layers absent here are ignored.
      negatives: Layer → :math:`z_l^-`, [n, d], codes of unit length.
      temperature: τ, above 0: the smaller, the more the nearest negatives count alone.
      counted: Which of the negatives count, [n]; None for all.

    Returns:
      A pure function from the codes of one image, layer → [d], to a float32 scalar, at least 0.

    Raises:
      ValueError: If there is no layer, or the temperature is not above 0.
      KeyError: If a layer has no negatives.

    References:
      van den Oord, Li, Vinyals. Representation Learning with Contrastive Predictive Coding. arXiv 2018, eq. 4.
      He, Fan, Wu, Xie, Girshick. Momentum Contrast for Unsupervised Visual Representation Learning. CVPR 2020,
      eq. 1.

    Example:
      >>> style = contrast({"relu1": jnp.array([1.0, 0.0])}, {"relu1": jnp.array([[0.0, 1.0]])}, temperature=1)
      >>> round(float(style({"relu1": jnp.array([0.6, 0.6])})), 4)  # log 2
      0.6931
    """
    if not positive:
        raise ValueError("positive is empty; give the codes of at least one layer")
    others = {layer: tap_of(negatives, layer) for layer in positive}
    return Contrast(dict(positive), others, number(temperature, "temperature", 1e-6), counted)
