"""A scene: posed pictures as one pytree of rays, as the cameras that they come from, and colors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from jaxviz._typing import static, symbol

Matrices = Float[Array | np.ndarray, "_ 3 4"]
BACKGROUNDS = ("white", "none")


class SceneError(ValueError):
    """Posed pictures that cannot be used; the message names the file, the cause and the remedy."""


@symbol
class Cameras:
    """Pinhole cameras of one size; as in OpenGL a camera looks along -z, with x to the right, y up.

    Attributes:
      poses: [n, 3, 4], from a camera's coordinates to the world's: rotation and where it stands.
      lenses: [n, 4], in pixels: focal lengths by x and y, and the point that lies ahead, (x, y) from the corner.
      size: Height and width in pixels.
    """

    poses: Matrices
    lenses: Float[Array | np.ndarray, "_ 4"]
    size: tuple[int, int] = static()

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.poses.shape[0])

    def __getitem__(self, which: Any) -> "Cameras":
        """Returns some of them, by a slice or indices."""
        return Cameras(self.poses[which], self.lenses[which], self.size)


@symbol
class Views:
    """Posed pictures: rays, as the cameras that they come from, and the color that each ray sees.

    Attributes:
      cameras: n of them.
      colors: [n, h, w, 3], in [0, 1].
      names: Of the pictures.
    """

    cameras: Cameras
    colors: Float[Array | np.ndarray, "_ _ _ 3"]
    names: tuple[str, ...] = static(default=())

    @property
    def count(self) -> int:
        """How many there are."""
        return self.cameras.count


@symbol
class Space:
    """Where a field lives, and how a ray goes through it.

    Attributes:
      box: [2, 3], lowest and highest corner of what is modelled, in the coordinates of rays.
      near: Distance from the camera before which nothing is seen, in the world's units.
      warp: [3], for a forward-facing scene the focal lengths by x and y, divided by half the width and half the
        height, and the distance of the nearest plane, of `rays.warped`; zeros otherwise.
      forward: Whether rays go through normalized device coordinates.
      background: What is seen where nothing is: "white", or "none" for a scene that goes on in all directions.
    """

    box: Float[Array | np.ndarray, "2 3"]
    near: Float[Array | np.ndarray, ""]
    warp: Float[Array | np.ndarray, "3"]
    forward: bool = static()
    background: str = static()


@symbol
class Scene:
    """Posed pictures to fit a field to, others to test it on, and the space that they show; made by `read`."""

    train: Views
    test: Views
    space: Space


def described(scene: Scene) -> Mapping[str, Any]:
    """Returns what a scene is, plain enough for JSON."""
    space = scene.space
    return {
        "views": scene.train.count,
        "test_views": scene.test.count,
        "size": list(scene.train.cameras.size),
        "forward": space.forward,
        "background": space.background,
        "box": np.round(np.asarray(space.box, np.float64), 5).tolist(),
    }


def some(views: Views, which: Sequence[int]) -> Views:
    """Returns the views of these numbers."""
    chosen = np.asarray(which, int)
    return Views(
        views.cameras[chosen], np.asarray(views.colors)[chosen], tuple(views.names[k] for k in chosen)
    )


def spread(views: Views, most: int) -> Views:
    """Returns at most so many views, evenly spread."""
    if views.count <= most:
        return views
    return some(views, np.linspace(0, views.count - 1, most).round().astype(int).tolist() if most else [])
