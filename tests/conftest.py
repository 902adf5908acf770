"""What the tests of the command line share."""

from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from jaxviz import cli


class Outcome(NamedTuple):
    """What one command left."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    """The function that runs `jaxviz` with arguments in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        texts = [str(argument) for argument in arguments]
        capsys.readouterr()
        code = cli.main(texts)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def photo(tmp_path, picture):
    """The path of a PNG of a cat, 64×64."""
    path = tmp_path / "cat.png"
    Image.fromarray(np.round(picture("chelsea", 64) * 255).astype(np.uint8)).save(path)
    return path
