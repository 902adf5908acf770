"""What maps and differences look like as RGB pictures, on the host."""

import numpy as np
from jaxtyping import Float

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


def coarse(values: Float[np.ndarray, "r c"], size: tuple[int, int]) -> Picture:
    """Returns a map of few values, at least 0, at a size, each as one block of its color."""
    places = [np.arange(n) * count // n for n, count in zip(size, values.shape, strict=True)]
    return heat_map(values[np.ix_(*places)], percentile=100.0)


def relief(values: Float[np.ndarray, "h w 3"], *, percentile: float = 99.5) -> Picture:
    """Returns signed colors around middle grey, as bright as `percentile` of their sizes allows."""
    top = float(np.percentile(np.abs(values), percentile))
    return (
        np.clip(0.5 + 0.5 * values / top, 0, 1).astype(np.float32) if top > 0 else np.full_like(values, 0.5)
    )


def drawn(values: np.ndarray, under: Picture | None = None, *, result: str = "map") -> Picture:
    """Returns a map as a picture: a signed one of each channel by the size of its values, over a picture if given.

    Args:
      values: [h, w], at least 0, or [h, w, 3], signed: drawn by the largest magnitude over the channels.
      under: The picture to draw it over; None for the map alone.
      result: What a method declares: "relief" alone is drawn in its colors.
    """
    if result == "relief" and under is None:
        return relief(values)
    flat = np.abs(values).max(-1) if values.ndim == 3 else np.maximum(values, 0)
    return heat_map(flat) if under is None else overlay(under, flat)
