"""The pictures of attribution.npz, and where its values are taken. Imports neither torch nor jaxviz."""

import numpy as np
import skimage.data

SIZE = 96
NAMES = ("astronaut", "chelsea", "coffee", "rocket", "immunohistochemistry")
CORNERS = ((0, 0), (100, 60), (40, 200), (180, 130))
VALUES = 400
"""Of each map, at seeded places."""


def pictures(noise: bool) -> dict[str, np.ndarray]:
    """Returns twenty crops, [96, 96, 3] in [0, 1], as they are or with half a grey level of seeded noise.

    Noise breaks the ties of flat regions: without it rounding picks the winners of max poolings.
    """
    rng = np.random.default_rng(0)
    found = {}
    for name in NAMES:
        picture = getattr(skimage.data, name)()[..., :3]
        for row, column in CORNERS:
            crop = picture[row : row + SIZE, column : column + SIZE] / 255
            random = rng.random(crop.shape) - 0.5
            found[f"{name}-{row}-{column}"] = np.clip(crop + random / 255, 0, 1) if noise else crop
    return found


def places(count: int) -> np.ndarray:
    """Returns which of a map's values are kept."""
    return np.random.default_rng(1).permutation(count)[:VALUES]
