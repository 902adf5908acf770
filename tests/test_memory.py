"""How a run is made to fit a memory: forms of it that are tried from fast to small."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxviz
from jaxviz import memory
from jaxviz.memory import Form, plan
from jaxviz.optimizers import lbfgs
from jaxviz.techniques import FAMILIES, solving

LAYERS = {"weights": {"relu1_1": 1, "relu2_1": 1, "relu3_1": 1}}
WHOLE, AGAIN = Form(), Form(rematerialized=True)


@pytest.fixture
def picture(picture):
    return picture("chelsea", 48)


def loss(network, picture):
    problem, _ = jaxviz.texture.problem(network, picture, **LAYERS)
    return lambda problem, z: problem.loss(z, jax.random.key(0)), problem


def test_a_gradient_with_features_computed_again_is_the_same(vgg16, picture):
    again = dataclasses.replace(vgg16, rematerialized=True)
    found = []
    for network in (vgg16, again):
        function, problem = loss(network, picture)
        found.append(jax.jit(jax.value_and_grad(function, argnums=1))(problem, picture[::-1]))
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-6)
    scale = float(np.abs(found[0][1]).max())
    np.testing.assert_allclose(found[1][1], found[0][1], atol=1e-5 * scale)


def test_features_are_computed_again_from_what_was_pooled(vgg16, picture):
    """Of the program for a GPU: this test's own device ignores it."""
    texts = []
    for network in (vgg16, dataclasses.replace(vgg16, rematerialized=True)):
        function, problem = loss(network, picture)
        gradient = jax.jit(jax.grad(function, argnums=1))
        texts.append(jax.export.export(gradient, platforms=("cuda",))(problem, picture).mlir_module())
    plain, again = (text.count("stablehlo.convolution") for text in texts)
    assert plain == 2 * 5  # conv1_1 to conv3_1, forward and back
    assert again == 3 * 5  # once more, forward
    assert "optimization_barrier" not in texts[0]
    assert "optimization_barrier" in texts[1]


def sizes(needed):
    """Stands for `memory_needed`: bytes by whether features are computed again, and by windows."""

    def told(problem, z, **options):
        inner = getattr(problem, "problem", problem)
        window = getattr(problem, "core", None)
        return needed[Form(window, inner.network.rematerialized)]

    return told


def planned(monkeypatch, vgg16, picture, needed, budget, platform="cuda"):
    monkeypatch.setattr(memory, "memory_needed", sizes(needed))
    monkeypatch.setattr(memory.jax, "local_devices", lambda: [types.SimpleNamespace(platform=platform)])
    method = FAMILIES["texture"].methods["texture"]
    return solving.planned(
        method.problem, method.schedule, vgg16, picture, shape=(48, 48), memory=budget, **LAYERS
    )


def test_features_are_computed_again_where_that_gains_enough(monkeypatch, vgg16, picture):
    needed = {WHOLE: 100, AGAIN: 60}
    assert planned(monkeypatch, vgg16, picture, needed, 100).form == WHOLE
    found = planned(monkeypatch, vgg16, picture, needed, 60)
    assert (found.form, found.predicted, found.budget) == (AGAIN, 60, 60)


def test_the_least_of_all_forms_is_told(monkeypatch, vgg16, picture):
    with pytest.raises(
        ValueError, match="the least that would do for this picture and optimizer is 60 bytes"
    ):
        planned(monkeypatch, vgg16, picture, {WHOLE: 100, AGAIN: 60}, 59)


@pytest.mark.parametrize("platform", ["cuda", "cpu"])
def test_windows_come_last_and_a_processor_computes_nothing_again(monkeypatch, vgg16, platform):
    tried = []

    def needed(problem, z, **options):
        inner = getattr(problem, "problem", problem)
        tried.append((getattr(problem, "core", None), inner.network.rematerialized))
        return 10 if getattr(problem, "core", None) == 128 else 10**13

    monkeypatch.setattr(memory, "memory_needed", needed)
    monkeypatch.setattr(memory.jax, "local_devices", lambda: [types.SimpleNamespace(platform=platform)])

    def pose(form):
        network = dataclasses.replace(vgg16, rematerialized=form.rematerialized)
        return jaxviz.texture.problem(
            network, jnp.zeros((48, 48, 3)), size=(300, 300), window=form.window, **LAYERS
        )

    assert plan(pose, lambda z: lbfgs(), 10**12).form == Form(128)
    # Windows of 512 and 1024 would be the whole picture once more.
    again = [(None, True)] * (platform == "cuda")
    assert tried == [(None, False), *again, (256, False), (128, False)]


def test_a_run_takes_its_plan(vgg16, picture):
    made, layers = memory.Plan(AGAIN, 1, 2), {"weights": {"relu1_1": 1, "pool1": 1}}
    found = jaxviz.texture.synthesize(vgg16, picture, steps=2, memory=made, **layers)
    plain = jaxviz.texture.synthesize(vgg16, picture, steps=2, **layers)
    np.testing.assert_allclose(found.losses, plain.losses, rtol=1e-5)
