"""What the tests share: the command line, and a network that compiles fast."""

from typing import NamedTuple

import numpy as np
import pytest
import small_networks
from PIL import Image

import jaxviz
from jaxviz import cli


class Outcome(NamedTuple):
    """What one command left."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def classifier():
    """A network of three convolutions with random weights, for what holds for any network."""
    return small_networks.classifier()


@pytest.fixture
def small(monkeypatch, classifier):
    """The same network, which commands get in place of SqueezeNet."""
    load = jaxviz.load

    def loaded(name, **options):
        if name != "squeezenet1_1":
            return load(name, **options)
        return small_networks.classifier(precision=options.get("precision", "float32"))

    monkeypatch.setattr(jaxviz, "load", loaded)
    return classifier


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
