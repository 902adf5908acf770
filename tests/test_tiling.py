"""Windows: every position counted once, and value, gradient and features those of the whole image."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxviz
from jaxviz import objectives, tiling
from jaxviz.networks import bordered, compiled_features

KEY = jax.random.key(0)
STYLE = {"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 0.5, "relu4_1": 0.5, "relu5_1": 0.2}


@pytest.mark.parametrize("length", [17, 64, 200, 211, 1000])
@pytest.mark.parametrize("core", [1, 32, 300])
@pytest.mark.parametrize(("stride", "before", "after"), [(1, 1, 1), (4, 5, 9), (16, 66, 66)])
def test_windows_cover_an_axis_with_all_that_their_own_positions_see(length, core, stride, before, after):
    found = tiling.axis(length, core, stride, before, after)
    assert found.cores[0][0] == 0
    assert found.cores[-1][1] == length
    for (_, stop), (first, _) in zip(found.cores, found.cores[1:], strict=False):
        assert stop == first
    for start, (first, stop) in zip(found.starts, found.cores, strict=True):
        assert first < stop
        assert start % stride == 0
        assert start >= 0
        assert start + found.size <= length
        assert start <= first - before or start == 0
        assert start + found.size >= stop - 1 + after or start + found.size == length


def picture(h, w, seed=0):
    return jax.random.uniform(jax.random.key(seed), (h, w, 3))


def posed(network, h, w, deepest=5):
    content, style = picture(h, w, 1), picture(70, 90, 2)
    layer = "relu4_2" if deepest == 5 else "relu2_1"
    taps = compiled_features(network, content, (layer,))
    weights = {name: STYLE[name] for name in list(STYLE)[:deepest]}
    objective = objectives.weighted_sum(
        (1.0, objectives.match_features(taps, weights={layer: 1.0})),
        (1e-2, objectives.match_gram(compiled_features(network, style, tuple(weights)), weights=weights)),
        (
            1.0,
            objectives.match_gaussian(
                compiled_features(network, style, ("relu2_1",)), weights={"relu2_1": 1.0}
            ),
        ),
        names=("content", "style", "gauss"),
    )
    return jaxviz.Problem(
        network=network, objective=objective, prior=jaxviz.priors.total_variation(weight=3.0)
    )


@pytest.mark.parametrize(
    ("borders", "deepest", "size"),
    [
        ("zero", 2, (61, 69)),
        *(pytest.param(borders, 5, (233, 245), marks=pytest.mark.slow) for borders in ("zero", "replicate")),
    ],
)
def test_value_and_gradient_are_those_of_the_whole(vgg16, borders, deepest, size):
    network = bordered(vgg16, borders)
    h, w = size
    problem, z = posed(network, h, w, deepest), picture(h, w)
    core = 32 if deepest == 5 else 16
    windows = tiling.tiled(problem, core)
    plan = tiling.layout(network, (h, w), core, windows.problem.objective.layers)
    assert plan.count >= 6
    value, gradient = jax.jit(jax.value_and_grad(lambda p, z: p.loss(z, KEY), argnums=1))(problem, z)
    found, by_windows = jax.jit(jax.value_and_grad(lambda p, z: p.loss(z, KEY), argnums=1))(windows, z)
    assert float(found) == pytest.approx(float(value), rel=1e-5)
    alone = jax.jit(lambda p, z: p.loss(z, KEY))(windows, z)  # which goes by windows in another loop
    assert float(alone) == pytest.approx(float(value), rel=1e-5)
    largest = float(jnp.abs(gradient).max())
    # A pooling may take another of two equal pixels: so it is a few pixels that differ more than by rounding.
    differences = np.abs(np.asarray(by_windows - gradient)) / largest
    assert np.median(differences) < 1e-6
    assert np.quantile(differences, 0.999) < 1e-4
    assert differences.max() < 1e-2


@pytest.mark.slow
def test_features_and_summaries_are_those_of_the_whole(vgg16):
    image, layers = picture(150, 210), ("relu1_2", "pool2", "relu4_2")
    whole = compiled_features(vgg16, image, layers)
    found = tiling.features(vgg16, image, layers, 16)
    for layer in layers:
        np.testing.assert_allclose(
            found[layer], whole[layer], rtol=1e-4, atol=1e-3 * float(whole[layer].max())
        )
    summary, expected = tiling.summary(vgg16, image, layers, 16), objectives.summarize(whole)
    for a, b in zip(jax.tree.leaves(summary), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * float(jnp.abs(b).max()))


def test_memory_is_that_of_a_window(vgg16):
    def temporary(problem, z):
        run = jax.jit(jax.value_and_grad(lambda p, z: p.loss(z, KEY), argnums=1))
        return run.lower(problem, z).compile().memory_analysis().temp_size_in_bytes

    taps = compiled_features(vgg16, picture(64, 64), ("relu2_1",))
    objective = objectives.match_gram(taps, weights={"relu2_1": 1.0})
    problem = jaxviz.Problem(network=vgg16, objective=objective)
    z = jax.ShapeDtypeStruct((768, 768, 3), jnp.float32)
    assert temporary(tiling.tiled(problem, 96), z) < 0.3 * temporary(problem, z)


def test_what_cannot_be_seen_through_windows_is_refused(vgg16, squeezenet):
    problem = posed(vgg16, 64, 64)
    with pytest.raises(ValueError, match="core is 0"):
        tiling.tiled(problem, 0)
    with pytest.raises(ValueError, match="transform"):
        tiling.tiled(dataclasses.replace(problem, transform=lambda key, x: x), 32)
    with pytest.raises(TypeError, match="Logit is no function of sums"):
        tiling.tiled(dataclasses.replace(problem, objective=objectives.logit(0)), 32)
    with pytest.raises(ValueError, match="borders meet"):
        tiling.features(bordered(vgg16, "circular"), picture(64, 64), ["relu1_1"], 32)
    with pytest.raises(ValueError, match="'logits' has no positions"):
        tiling.features(squeezenet, picture(64, 64), ["logits"], 32)
    with pytest.raises(ValueError, match="squeezenet1_1 has no choice of borders"):
        bordered(squeezenet, "reflect")
    with pytest.raises(KeyError, match="no kind of borders is named 'mirror'"):
        bordered(vgg16, "mirror")


@pytest.mark.slow
def test_an_inversion_through_windows_is_that_of_the_whole(vgg16):
    image = picture(150, 130)
    pair = [jaxviz.inversion.problem(vgg16, image, layer="relu3_3", window=window) for window in (None, 48)]
    (whole, z), (windows, same) = pair
    np.testing.assert_array_equal(same, z)
    assert tiling.layout(vgg16, z.shape[:2], 48, ("relu3_3",)).count > 1
    assert float(windows.loss(z, KEY)) == pytest.approx(float(whole.loss(z, KEY)), rel=1e-5)
    with pytest.raises(ValueError, match="no positions, so it cannot be seen through windows"):
        jaxviz.inversion.invert(
            jaxviz.load("squeezenet1_1"), picture(224, 224), layer="logits", window=64, steps=1
        )
