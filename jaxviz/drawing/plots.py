"""Curves as RGB pictures, on the host."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

COLORS = ("#1f5fa8", "#c8553d", "#3a8f5d", "#8a5fb0", "#b58900", "#3aa6b9")


def loss_plot(
    losses: Sequence[float] | np.ndarray, *, title: str = "", rejections: int = 0
) -> UInt8[np.ndarray, "h w 3"]:
    """Returns a curve of the loss per evaluation, and of the lowest until then, on a logarithmic axis.

    Args:
      losses: Of each evaluation, in order.
      title: Above the curve.
      rejections: How many evaluations were rejected; unless 0, those above the lowest until then are marked.
    """
    values = np.asarray(losses, np.float64)
    canvas, axes = _axes(title, "evaluations of value and gradient", "loss")
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
    return _drawn(canvas)


def curve_plot(
    places: Sequence[float] | Sequence[str] | np.ndarray,
    values: Sequence[float] | np.ndarray,
    *,
    across: str,
    up: str,
    title: str = "",
    filled: bool = False,
) -> UInt8[np.ndarray, "h w 3"]:
    """Returns one curve.

    Args:
      places: Numbers along the horizontal axis, or names, which are written upright below it.
      values: At each of them.
      across: What the horizontal axis is.
      up: What the vertical axis is.
      title: Above the curve.
      filled: Whether the area below it is tinted.
    """
    canvas, axes = _axes(title, across, up)
    named = len(places) > 0 and isinstance(places[0], str)
    x = np.arange(len(places)) if named else np.asarray(places, np.float64)
    y = np.asarray(values, np.float64)
    axes.plot(x, y, color="#1f5fa8", linewidth=1.8, marker="o" if named else "", markersize=3)
    if filled:
        axes.fill_between(x, y, color="#1f5fa8", alpha=0.15, linewidth=0)
    if named:
        axes.set_xticks(x, list(places), rotation=90, fontsize=6)
        axes.axhline(0, color="#c0c4cc", linewidth=0.8)
    return _drawn(canvas)


def interval_plot(
    curves: Mapping[str, Sequence[tuple[float, float, float, float]]],
    *,
    across: str,
    up: str,
    title: str = "",
) -> UInt8[np.ndarray, "h w 3"]:
    """Returns shares over a number, each with the interval that it lies in.

    Args:
      curves: Name → points (place, share, low, high), of shares in [0, 1].
      across: What the horizontal axis is.
      up: What the vertical axis is.
      title: Above the curves.
    """
    canvas, axes = _axes(title, across, up)
    for (name, points), color in zip(curves.items(), itertools.cycle(COLORS), strict=False):
        x, y, low, high = np.asarray(points, np.float64).T
        axes.plot(x, y, color=color, linewidth=1.8, marker="o", markersize=3, label=name)
        axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
    axes.set_ylim(-0.02, 1.02)
    if len(curves) > 1:
        axes.legend(frameon=False)
    return _drawn(canvas)


def power_plot(
    curves: Mapping[str, Sequence[tuple[float, float]]], *, across: str, up: str, title: str = ""
) -> UInt8[np.ndarray, "h w 3"]:
    """Returns curves on two logarithmic axes, on which powers are straight lines.

    Args:
      curves: Name → points (place, value), both above 0.
      across: What the horizontal axis is.
      up: What the vertical axis is.
      title: Above the curves.
    """
    canvas, axes = _axes(title, across, up)
    for (name, points), color in zip(curves.items(), itertools.cycle(COLORS), strict=False):
        x, y = np.asarray(points, np.float64).T
        axes.plot(x, y, color=color, linewidth=1.8, marker="o", markersize=3, label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.legend(frameon=False)
    return _drawn(canvas)


def curves_plot(
    curves: Mapping[str, tuple[Sequence[float | int], Sequence[float | int]]],
    *,
    across: str,
    up: str,
    title: str = "",
) -> UInt8[np.ndarray, "h w 3"]:
    """Returns curves over a number, on a logarithmic vertical axis: losses of a training, side by side.

    Args:
      curves: Name → places, and the value at each; values that are not above 0 are left out.
      across: What the horizontal axis is.
      up: What the vertical axis is.
      title: Above the curves.
    """
    canvas, axes = _axes(title, across, up)
    for (name, (places, values)), color in zip(curves.items(), itertools.cycle(COLORS), strict=False):
        y = np.asarray(values, np.float64)
        axes.plot(
            np.asarray(places, np.float64), np.where(y > 0, y, np.nan), color=color, linewidth=1.4, label=name
        )
    axes.set_yscale("log")
    axes.legend(frameon=False)
    return _drawn(canvas)


def _axes(title: str, across: str, up: str) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), dpi=120, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    return canvas, axes


def _drawn(canvas: Any) -> UInt8[np.ndarray, "h w 3"]:
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
