"""What only a process of its own shows: exit codes, Ctrl-C, the progress bar, and what an import costs."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from jaxviz import images

LONG = ("--layer", "relu1_1", "--size", "32", "--steps", "1000000", "--json", "a.json")


def spawn(folder, *arguments, variables=None, **options):
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "TERM": "xterm", "COLUMNS": "100"} | (variables or {})
    command = [sys.executable, "-m", "jaxviz", *map(str, arguments)]
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, **options)


def outcome(folder, *arguments, **variables):
    process = spawn(folder, *arguments, variables=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    stdout, stderr = process.communicate(timeout=120)
    return process.returncode, stdout, stderr


def read_until(descriptor, pattern, seconds=120):
    seen, end = b"", time.monotonic() + seconds
    while not re.search(pattern, seen):
        ready, _, _ = select.select([descriptor], [], [], max(0, end - time.monotonic()))
        assert ready, f"no {pattern!r} in {seen!r}"
        seen += os.read(descriptor, 4096)
    return seen


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_interrupt_leaves_the_best_so_far(tmp_path, photo):
    terminal, process_end = os.openpty()
    process = spawn(tmp_path, "invert", photo, *LONG, stdout=subprocess.PIPE, stderr=process_end)
    os.close(process_end)
    try:
        read_until(terminal, rb"loss \d")
        process.send_signal(signal.SIGINT)
        read_until(terminal, b"jaxviz: interrupted; the best so far was written")
        assert process.communicate(timeout=120)[0] == ""
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    assert process.returncode == 130
    found = json.loads((tmp_path / "a.json").read_text())
    assert 0 < found["evaluations"] == len(found["losses"]) < 1_000_000
    assert images.read(tmp_path / "inversion.png").shape == (32, 32, 3)
    assert sorted(os.listdir(tmp_path)) == ["a.json", "cat.png", "inversion.png"]


def test_interrupt_within_a_run(command, photo, tmp_path, monkeypatch):
    """The same in this process: the bar is told of a chunk just when Ctrl-C comes."""
    from rich.progress import Progress

    monkeypatch.setattr(Progress, "update", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    arguments = (
        "style",
        photo,
        photo,
        "--content-layer",
        "relu1_1",
        "--style-layer",
        "relu1_1",
        "--size",
        32,
    )
    code, stdout, stderr = command(*arguments, "--steps", 10_000, "--out", "a.npy", "--json", "a.json")
    assert (code, stdout, stderr) == (130, "", "jaxviz: interrupted; the best so far was written\n")
    assert json.loads((tmp_path / "a.json").read_text())["evaluations"] == 1
    assert np.load(tmp_path / "a.npy").shape == (32, 32, 3)


def test_interrupt_before_there_is_a_result(command, photo, tmp_path, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxviz.load", interrupted)
    code, stdout, stderr = command("invert", photo, "--size", 32)
    assert (code, stdout, stderr) == (130, "", "jaxviz: interrupted before there was a result\n")
    assert list(tmp_path.iterdir()) == [photo]


@pytest.mark.slow
def test_interrupt_ends_the_demo_after_the_section(command, tmp_path, monkeypatch):
    from rich.progress import Progress

    monkeypatch.setattr(Progress, "update", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    fit_square = images.fit_square
    monkeypatch.setattr(images, "fit_square", lambda picture, size: fit_square(picture, 64))
    assert command("demo", "--out", "shown", "--json", "a.json").code == 130
    found = json.loads((tmp_path / "a.json").read_text())["sections"]
    assert list(found) == ["Saliency", "FGSM attack", "Feature inversion"]
    assert found["Feature inversion"]["evaluations"] == len(found["Feature inversion"]["losses"]) == 1
    page = (tmp_path / "shown" / "index.html").read_text()
    assert page.count("<h2>") == 3
    assert "fgsm-attack-attacked.png" in os.listdir(tmp_path / "shown")


def test_the_exit_code_of_the_process_and_its_one_line(tmp_path):
    code, stdout, stderr = outcome(tmp_path, "classify", "none.png")
    assert (code, stdout, stderr) == (1, "", "jaxviz: none.png does not exist; check the path\n")


def test_programs_are_kept_unless_no_cache_is_asked_for(tmp_path, photo):
    variables = {"JAX_ENABLE_COMPILATION_CACHE": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    arguments = ("features", photo, "--layer", "conv1", "--size", "32")
    assert outcome(tmp_path, *arguments, "--no-cache", **variables)[0::2] == (0, "")
    assert not (tmp_path / "cache").exists()
    assert outcome(tmp_path, *arguments, **variables)[0] == 0
    assert list((tmp_path / "cache" / "jaxviz" / "xla").glob("*-cache"))


def test_command_line_starts_without_what_only_some_commands_need(tmp_path):
    heavy = ("matplotlib", "skimage", "torch", "scipy.optimize")
    program = f"import sys, jaxviz.cli; print([name for name in {heavy} if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert printed.stdout == "[]\n"
