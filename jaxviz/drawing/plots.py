"""Curves as RGB pictures, on the host."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8


def loss_plot(
    losses: Sequence[float] | np.ndarray, *, title: str = "", rejections: int = 0
) -> UInt8[np.ndarray, "h w 3"]:
    """Returns a curve of the loss per evaluation, and of the lowest until then, on a logarithmic axis.

    Args:
      losses: Of each evaluation, in order.
      title: Above the curve.
      rejections: How many evaluations were rejected; unless 0, those above the lowest until then are marked.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    values = np.asarray(losses, np.float64)
    figure = Figure(figsize=(5, 3.2), dpi=120, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    evaluations = np.arange(1, len(values) + 1)
    axes.plot(evaluations, values, color="#c0c4cc", linewidth=1, label="each evaluation")
    if len(values):
        lowest = np.fmin.accumulate(values)
        axes.plot(evaluations, lowest, color="#1f5fa8", linewidth=1.8, label="lowest so far")
        if rejections and (above := values > lowest).any():
            axes.plot(evaluations[above], values[above], "x", color="#c8553d", markersize=4, label="rejected")
        axes.legend(frameon=False)
    if (values > 0).any():
        axes.set_yscale("log")
    axes.set_xlabel("evaluations of value and gradient")
    axes.set_ylabel("loss")
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
