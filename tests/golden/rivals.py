"""Pictures and budgets of rivals.npz, which every side is given. Imports neither torch nor jaxviz."""

import numpy as np

from tests.golden import attribution

FGSM = 8 / 255
RADII = (0.05 / 255, 0.25 / 255, 1 / 255)
"""Of PGD: at the first some pictures withstand."""
STEPS = 10
REACH = 2.5
"""Radii that the steps of PGD cover together."""
DEEPFOOL = {"steps": 50, "overshoot": 0.02}
CW = {"constant": 1.0, "steps": 100, "step_size": 0.01}
EVERY = 4
"""torchattacks' DeepFool, whose steps take the derivatives of a thousand classes, has every fourth picture."""


def pictures() -> np.ndarray:
    """Returns the twenty pictures of attribution.npz as they are, [20, 96, 96, 3], float32."""
    return np.stack(list(attribution.pictures(noise=False).values())).astype(np.float32)
