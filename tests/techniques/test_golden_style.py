"""Every preset of style transfer against its paper's or program's own formula, as PyTorch computes it."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_golden import between, check_gradient, errors, exact, in_float64, small, value_and_gradient

import jaxviz
from jaxviz.networks.layers import PRECISIONS
from jaxviz.techniques.style import PRESETS

pytestmark = pytest.mark.optimized

GOLDEN = dict(np.load(Path(__file__).parents[1] / "golden" / "style.npz"))
CASES = {
    **{name: {"preset": name} for name in PRESETS if name != "default"},
    "crowsonkb, mixed": {"preset": "crowsonkb", "shares": [0.7, 0.3]},
}


def posed(network, case, dtype=np.float32):
    styles = [small("chelsea").astype(dtype)]
    if "shares" in CASES[case]:
        styles.append(exact("chelsea")[:80, :112].astype(dtype))
    return jaxviz.style.problem(network, small("coffee").astype(dtype), styles, **CASES[case])[0]


SLOW = ("gatys_notebook", "crowsonkb, mixed")
"""Whose losses are another's, with other numbers or with two styles."""


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] * (case in SLOW)) for case in CASES]
)
def test_the_loss_of_a_preset_is_that_of_its_source(case, vgg16):
    value, gradient = value_and_gradient(posed(vgg16, case), between())
    if "crowsonkb" in case:
        # Of 512 channels over 4×4 positions most eigenvalues of the covariance are what rounding makes of zero, a
        # relative 1e-7, whose root is 3e-4: float32 has no more of this loss. Float64, below, has.
        np.testing.assert_allclose(value, GOLDEN[f"{case}/value"], rtol=5e-4)
        median, largest, correlation = errors(gradient, GOLDEN[f"{case}/gradient"])
        assert median < 5e-4
        assert largest < 1e-2
        assert correlation > 0.99999
        return
    np.testing.assert_allclose(value, GOLDEN[f"{case}/value"], rtol=1e-5)
    check_gradient(gradient, GOLDEN[f"{case}/gradient"])


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if "crowsonkb" in case])
def test_wasserstein_distances_in_float64(case, vgg16, monkeypatch):
    monkeypatch.setitem(PRECISIONS, "float64", (jnp.float64, jax.lax.Precision.HIGHEST))
    with jax.enable_x64(True):
        problem = posed(in_float64(vgg16), case, np.float64)
        value, gradient = value_and_gradient(problem, jnp.asarray(between(), jnp.float64))
        # Pictures and weights are float32 on our side.
        np.testing.assert_allclose(value, GOLDEN[f"{case}/value"], rtol=1e-6)
        check_gradient(gradient, GOLDEN[f"{case}/gradient"])
