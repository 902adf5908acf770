import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxviz
from jaxviz import objectives, visualization
from jaxviz.networks import compiled_features
from jaxviz.techniques import FAMILIES, baselines, solving
from jaxviz.techniques.visualization.class_model import problem as class_problem
from jaxviz.techniques.visualization.diverse import problem as diverse_problem
from jaxviz.techniques.visualization.regularized import problem as regularized_problem

UNIT = objectives.unit("relu2_2", 17)


@jax.jit
def loss_and_slope(problem, z):
    return jax.value_and_grad(problem.loss)(z, jax.random.key(0))


@jax.jit
def loss_of(problem, z):
    return problem.loss(z, jax.random.key(0))


def answer(network, x, unit=UNIT):
    return -float(unit(compiled_features(network, jnp.asarray(x), (unit.layer,))))


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


@pytest.mark.slow
def test_a_class_model_is_taken_for_its_class(squeezenet):
    found = visualization.class_model(squeezenet, 417, size=64, steps=60)
    scores = compiled_features(squeezenet, found.value, ("logits",))["logits"]
    assert int(scores.argmax()) == 417
    assert float(jax.nn.softmax(scores)[417]) > 0.9
    assert 0 <= float(found.value.min()) <= float(found.value.max()) <= 1


def test_the_loss_of_a_class_model_is_the_formula(classifier):
    posed, start = class_problem(classifier, 417, size=48, decay_weight=0.5, tv_weight=0.25, jitter=0)
    x = jnp.clip(start + 0.1, 0, 1)
    down = jnp.diff(x, axis=0, append=x[-1:])
    right = jnp.diff(x, axis=1, append=x[:, -1:])
    variation = jnp.sqrt(down**2 + right**2).sum()
    mean = jnp.asarray(jaxviz.inversion.MEAN_COLOR, jnp.float32)
    score = compiled_features(classifier, x, ("logits",))["logits"][417]
    expected = -score + 0.5 * ((x - mean) ** 2).sum() + 0.25 * variation
    assert float(loss_of(posed, x)) == pytest.approx(float(expected), rel=1e-3)


def test_the_norm_of_the_decay_is_an_option(classifier):
    posed, _ = class_problem(classifier, 417, size=48, decay_weight=0.5, alpha=6, tv_weight=0, jitter=0)
    x = jnp.full((48, 48, 3), 0.9)
    mean = jnp.asarray(jaxviz.inversion.MEAN_COLOR, jnp.float32)
    score = compiled_features(classifier, x, ("logits",))["logits"][417]
    expected = -score + 0.5 * (jnp.abs(x - mean) ** 6).sum()
    assert float(loss_of(posed, x)) == pytest.approx(float(expected), rel=1e-4)


class TestRegularized:
    def test_steps_are_the_formula(self, vgg16):
        numbers = {"rate": 0.02, "fading": 0.1, "blur_start": 2.0, "blur_end": 1.0, "every": 2}
        found = visualization.regularized(vgg16, UNIT, size=24, steps=3, jitter=0, **numbers)
        posed, x = regularized_problem(vgg16, UNIT, size=24, jitter=0)
        mean = jnp.asarray(jaxviz.inversion.MEAN_COLOR, jnp.float32)
        points, losses = [x], []
        for k in (1, 2):
            loss, slope = loss_and_slope(posed, x)
            losses.append(float(loss))
            x = x - 0.02 * slope / jnp.abs(slope).mean()
            x = mean + 0.9 * (x - mean)
            if k == 2:  # of the three steps two thirds are made
                x = baselines.blurred(x, 2.0 - 2 / 3)
            points.append(jnp.clip(x, 0, 1))
            x = points[-1]
        losses.append(float(loss_and_slope(posed, x)[0]))
        np.testing.assert_allclose(found.losses, losses, rtol=1e-3)
        np.testing.assert_allclose(found.value, points[int(np.argmin(losses))], atol=1e-4)

    def test_a_blur_makes_it_smoother(self, vgg16):
        def roughness(**numbers):
            image = np.asarray(visualization.regularized(vgg16, UNIT, size=32, steps=24, **numbers).value)
            return np.abs(np.diff(image, axis=0)).mean()

        assert roughness() < 0.5 * roughness(blur_start=0, blur_end=0)


class TestDiverse:
    def test_the_loss_is_the_formula(self, vgg16):
        posed, z = diverse_problem(vgg16, UNIT, count=3, diversity=0.7, size=24, still=True)
        images = posed.parameterization.decode(z)
        answers, grams = [], []
        for image in np.asarray(images):
            tap = np.asarray(
                compiled_features(vgg16, jnp.asarray(image), ("relu2_2",))["relu2_2"], np.float64
            )
            answers.append(tap[..., 17].mean())
            gram = np.einsum("hwi,hwj->ij", tap, tap)
            grams.append(gram / np.linalg.norm(gram))
        pairs = [(grams[a] * grams[b]).sum() for a in range(3) for b in range(3) if a != b]
        expected = -np.mean(answers) + 0.7 * np.mean(np.abs(answers)) * np.mean(pairs)
        assert float(loss_of(posed, z)) == pytest.approx(expected, rel=1e-4)

    @pytest.mark.slow
    def test_more_weight_makes_pictures_differ_more(self, vgg16):
        def likeness(diversity):
            found = visualization.diverse(vgg16, UNIT, count=2, size=24, steps=25, diversity=diversity)
            taps = [compiled_features(vgg16, image, ("relu2_2",))["relu2_2"] for image in found.value]
            first, second = (objectives.gram_matrix(tap).ravel() for tap in taps)
            return float(first @ second / jnp.linalg.norm(first) / jnp.linalg.norm(second))

        assert likeness(4.0) < likeness(0.0) - 0.02

    def test_its_layer_has_positions(self, squeezenet):
        posed, _ = diverse_problem(squeezenet, 3, size=48)
        assert posed.layer == "fire9"
        with pytest.raises(ValueError, match="layer 'logits' has no positions; take fire9"):
            diverse_problem(squeezenet, 3, size=48, layer="logits")


def test_a_direction_along_one_channel_is_the_channel(vgg16, picture):
    image = jnp.asarray(picture("chelsea", 32))
    vector = jnp.zeros(128).at[17].set(2.0)
    found = answer(vgg16, image, objectives.direction("relu2_2", vector))
    assert found == pytest.approx(2 * answer(vgg16, image), rel=1e-5)
    with pytest.raises(ValueError, match="the direction has 5 numbers; layer 'relu2_2' has 128 channels"):
        answer(vgg16, image, objectives.direction("relu2_2", jnp.ones(5)))
    with pytest.raises(ValueError, match="finite and not all 0"):
        objectives.direction("relu2_2", jnp.zeros(128))


def test_a_direction_has_a_finite_slope_where_nothing_answers():
    towards = objectives.direction("a", jnp.array([1.0, 0.0]), power=2)
    slope = jax.grad(lambda tap: towards({"a": tap}))(jnp.zeros((2, 2, 2)))
    assert np.isfinite(slope).all()


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
