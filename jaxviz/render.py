"""What arrays look like: heat maps, differences and loss curves as RGB pictures, on the host."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from jaxviz.images import Picture


def heat_map(values: Float[np.ndarray, "h w"], *, percentile: float = 99.0) -> Picture:
    """Returns a map as colors from black over red to yellow.

    Args:
      values: At least 0; 0 is black.
      percentile: The part of values, in percent, below the brightest color: one pixel must not darken the rest.
    """
    import matplotlib

    scaled = _scaled(values, percentile)
    return np.asarray(matplotlib.colormaps["inferno"](scaled), np.float32)[..., :3]


def overlay(image: Picture, values: Float[np.ndarray, "h w"], *, percentile: float = 99.0) -> Picture:
    """Returns the grey image under its heat map, which covers it the more, the larger a value is.

    Arguments as for `heat_map`.
    """
    grey = np.asarray(image, np.float32).mean(-1, keepdims=True)
    cover = _scaled(values, percentile)[..., None]
    return (1 - cover) * grey + cover * heat_map(values, percentile=percentile)


def _scaled(values: np.ndarray, percentile: float) -> np.ndarray:
    values = np.asarray(values, np.float32)
    top = float(np.percentile(values, percentile))
    return np.clip(values / top, 0, 1) if top > 0 else np.zeros_like(values)


def difference(before: Picture, after: Picture, *, gain: float = 10.0) -> Picture:
    """Returns `after` minus `before` times `gain`, around middle grey."""
    return np.clip(0.5 + gain * (np.asarray(after) - np.asarray(before)), 0, 1).astype(np.float32)


def loss_plot(losses: Sequence[float] | np.ndarray, *, title: str = "") -> UInt8[np.ndarray, "h w 3"]:
    """Returns a curve of the loss per evaluation, and of the lowest until then, on a logarithmic axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    values = np.asarray(losses, np.float64)
    figure = Figure(figsize=(5, 3.2), dpi=120, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    evaluations = np.arange(1, len(values) + 1)
    axes.plot(evaluations, values, color="#c0c4cc", linewidth=1, label="each evaluation")
    if len(values):
        axes.plot(
            evaluations, np.fmin.accumulate(values), color="#1f5fa8", linewidth=1.8, label="lowest so far"
        )
        axes.legend(frameon=False)
    if (values > 0).any():
        axes.set_yscale("log")
    axes.set_xlabel("evaluations of value and gradient")
    axes.set_ylabel("loss")
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
