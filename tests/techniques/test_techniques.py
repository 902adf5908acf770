import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxviz
from jaxviz import attacks, inversion, objectives, optimizers, saliency, style, texture
from jaxviz._checks import index
from jaxviz.networks import compiled_features

CAT = 285


@pytest.fixture(scope="module")
def cats(picture):
    return jnp.stack([jnp.asarray(picture(name, 96)) for name in ("chelsea", "astronaut", "coffee")])


@pytest.fixture(scope="module")
def small(picture):
    return [picture(name, 48) for name in ("chelsea", "astronaut", "coffee")]


def near(found, expected, relative=1e-5):
    scale = float(jnp.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=relative, atol=relative * scale)


@jax.jit
def loss_of(problem, z, key):
    return problem.loss(z, key)


@jax.jit
def slope_of(network, image, label):
    return jax.grad(lambda x: objectives.cross_entropy(label)(network.features(x)))(image)


def cross_entropy(network, image, label):
    logits = jaxviz.networks.compiled_features(network, image, ("logits",))["logits"]
    return float(-jax.nn.log_softmax(logits)[label])


class TestSaliency:
    @pytest.mark.slow
    def test_is_the_largest_derivative_of_the_score_over_colors(self, squeezenet, cats):
        def score(x):
            return squeezenet.features(x, ["logits"])["logits"][CAT]

        image = cats[0, :40, :48]
        expected = jnp.abs(jax.jit(jax.grad(score))(image)).max(-1)
        near(saliency.gradient(squeezenet, image, CAT), expected, 1e-4)

    def test_same_inside_jit(self, classifier, cats):
        jitted = jax.jit(lambda image, label: saliency.gradient(classifier, image, label))
        near(jitted(cats[0], CAT), saliency.gradient(classifier, cats[0], CAT))

    def test_takes_any_objective(self, classifier, vgg16, cats):
        by_class = saliency.gradient(classifier, cats[0], CAT)
        near(saliency.gradient(classifier, cats[0], objectives.logit(CAT)), by_class)
        feature = objectives.logit(7, layer="logits")
        assert not np.allclose(saliency.gradient(classifier, cats[0], feature), by_class)
        target = compiled_features(vgg16, jnp.zeros((96, 96, 3)), ("relu2_1",))
        matched = objectives.match_features(target, weights={"relu2_1": 1})
        assert float(saliency.gradient(vgg16, cats[0], matched).max()) > 0

    def test_says_what_is_wrong(self, squeezenet, vgg16, cats):
        with pytest.raises(ValueError, match="vgg16 has no classifier"):
            saliency.gradient(vgg16, cats[0], CAT)
        with pytest.raises(ValueError, match="target is 1000; expected at least 0 and at most 999"):
            saliency.gradient(squeezenet, cats[0], 1000)
        with pytest.raises(ValueError, match=r"such as network\.labels\.index\('Egyptian cat'\)"):
            index("Egyptian cat", "target", 1000)
        with pytest.raises(ValueError, match=r"target is 1\.5; expected one integer"):
            saliency.gradient(squeezenet, cats[0], 1.5)
        with pytest.raises(ValueError, match=r"values in \[0, 255\]"):
            saliency.gradient(squeezenet, jnp.zeros((48, 48, 3)).at[0, 0, 0].set(255.0), 0)
        with pytest.raises(ValueError, match="NaN"):
            saliency.gradient(squeezenet, cats[0].at[3, 3, 1].set(jnp.nan), 0)


class TestFgsm:
    @pytest.mark.parametrize("epsilon", [0.0, 1 / 255, 8 / 255, 0.3, 1])
    def test_stays_in_ball_and_box_and_uses_all_of_it(self, classifier, cats, epsilon):
        for image in (cats[0], jnp.round(cats[0])):
            attacked = attacks.fgsm(classifier, image, CAT, epsilon=epsilon)
            assert float(jnp.abs(attacked - image).max()) <= epsilon + 1e-6
            assert float(attacked.min()) >= 0
            assert float(attacked.max()) <= 1
            expected = jnp.clip(image + epsilon * jnp.sign(slope_of(classifier, image, CAT)), 0, 1)
            assert float((jnp.abs(attacked - expected) < 1e-6).mean()) > 0.9999
            if 0 < epsilon < 0.5:
                assert float(jnp.abs(attacked - image).max()) == pytest.approx(epsilon, abs=1e-6)

    def test_untargeted_leaves_the_class(self, squeezenet, cats):
        for image, label in zip(cats, (CAT, 0, 967), strict=True):
            attacked = attacks.fgsm(squeezenet, image, label, epsilon=2 / 255)
            before, after = (cross_entropy(squeezenet, x, label) for x in (image, attacked))
            assert after > before + 0.5

    def test_targeted_approaches_the_target_whatever_the_label(self, squeezenet, cats):
        attacked = attacks.fgsm(squeezenet, cats[0], CAT, epsilon=2 / 255, target=10)
        assert cross_entropy(squeezenet, attacked, 10) < cross_entropy(squeezenet, cats[0], 10) - 0.5
        other = attacks.fgsm(squeezenet, cats[0], 3, epsilon=2 / 255, target=10)
        np.testing.assert_array_equal(attacked, other)

    @pytest.mark.parametrize("epsilon", [-0.1, 1.5, float("nan"), float("inf")])
    def test_an_epsilon_out_of_range_is_refused(self, squeezenet, cats, epsilon):
        with pytest.raises(ValueError, match=r"epsilon is .*; expected a number in \[0, 1\]"):
            attacks.fgsm(squeezenet, cats[0], CAT, epsilon=epsilon)

    @pytest.mark.parametrize("label", [-1, 1000])
    def test_a_class_out_of_range_is_refused(self, squeezenet, cats, label):
        with pytest.raises(ValueError, match=f"label is {label}"):
            attacks.fgsm(squeezenet, cats[0], label)
        with pytest.raises(ValueError, match=f"target is {label}"):
            attacks.fgsm(squeezenet, cats[0], 0, target=label)


