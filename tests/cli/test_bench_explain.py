import json

import pytest

from jaxviz import costs


@pytest.fixture
def squeezed(command):
    """The function that explains gradient saliency of 64 pixels."""

    def run(*more):
        return command("bench", "--explain", "gradient", "--size", 64, *more)

    return run


def test_a_technique_is_explained(squeezed):
    code, out, _ = squeezed()
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "gradient of 64×64, one picture, for tpu"
    assert lines[1].split() == ["product", "×", "GFLOP", "FLOP/byte", "type", "precision", "padding"]
    found = costs.explain("gradient", size=64)
    total = next(line for line in lines if line.split()[0] == "all").split()
    assert total[1:3] == ["52", f"{found.flops / 1e9:.3f}"]
    assert total[-1] == f"{found.padding:.0%}"
    assert "custom calls: none; calls of Python: none" in lines
    assert "loops" not in out


def test_padding_is_told_of_a_tpu_alone(squeezed):
    assert "padding" not in squeezed("--platform", "cuda").stdout


def test_precision_and_types_are_told(squeezed):
    out = squeezed("--precision", "bfloat16").stdout
    assert "DEFAULT" in out
    assert "bf16" in out
    assert "HIGHEST" not in out


def test_loops_that_data_end_are_told(command):
    out = command("bench", "--explain", "deepfool", "--size", 64).stdout
    assert "loops of which only a run tells the rounds, counted as one round: 1" in out


def test_the_record_has_every_product(squeezed):
    record = json.loads(squeezed("--json", "-").stdout)["explanation"]
    assert record == costs.explain("gradient", size=64).record()
    assert sum(product["times"] for product in record["products"]) == 52


def test_what_does_not_exist_is_told(command):
    assert command("bench").stderr.startswith(
        "jaxviz: bench needs --explain TECHNIQUE; there are: activations"
    )
    assert "nearest: style" in command("bench", "--explain", "styel").stderr
    assert command("bench", "--explain", "style", "--platform", "gpu").code == 2
