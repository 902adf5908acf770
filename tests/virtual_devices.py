"""Scripts that run in a process of their own, with several virtual devices of the processor."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

TESTS = Path(__file__).parent


def run(script, count, path, *words):
    """Returns what a script of this folder writes, run as `script PATH WORD …` with `count` devices."""
    environment = {
        **os.environ,
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)]),
    }
    ran = subprocess.run(
        [sys.executable, TESTS / script, path, *words], env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return np.load(path)
