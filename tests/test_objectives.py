import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxviz import objectives

SCORES = {"logits": jnp.array([1.0, 3.0, 2.0])}

# The target is reduced by a compiled program, which rounds its sums in another order than a call outside one:
# the square of a relative 1e-7.
ROUNDING = 1e-13
# Of a difference of traces, each a sum of some units.
ROUNDING_OF_TRACES = 1e-5


@pytest.fixture
def taps():
    draw = np.random.default_rng(0)
    return {
        "relu1": jnp.asarray(draw.normal(size=(5, 7, 4)), jnp.float32),
        "relu2": jnp.asarray(draw.normal(size=(3, 4, 6)), jnp.float32),
    }


def test_logit_is_minus_one_score():
    assert [float(objectives.logit(i)(SCORES)) for i in range(3)] == [-1, -3, -2]
    assert float(objectives.logit(1, layer="other")({"other": jnp.array([0.0, 7.0])})) == -7


def test_cross_entropy_by_hand():
    total = np.exp([1.0, 3.0, 2.0]).sum()
    for i, score in enumerate([1.0, 3.0, 2.0]):
        assert float(objectives.cross_entropy(i)(SCORES)) == pytest.approx(np.log(total) - score, rel=1e-6)


def test_cross_entropy_of_huge_scores_is_finite():
    scores = {"logits": jnp.array([1e4, -1e4])}
    value, gradient = jax.value_and_grad(lambda t: objectives.cross_entropy(1)(t))(scores)
    assert float(value) == pytest.approx(2e4)
    np.testing.assert_allclose(gradient["logits"], [1, -1])


def test_margin_is_negative_only_for_the_winner():
    assert [float(objectives.margin(i)(SCORES)) for i in range(3)] == [2, -1, 1]


@pytest.mark.parametrize("label", [-1, 1.0, "cat", np.zeros(2, int)])
def test_labels_are_checked(label):
    for make in (objectives.logit, objectives.cross_entropy, objectives.margin):
        with pytest.raises((ValueError, TypeError), match="label"):
            make(label)


@pytest.mark.parametrize("reduction", ["mean", "relative", "sum"])
def test_match_features_by_hand(taps, reduction):
    weights = {"relu1": 2.0, "relu2": 0.5}
    matched = objectives.match_features(taps, weights=weights, reduction=reduction)
    moved = {name: tap + 1 for name, tap in taps.items()} | {"relu3": jnp.ones((1, 1, 1))}
    expected = 0
    for name, weight in weights.items():
        target = np.asarray(taps[name], np.float64)
        divisor = {"mean": target.size, "relative": np.sum(target**2), "sum": 1}[reduction]
        expected += weight * target.size / divisor
    assert float(matched(moved)) == pytest.approx(expected, rel=1e-5)


def test_match_features_relative_to_a_target_of_zero_is_finite():
    zero = {"relu1": jnp.zeros((2, 2, 3))}
    matched = objectives.match_features(zero, weights={"relu1": 1}, reduction="relative")
    assert float(matched({"relu1": jnp.ones((2, 2, 3))})) == 12


@pytest.mark.parametrize("centered", [False, True])
def test_match_gram_by_hand(taps, centered):
    weights = {"relu1": 2.0, "relu2": 0.5}
    matched = objectives.match_gram(taps, weights=weights, centered=centered)
    other = {name: 2 * tap[:3, :3] + 1 for name, tap in taps.items()}
    expected = 0
    for name, weight in weights.items():
        grams = []
        for features in (other[name], taps[name]):
            flat = np.asarray(features, np.float64).reshape(-1, features.shape[-1])
            flat = flat - flat.mean(0) * centered
            grams.append(np.einsum("pi,pj->ij", flat, flat) / len(flat))
        expected += weight * np.sum((grams[0] - grams[1]) ** 2) / (4 * features.shape[-1] ** 2)
    assert float(matched(other)) == pytest.approx(expected, rel=1e-5)


