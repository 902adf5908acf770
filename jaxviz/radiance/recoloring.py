"""Colors of a scene made like those of pictures as a whole: of views before, and of the field after."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxviz._checks import known
from jaxviz._typing import AnyImage
from jaxviz.colors import color_map
from jaxviz.radiance.models import Model, Seen, background_of
from jaxviz.radiance.scenes import Cameras

BLENDS = ("weights", "views")
SOLID = 0.5
"""Opacity from which a pixel's color is the scene's."""
COUNTED = 2**18
"""Colors that are looked at, evenly spread where there are more."""
FLOOR = 1e-5
"""Variance below which colors are not amplified."""

Map = Float[np.ndarray, "3 4"]
Colors = Float[np.ndarray, "_ 3"]


def colors_of(model: Model, seen: Sequence[Seen]) -> Colors:
    """Returns the colors of what views show, background excepted, [n, 3], in [0, 1].

    Raises:
      ValueError: If there is nothing solid.
    """
    behind = np.asarray(background_of(model.space))
    found = []
    for view in seen:
        opacity, color = np.asarray(view.opacity), np.asarray(view.color)
        there = opacity > SOLID
        share = opacity[there][:, None]
        found.append((color[there] - (1 - share) * behind) / share)
    if not sum(map(len, found)):
        raise ValueError(
            "the cameras see nothing of the field that is solid; expected a field that was fitted"
        )
    return _evenly(np.clip(np.concatenate(found), 0, 1), COUNTED)


def colors_of_styles(styles: Sequence[AnyImage], shares: np.ndarray) -> Colors:
    """Returns the colors of pictures, of each as many as it has a share of."""
    counts = np.maximum(np.round(COUNTED / 4 * shares).astype(int), shares > 0)
    parts = [
        np.asarray(style).reshape(-1, 3)[
            np.linspace(0, style.shape[0] * style.shape[1] - 1, count).astype(int)
        ]
        for style, count in zip(styles, counts, strict=True)
    ]
    return np.concatenate(parts)


def matched(colors: Colors, to: Colors) -> Map:
    """Returns the linear map, and what is added, that give colors the mean and covariance of others."""
    return np.asarray(color_map(colors[None], to[None], floor=FLOOR))


def recolored(model: Model, view: Seen, change: Map) -> np.ndarray:
    """Returns a view's picture with other colors of what it shows; its background stays."""
    opacity = np.asarray(view.opacity)[..., None]
    behind = (1 - opacity) * np.asarray(background_of(model.space))
    mapped = (np.asarray(view.color) - behind) @ change[:, :3].T + opacity * change[:, 3]
    return np.clip(np.clip(mapped, 0, opacity) + behind, 0, 1).astype(np.float32)


def after(first: Any, then: Map) -> Map:
    """Returns the map that is one and then the other.

    Example:
      >>> after(np.eye(3, 4), np.full((3, 4), 2.0)).tolist()[0]
      [2.0, 2.0, 2.0, 2.0]
    """
    first = np.asarray(first)
    matrix = then[:, :3] @ first[:, :3]
    return np.concatenate([matrix, (then[:, :3] @ first[:, 3] + then[:, 3])[:, None]], 1).astype(np.float32)


def shares_of_views(cameras: Cameras, shares: np.ndarray, blend: str) -> Float[np.ndarray, "_ _"]:
    """Returns how much each view is asked to have of each style, [n, k], rows of sum 1.

    - "weights": all the same, the shares.
    - "views": from one side of the cameras to the other each style in turn, one passing into the next; times the
      shares. The sides are those along which the cameras stand furthest apart.

    Raises:
      KeyError: If there is no such way to blend.
      ValueError: If one style is to be blended by views.
    """
    known(blend, BLENDS, "way to blend styles")
    count = len(shares)
    if blend == "weights":
        return np.tile(shares, (cameras.count, 1)).astype(np.float32)
    if count < 2:
        raise ValueError("there is one style; expected several to be blended by views")
    places = np.asarray(cameras.poses)[:, :, 3]
    apart = places - places.mean(0)
    axis = np.linalg.svd(apart, full_matrices=False)[2][0]
    # Either sign is an axis: the first style is where its largest coordinate is smallest.
    at = apart @ (axis * np.sign(axis[np.abs(axis).argmax()]))
    turn = (at - at.min()) / max(float(np.ptp(at)), 1e-12) * (count - 1)
    found = np.maximum(1 - np.abs(turn[:, None] - np.arange(count)), 0) * shares
    total = found.sum(1, keepdims=True)
    # Between styles of no share a view has what there is.
    return np.where(total > 0, found / np.maximum(total, 1e-12), shares).astype(np.float32)


def _evenly(colors: Colors, most: int) -> Colors:
    if len(colors) <= most:
        return colors
    return colors[np.linspace(0, len(colors) - 1, most).astype(int)]