def posed(name, network, image, key=None):
    if name == "inversion":
        return inversion.problem(network, image, layer="relu2_1", key=key)
    if name == "texture":
        return texture.problem(network, image, weights={"relu1_1": 1, "pool2": 0.5}, key=key)
    weights = {"content_weights": {"relu2_2": 1}, "style_weights": {"relu1_1": 1, "relu2_1": 1}}
    return style.problem(network, image, [image[::-1].copy()], **weights, init="noise", key=key)


@pytest.mark.parametrize("name", ["inversion", "texture", "style"])
class TestPictures:
    def test_a_batch_shares_the_network(self, vgg16, small, name):
        pairs = [posed(name, vgg16, image, jax.random.key(i)) for i, image in enumerate(small)]
        _, (axes, _) = jaxviz.stack(pairs)
        assert all(axis is None for axis in jax.tree.leaves(axes.network, is_leaf=lambda a: a is None))

    def test_same_key_same_bits(self, vgg16, small, name):
        runs = [
            jaxviz.minimize(*posed(name, vgg16, small[0], jax.random.key(seed)), steps=4)
            for seed in (1, 1, 2)
        ]
        np.testing.assert_array_equal(runs[0].value, runs[1].value)
        np.testing.assert_array_equal(runs[0].losses, runs[1].losses)
        assert not np.array_equal(runs[0].value, runs[2].value)

    def test_stays_displayable_and_improves(self, vgg16, small, name):
        found = jaxviz.minimize(*posed(name, vgg16, small[1]), steps=15)
        assert float(found.value.min()) >= 0
        assert float(found.value.max()) <= 1
        assert np.nanmin(found.losses) < 0.5 * found.losses[0]


class TestErrors:
    def test_unknown_names(self, vgg16, small):
        image = small[0]
        with pytest.raises(KeyError, match="nearest: relu3_3"):
            inversion.invert(vgg16, image, layer="relu33")
        with pytest.raises(KeyError, match="no preset of inversion is named 'fast'"):
            inversion.invert(vgg16, image, layer="relu3_3", preset="fast")
        with pytest.raises(KeyError, match="no layer of vgg16 is named 'fire2'"):
            texture.synthesize(vgg16, image, weights={"fire2": 1})
        with pytest.raises(KeyError, match="no texture loss is named 'correlation'"):
            texture.synthesize(vgg16, image, kind="correlation")
        with pytest.raises(KeyError, match="no style loss is named 'histogram'"):
            style.transfer(vgg16, image, [image], style_loss="histogram")
        with pytest.raises(KeyError, match="no start is named 'white'"):
            style.transfer(vgg16, image, [image], init="white")
        with pytest.raises(KeyError, match="no layer of vgg16 is named 'relu9_1'"):
            style.transfer(vgg16, image, [image], content_weights={"relu9_1": 1})

    def test_weights_that_ask_for_nothing(self, vgg16, small):
        image = small[0]
        with pytest.raises(ValueError, match="all layer weights are zero"):
            texture.synthesize(vgg16, image, weights={"relu1_1": 0, "pool1": 0.0})
        with pytest.raises(ValueError, match="all layer weights are zero"):
            style.transfer(vgg16, image, [image], style_weights={"relu1_1": 0})
        with pytest.raises(ValueError, match="both zero"):
            style.transfer(vgg16, image, [image], content_weight=0, style_weight=0)
        with pytest.raises(ValueError, match="weight of relu1_1 is -1"):
            texture.synthesize(vgg16, image, weights={"relu1_1": -1})
        with pytest.raises(ValueError, match="styles is empty"):
            style.transfer(vgg16, image, [])

    def test_sizes_and_numbers(self, vgg16, small):
        image = small[0]
        with pytest.raises(ValueError, match="size is 0×32"):
            texture.synthesize(vgg16, image, size=(0, 32))
        with pytest.raises(ValueError, match=r"init has shape \[48, 40, 3\]"):
            style.transfer(vgg16, image, [image], init=image[:, :40])
        with pytest.raises(ValueError, match="steps is -1"):
            inversion.invert(vgg16, image, layer="relu1_1", steps=-1)
        with pytest.raises(ValueError, match=r"tv_beta is 0\.5"):
            inversion.invert(vgg16, image, layer="relu1_1", tv_beta=0.5)