MAKERS = {
    "features": lambda taps: objectives.match_features(taps, weights={"relu1": 1, "relu2": 1}),
    "relative": lambda taps: objectives.match_features(taps, weights={"relu1": 1}, reduction="relative"),
    "gram": lambda taps: objectives.match_gram(taps, weights={"relu1": 1, "relu2": 1}),
    "covariance": lambda taps: objectives.match_gram(taps, weights={"relu1": 1}, centered=True),
    "moments": lambda taps: objectives.match_moments(taps, weights={"relu1": 1, "relu2": 1}),
    "wasserstein": lambda taps: objectives.match_gaussian(taps, weights={"relu1": 1}),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_zero_at_the_target_and_only_there(taps, kind):
    matched = MAKERS[kind](taps)
    assert abs(float(matched(taps))) <= (ROUNDING_OF_TRACES if kind == "wasserstein" else ROUNDING)
    assert float(matched({name: 1.5 * tap for name, tap in taps.items()})) > 0


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("level", [0.0, 3.0])
def test_gradients_at_flat_zero_and_equal_taps_are_finite(taps, kind, level):
    flat = {name: jnp.full_like(tap, level) for name, tap in taps.items()}
    for target, at in ((taps, flat), (flat, taps), (flat, flat)):
        gradient = jax.grad(lambda t: MAKERS[kind](target)(t))(at)  # noqa: B023
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_a_gram_matrix_forgets_positions(taps):
    features = taps["relu1"]
    shuffled = jax.random.permutation(jax.random.key(0), features.reshape(-1, 4)).reshape(7, 5, 4)
    assert not np.array_equal(features.reshape(-1), shuffled.reshape(-1))
    for centered in (False, True):
        np.testing.assert_allclose(
            objectives.gram_matrix(features, centered=centered),
            objectives.gram_matrix(shuffled, centered=centered),
            rtol=1e-5,
            atol=1e-6,
        )


def test_a_covariance_forgets_the_mean_and_a_gram_matrix_does_not(taps):
    features = taps["relu1"]
    moved = objectives.gram_matrix(features + 3, centered=True)
    np.testing.assert_allclose(moved, objectives.gram_matrix(features, centered=True), atol=1e-5)
    assert float(jnp.abs(objectives.gram_matrix(features + 3) - objectives.gram_matrix(features)).max()) > 1


def test_a_gram_matrix_of_large_16_bit_features_is_exact():
    for dtype, level in ((jnp.bfloat16, 2.0**20), (jnp.float16, 2.0**15)):
        features = jnp.full((64, 64, 2), level, dtype)
        gram = objectives.gram_matrix(features)
        assert gram.dtype == jnp.float32
        np.testing.assert_array_equal(gram, np.full((2, 2), level**2, np.float32))
    assert objectives.gram_matrix(jnp.ones(3)).shape == (3, 3)


@pytest.mark.parametrize("centered", [False, True])
def test_gradient_of_the_gram_matrix_is_that_of_its_formula(taps, centered):
    features = taps["relu1"]
    mix = jax.random.normal(jax.random.key(1), (4, 4))  # not symmetric

    def formula(f):
        f = f - f.mean((0, 1), keepdims=True) if centered else f
        return jnp.sum(jnp.sin(mix * jnp.einsum("xyi,xyj->ij", f, f) / 35))

    ours = jax.grad(lambda f: jnp.sum(jnp.sin(mix * objectives.gram_matrix(f, centered=centered))))
    np.testing.assert_allclose(ours(features), jax.grad(formula)(features), rtol=1e-4, atol=1e-6)


def test_objectives_take_16_bit_taps_and_return_float32(taps):
    rounded = {name: tap.astype(jnp.bfloat16) for name, tap in taps.items()}
    for kind, make in MAKERS.items():
        value = make(rounded)(rounded)
        assert value.dtype == jnp.float32
        assert abs(float(value)) <= (ROUNDING_OF_TRACES if kind == "wasserstein" else ROUNDING)


def test_weighted_sum():
    summed = objectives.weighted_sum((2, objectives.logit(0)), (-1.0, objectives.margin(1)))
    assert float(summed(SCORES)) == 2 * -1 + 1
    with pytest.raises(ValueError, match="no term"):
        objectives.weighted_sum()
    with pytest.raises(ValueError, match="weight of term 1 is inf"):
        objectives.weighted_sum((1, objectives.logit(0)), (float("inf"), objectives.logit(0)))


@pytest.mark.parametrize(
    "make",
    [
        objectives.match_features,
        objectives.match_gram,
        objectives.match_moments,
        objectives.match_gaussian,
    ],
)
def test_weights_and_layers_are_checked(taps, make):
    with pytest.raises(ValueError, match="weights is empty"):
        make(taps, weights={})
    with pytest.raises(KeyError, match=r"no tap of the target is named 'relu_1'; nearest: relu"):
        make(taps, weights={"relu_1": 1})
    for bad in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="weight of relu1 is"):
            make(taps, weights={"relu1": bad})
    with pytest.raises(KeyError, match=r"no tap .*is named 'relu1'"):
        make(taps, weights={"relu1": 1})({"relu2": taps["relu2"]})


def test_contrast_by_hand():
    draw = np.random.default_rng(2)
    unit = {n: (v := draw.normal(size=(n, 6))) / np.linalg.norm(v, axis=1, keepdims=True) for n in (1, 2, 5)}
    query, positive = (jnp.asarray(v, jnp.float32) for v in unit[2])
    others = jnp.asarray(unit[5], jnp.float32)
    made = objectives.contrast({"a": positive, "b": positive}, {"a": others, "b": others}, temperature=0.2)
    like, unlike = np.exp(unit[2][0] @ unit[2][1] / 0.2), np.exp(unit[5] @ unit[2][0] / 0.2)
    expected = -np.log(like / (like + unlike.sum()))
    assert float(made({"a": query, "b": query, "c": query})) == pytest.approx(2 * expected, rel=1e-5)
    counted = jnp.array([True, False, True, False, False])
    few = objectives.contrast({"a": positive}, {"a": others}, temperature=0.2, counted=counted)
    assert float(few({"a": query})) == pytest.approx(-np.log(like / (like + unlike[[0, 2]].sum())), rel=1e-5)
    none = objectives.contrast({"a": positive}, {"a": others}, counted=jnp.zeros(5, bool))
    value, slope = jax.value_and_grad(lambda code: none({"a": code}))(query)
    assert (float(value), float(jnp.abs(slope).max())) == (0, 0)
    with pytest.raises(ValueError, match="positive is empty"):
        objectives.contrast({}, {})
    with pytest.raises(KeyError, match="relu1"):
        objectives.contrast({"relu1": positive}, {"a": others})
    with pytest.raises(ValueError, match="temperature is 0"):
        objectives.contrast({"a": positive}, {"a": others}, temperature=0)
