"""The settings of our side's process, and what it runs on."""

from typing import Any

import jax
import numpy as np

import jaxviz


def start(options: dict[str, Any]) -> dict[str, Any]:
    """Returns device and versions."""
    device = jax.devices()[0]
    return {
        "platform": device.platform,
        "device_kind": device.device_kind,
        "devices": jax.device_count(),
        "jaxviz": jaxviz.__version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
    }