class TestStyle:
    def test_starts(self, vgg16, small):
        content, other = small[0], small[1]
        assert np.array_equal(style.problem(vgg16, content, [other])[1], content)
        assert np.array_equal(style.problem(vgg16, content, [other], init=other)[1], other)
        noise = style.problem(vgg16, content, [other], init="noise", key=jax.random.key(1))[1]
        assert noise.shape == content.shape
        np.testing.assert_allclose(noise.mean((0, 1)), content.mean((0, 1)), atol=0.02)
        assert 0.05 < float(noise.std()) < 0.2

    def test_two_equal_styles_are_one(self, vgg16, small):
        key = jax.random.key(0)
        values = []
        for styles in ([small[1]], [small[1], small[1]]):
            layers = {"content_weights": {"relu1_2": 1}, "style_weights": {"relu1_1": 1, "relu2_1": 1}}
            problem, start = style.problem(vgg16, small[0], styles, **layers)
            values.append(float(loss_of(problem, start, key)))
        assert values[1] == pytest.approx(values[0], rel=1e-5)

    def test_other_networks_with_their_own_layers(self, squeezenet, small):
        found = style.transfer(
            squeezenet,
            small[0],
            [small[1]],
            content_weights={"fire2": 1},
            style_weights={"relu1": 1, "fire2": 1},
            steps=5,
        )
        assert np.nanmin(found.losses) < found.losses[0]


@pytest.mark.slow
def test_a_texture_may_have_another_size_than_its_exemplar(vgg16, small):
    found = texture.synthesize(vgg16, small[0], size=(40, 56), weights={"relu1_1": 1}, steps=2)
    assert found.value.shape == (40, 56, 3)
    assert texture.synthesize(vgg16, small[0], size=40, weights={"pool1": 1}, steps=1).value.shape[0] == 40


class TestPaperInversion:
    def test_first_steps_follow_the_published_update(self, vgg16, small):
        image, layer, n = jnp.asarray(small[0]), "relu1_2", small[0].size
        mean = jnp.array([123.68, 116.779, 103.939])
        target = compiled_features(vgg16, image, (layer,))[layer]
        sigma_squared = 255**2 * inversion.TYPICAL_RMS**2 * n

        def energy(v):  # of pixels in 0-255 minus the mean color, as in the paper
            features = vgg16.features((v + mean) / 255, [layer])[layer]
            down = jnp.pad(v[1:] - v[:-1], ((0, 1), (0, 0), (0, 0)))
            right = jnp.pad(v[:, 1:] - v[:, :-1], ((0, 0), (0, 1), (0, 0)))
            distance = jnp.sum((features - target) ** 2) / jnp.sum(target**2)
            priors = 8e-10 * jnp.sum(v**6) + 10 * jnp.sum(down**2 + right**2)
            return distance + priors / (2 * sigma_squared)

        key = jax.random.key(4)
        found = inversion.invert(vgg16, image, layer=layer, preset="paper", steps=4, key=key)
        start = inversion.problem(vgg16, image, layer=layer, preset="paper", key=key)[1]
        value_and_gradient = jax.jit(jax.value_and_grad(energy))
        v, velocity, expected = 255 * start - mean, jnp.zeros_like(start), []
        for _ in range(4):
            value, gradient = value_and_gradient(v)
            expected.append(float(value))
            velocity = 0.9 * velocity - 0.004 * sigma_squared * gradient
            v = v + velocity
        np.testing.assert_allclose(found.losses, expected, rtol=1e-4)
        assert expected[3] < expected[0]

    def test_the_rate_falls_and_the_velocity_is_forgotten(self):
        rule = inversion.staged_momentum(jnp.float32(2), jnp.float32(0.5))
        z, gradient = jnp.zeros(1), jnp.ones(1)

        def one(state, _):
            update, state = rule.update(gradient, state, z)
            return state, update[0]

        updates = np.asarray(jax.lax.scan(one, rule.init(z), None, 302)[1])
        np.testing.assert_allclose(updates[:3], [-2, -3, -3.5])
        np.testing.assert_allclose(updates[99], -4, rtol=1e-5)
        np.testing.assert_allclose(updates[100:102], [-0.2, -0.3], rtol=1e-5)
        np.testing.assert_allclose(updates[299:302], [-0.4, -0.02, -0.03], rtol=1e-5)

    def test_overrides_and_seeds(self, vgg16, small):
        problem, start = inversion.problem(vgg16, small[0], layer="relu1_1", preset="paper", tv_weight=0)
        assert problem.constraint is None
        assert float(jnp.std(start - jnp.asarray(inversion.MEAN_COLOR))) == pytest.approx(0.24, rel=0.03)
        assert float(problem.prior.priors[0].weight) == 0
        steps = inversion.invert(vgg16, small[0], layer="relu1_1", steps=2, optimizer=optimizers.adam())
        assert steps.losses.shape == (2,)
