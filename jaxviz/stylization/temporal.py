r"""Steady films: where one frame shows what the one before has shown, both are drawn alike.

A network draws each frame of a film by itself, and what is all the same to it, where a stroke begins, changes from
frame to frame. Against that each frame is blended with the one before, moved as the film has moved:

.. math:: y_t(p) = m_t(p)\,\beta\,y_{t-1}(p + w_t(p)) + (1 - m_t(p)\,\beta)\,s_t(p)

with s the stylized frames, y what is shown, w the flow, and m how reliable that is. What is moved is interpolated
by cubics, since bilinearly it would blur, being moved again with every frame.
"""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxviz._checks import number
from jaxviz._typing import Image, Number
from jaxviz.stylization.motion import both
from jaxviz.stylization.warping import Flow, visible, warped

Weight = Float[Array, "h w"]
TOLERANCE = 0.08
"""τ: the difference of colors, as the root of its mean square, at which a moved frame counts 1/e."""
STEADINESS = 0.8


def reliability(previous: Image, current: Image, moved: Flow, back: Flow) -> Weight:
    r"""Returns how far what one frame shows can be taken from the frame before, in [0, 1].

    .. math:: m(p) = o(p)\,\exp\left(-\frac{\|x_{t-1}(p + w(p)) - x_t(p)\|^2}{3 \tau^2}\right)

    with o of `visible`, and the squared difference averaged over 3×3 pixels.

    Args:
      previous: The frame before, RGB, in [0, 1].
      current: The frame.
      moved: w, by `flow(previous, current)`.
      back: ŵ, by `flow(current, previous)`.
    """
    apart = jnp.mean(jnp.square(warped(previous, moved) - current), -1)
    around = jnp.pad(apart, 1, mode="edge")
    mean = jax.lax.reduce_window(around, 0.0, jax.lax.add, (3, 3), (1, 1), "valid") / 9
    return visible(moved, back) * jnp.exp(-mean / TOLERANCE**2)


@jax.jit
def _blended(before: Any, frame: Image, styled: Image, steadiness: Array, flows: Any) -> tuple[Image, Array]:
    """Returns a frame after the one before, and how much the stylized and the shown ones differ from theirs."""
    content, drawn, shown = before
    moved, back = flows
    kept = (reliability(content, frame, moved, back) * steadiness)[..., None]
    # Not a + k (b - a): that of 0 is to be the stylized frame to the bit.
    made = kept * jnp.clip(warped(shown, moved, sharp=True), 0, 1) + (1 - kept) * styled
    seen = visible(moved, back)
    apart = [_difference(warped(a, moved), b, seen) for a, b in ((drawn, styled), (shown, made))]
    return made, jnp.stack(apart)


def _difference(a: Image, b: Image, seen: Weight) -> Array:
    """Returns the root of the mean squared difference, where something is seen in both."""
    squares = jnp.mean(jnp.square(a - b), -1)
    return jnp.sqrt(jnp.sum(seen * squares) / jnp.maximum(jnp.sum(seen), 1))


@jax.jit
def _apart(before: Image, now: Image, flows: Any) -> Array:
    return _difference(warped(before, flows[0]), now, visible(*flows))


def flicker(frames: Iterable[Any], outputs: Iterable[Any]) -> float:
    r"""Returns how much a film changes that its content does not tell of: 0 for one that only moves.

    .. math:: \frac{1}{T - 1} \sum_{t=2}^T \sqrt{\frac{\sum_p o_t(p)\,\frac{1}{3}\|y_{t-1}(p + w_t(p)) - y_t(p)\|^2}
              {\sum_p o_t(p)}}

    Flow w and mask o are of the content alone, so that films of the same content can be compared; that of the
    content itself, as both arguments, is what its noise and the flow's errors come to.

    Args:
      frames: Two or more of the content, RGB, [h, w, 3], in [0, 1]; read once.
      outputs: As many of the film, of the same size.

    Raises:
      ValueError: If there are fewer than two, or not as many of both, or of other sizes.

    References:
      Ruder, Dosovitskiy, Brox. Artistic Style Transfer for Videos. GCPR 2016.
      Lai et al. Learning Blind Video Temporal Consistency. ECCV 2018, eq. 9, whose warping error it is, rooted.

    Example:
      >>> still, rng = np.full((32, 32, 3), 0.5, np.float32), np.random.default_rng(0)
      >>> noisy = [still + np.float32(0.1 * rng.choice([-1, 1], (32, 32, 3))) for _ in range(4)]
      >>> from jaxviz import stylization
      >>> bool(0.12 < stylization.flicker([still] * 4, noisy) < 0.16)
      True
    """
    parts, before = [], None
    for pair in zip(frames, outputs, strict=True):
        now = tuple(jnp.asarray(picture, jnp.float32) for picture in pair)
        if now[0].shape != now[1].shape:
            sizes = " and ".join(f"{picture.shape[1]}×{picture.shape[0]}" for picture in now)
            raise ValueError(f"a frame and its output have {sizes} pixels; expected the same")
        if before is not None:
            parts.append(_apart(before[1], now[1], both(before[0], now[0])))
        before = now
    if not parts:
        raise ValueError("flicker is between frames; give two or more")
    return float(np.mean(jax.device_get(parts)))


class Steady:
    """Frames of a film, one after the other, each blended with the one before.

    Args:
      steadiness: β, in [0, 1]: how much of a frame is taken from the one before, where that can be. 0 leaves frames
        as they are, 1 draws only what was not seen before.

    Raises:
      ValueError: If it is out of range.

    References:
      Ruder, Dosovitskiy, Brox. Artistic Style Transfer for Videos. GCPR 2016: what is reliable.
      Bonneel et al. Blind Video Temporal Consistency. SIGGRAPH Asia 2015: blending with the frame before.

    Example:
      >>> from jaxviz import stylization
      >>> steady = stylization.Steady(0.5)
      >>> still = np.full((32, 32, 3), 0.5, np.float32)
      >>> [round(float(steady(still, still * k).mean()), 3) for k in (0, 1, 1)]
      [0.0, 0.25, 0.375]
    """

    def __init__(self, steadiness: Number = STEADINESS) -> None:
        self._steadiness = number(steadiness, "steadiness", 0, 1)
        self._before: Any = None
        self._apart: list[Array] = []

    def __call__(self, frame: Image, styled: Image) -> Image:
        """Returns what is to be shown for the next frame: [h, w, 3], in [0, 1]. `styled` is drawn of it."""
        frame, shown = jnp.asarray(frame), jnp.asarray(styled)
        if self._before is not None:
            flows = both(self._before[0], frame)
            shown, apart = _blended(self._before, frame, shown, self._steadiness, flows)
            self._apart.append(apart)
        self._before = frame, jnp.asarray(styled), shown
        return shown

    @property
    def active(self) -> bool:
        """Whether it changes frames, which β = 0 does not."""
        return float(self._steadiness) > 0

    @property
    def flicker(self) -> tuple[float, float]:
        """What `flicker` gives for the frames until now as they were stylized, and as they are shown."""
        if not self._apart:
            return 0.0, 0.0
        before, after = np.mean(jax.device_get(self._apart), 0)
        return float(before), float(after)
