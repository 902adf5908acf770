"""Rendering, a step of a fit and a step of a stylization for a TPU and a GPU, neither of which is here: lowered."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from jaxviz import radiance
from jaxviz.costs.contents import contents
from jaxviz.objectives import match_nearest
from jaxviz.radiance import field as fields
from jaxviz.radiance import fitting, models, occupancy, painting
from jaxviz.radiance.planning import Settings, planned

SIZE = (16, 16)
BOX = np.array([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]], np.float32)
LAYERS = ("relu3_1", "relu3_2", "relu3_3")


@pytest.fixture(scope="module")
def model():
    made = fields.initialize(jax.random.key(0), BOX, (8, 8, 8), density_channels=2, color_channels=2)
    space = radiance.Space(BOX, np.asarray(0.5, np.float32), np.zeros(3, np.float32), False, "white")
    poses = np.tile(np.eye(3, 4, dtype=np.float32), (2, 1, 1))
    poses[:, 2, 3] = 3
    cameras = radiance.Cameras(poses, np.tile(np.float32([16, 16, 8, 8]), (2, 1)), SIZE)
    return models.model(made, occupancy.full(made), space, cameras)


def rendering(model):
    budget = models.budget_of(model, 64)
    return functools.partial(models._seen.__wrapped__, budget=budget, chunk=64), (model, model.cameras[:1])


def fit_step(model):
    settings = Settings(steps=10, nodes=8, first_nodes=8, samples=512, density_channels=2, color_channels=2)
    plan = planned(settings, model.field.resolution, 4.0, None, 1)
    state = fitting.State(model.field, fitting.ADAM.init(fitting.parameters_of(model.field)), model.occupancy)
    data = (model.cameras, model.space, jnp.zeros((512, 3)))
    kept = jnp.arange(512, dtype=jnp.int32), jnp.int32(512)
    step = functools.partial(fitting._stepped.__wrapped__, (plan.budget, plan.rays, None))
    return step, (state, kept, data, jax.random.key(0), jnp.float32(0.01), settings.numbers())


def style_step(model, network):
    taps = network.features(jnp.full((48, 48, 3), 0.5), LAYERS)
    nearest = match_nearest(taps, weights=dict.fromkeys(LAYERS, 1.0), precision=network.precision)
    losses = painting.Losses(network, nearest, *(jnp.float32(1) for _ in range(3)), LAYERS)
    numbers = {name: jnp.float32(0.5) for name in ("rate", "basis_rate", "memory", "count")}
    step = functools.partial(
        painting.stepped.__wrapped__, stage="style", budget=models.budget_of(model, 64), patch=64
    )
    given = (painting.begun(model), model, losses, model.cameras[:1], jnp.zeros((*SIZE, 3)), jnp.ones(1))
    return step, (*given, numbers)


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
@pytest.mark.parametrize("program", [rendering, fit_step, style_step])
def test_a_program_is_ready_for_accelerators_that_are_not_here(program, platform, model, vgg16):
    function, given = program(model, vgg16) if program is style_step else program(model)
    text = export.export(jax.jit(function), platforms=(platform,))(*given).mlir_module()
    found = contents(text)
    assert not found.custom_calls
    assert not found.callbacks
    assert "f64" not in text
    # Neither the network nor the scene is a constant of it.
    assert found.constants < 64 * 1024
    assert found.products
    for product in found.products:
        assert product.precision == "HIGHEST"
        assert {tensor.kind for tensor in product.tensors} == {"f32"}
