import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs forks")
def test_a_kill_in_any_phase_costs_nothing(tmp_path):
    here = Path(__file__).parent
    paths = [str(here), str(here.parent), *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(here / "killed_training.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told["signals"].values()) == {9}
    assert set(told["ends"].values()) == {0}
    runs = told["runs"]
    assert runs["whole"]["state"] == "done"
    for name, run in runs.items():
        assert run == runs["whole"], name
