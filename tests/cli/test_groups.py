"""Commands as one of several processes: what is refused before they come together, and two that do."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def folder(tmp_path):
    """Four pictures of noise."""
    many = tmp_path / "many"
    many.mkdir()
    for k in range(4):
        pixels = np.random.default_rng(k).integers(0, 256, (40, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(many / f"{k}.png")
    return many


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("classify many --coordinator a:1", 2, "give all three, or none"),
        ("classify many --coordinator a --processes 2 --process 0", 2, "expected HOST:PORT"),
        ("classify many --coordinator a:1 --processes 2 --process 2", 2, "expected a number from 0 to 1"),
        ("classify many --no-distributed --processes 2", 2, "leave one of them out"),
        ("classify many/0.png --distributed", 2, "--distributed is for many pictures"),
        ("classify many/0.png --process 0", 2, "--process is for many pictures"),
        ("attack many --method universal --distributed", 2, "--distributed is for attacks on each picture"),
        ("classify many --shard 0", 2, "--shard"),
    ],
)
def test_groups_that_cannot_be_are_refused(command, folder, line, code, words):
    outcome = command(*line.split())
    assert outcome.code == code
    assert words in outcome.stderr
    assert outcome.stderr.count("\n") == 1


@pytest.mark.slow
def test_the_first_of_two_processes_tells_and_makes_what_is_made_of_the_whole(folder, tmp_path):
    (folder / "torn.png").write_text("no picture")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = ("patches", "many", "--layer", "fire2", "--channels", "0", "--size", 48, "--json", "a.json")
    group = ("--out", "run", "--coordinator", f"127.0.0.1:{port}", "--processes", 2, "--process")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "jaxviz", *map(str, (*line, *group, k))],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for k in range(2)
    ]
    told = [one.communicate(timeout=300) for one in both]
    assert [one.returncode for one in both] == [3, 0], told
    assert "run: 5 pictures, 1 failed" in told[0][1]
    assert told[1] == ("", "")
    record = json.loads((tmp_path / "a.json").read_text())
    assert record["run"]["processes"] == 2
    assert len(record["channels"][0]["patches"]) == 4
    assert (tmp_path / "run" / "patches.png").is_file()
