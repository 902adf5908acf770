import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def contents(folder):
    """Name → hash of every file of a run but its manifest and lock."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("manifest.json", ".lock")
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs forks")
@pytest.mark.parametrize(
    ("kills", "least"), [(8, 2), pytest.param(20, 5, marks=pytest.mark.slow)], ids=["eight", "twenty"]
)
def test_kills_lose_nothing_double_nothing_and_change_no_bit(tmp_path, kills, least):
    here = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(here), *sys.path]), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(here / "killed.py"), str(tmp_path), str(kills)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    *attempts, killed, whole = json.loads(done.stdout)
    assert len(attempts) == kills
    assert killed == whole == {"exit": 0}
    # The test is of nothing unless many were killed at work, at several stages of it.
    assert sum(a["killed"] for a in attempts) >= least
    assert len({a["ready"] for a in attempts}) >= least
    ready = [a["ready"] for a in attempts]
    assert ready == sorted(ready)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert len(contents(tmp_path / "whole")) == 24 + 24 + 118
