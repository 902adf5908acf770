import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxviz
from jaxviz import objectives, visualization
from jaxviz.techniques import FAMILIES, solving
from jaxviz.techniques.visualization.class_model import problem as class_problem

UNIT = objectives.unit("relu2_2", 17)


def answer(network, x, unit=UNIT):
    return -float(unit(network.features(jnp.asarray(x), [unit.layer])))


def test_a_channel_is_excited_many_times_more_than_by_the_start(vgg16):
    posed, start = visualization.problem(vgg16, UNIT, size=32)
    before = answer(vgg16, posed.parameterization.decode(start))
    found = visualization.visualize(vgg16, UNIT, size=32, steps=40)
    image = np.asarray(found.value)
    assert image.shape == (32, 32, 3)
    assert 0 < image.min() < image.max() < 1
    assert answer(vgg16, image) > 5 * max(before, 1.0)
    assert found.losses[-5:].mean() < found.losses[0]


@pytest.mark.slow
def test_the_start_and_the_changes_depend_on_the_seed_alone(vgg16):
    def made(**more):
        return np.asarray(visualization.visualize(vgg16, UNIT, size=24, steps=2, **more).value)

    np.testing.assert_array_equal(made(key=3), made(key=jax.random.key(3)))
    assert np.abs(made(key=3) - made(key=4)).max() > 0
    assert np.abs(made(key=3) - made(key=3, still=True)).max() > 0


@pytest.mark.slow  # test_registry.py
def test_several_targets_are_one_program(vgg16):
    method = FAMILIES["visualization"].methods["robust"]
    units = [objectives.unit("relu1_2", channel) for channel in (3, 9)]
    options = {"size": 24, "steps": 3, "key": 5}
    many = solving.solve_many(method, vgg16, [(unit,) for unit in units], [options] * 2).value
    for found, unit in zip(many, units, strict=True):
        alone = visualization.visualize(vgg16, unit, **options).value
        np.testing.assert_allclose(found, alone, atol=1e-5)


def test_a_class_model_is_taken_for_its_class(squeezenet):
    found = visualization.class_model(squeezenet, 417, size=64, steps=60)
    scores = squeezenet.features(found.value, ["logits"])["logits"]
    assert int(scores.argmax()) == 417
    assert float(jax.nn.softmax(scores)[417]) > 0.9
    assert 0 <= float(found.value.min()) <= float(found.value.max()) <= 1


def test_the_loss_of_a_class_model_is_the_formula(squeezenet):
    posed, start = class_problem(squeezenet, 417, size=48, decay_weight=0.5, tv_weight=0.25, jitter=0)
    x = jnp.clip(start + 0.1, 0, 1)
    down = jnp.diff(x, axis=0, append=x[-1:])
    right = jnp.diff(x, axis=1, append=x[:, -1:])
    variation = jnp.sqrt(down**2 + right**2).sum()
    mean = jnp.asarray(jaxviz.inversion.MEAN_COLOR, jnp.float32)
    score = squeezenet.features(x, ["logits"])["logits"][417]
    expected = -score + 0.5 * ((x - mean) ** 2).sum() + 0.25 * variation
    assert float(posed.loss(x, jax.random.key(0))) == pytest.approx(float(expected), rel=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: visualization.visualize(n, 3), "has no classifier"),
        (lambda n: visualization.visualize(n, UNIT, size=0), "size is 0"),
        (lambda n: visualization.visualize(n, UNIT, steps=-1), "steps is -1"),
        (lambda n: visualization.visualize(n, UNIT, key=-1), "key is -1"),
        (lambda n: visualization.class_model(n, UNIT, rate=-1), "rate is -1"),
    ],
)
def test_bad_input_is_refused(call, message, vgg16):
    with pytest.raises(ValueError, match=message):
        call(vgg16)
