"""Statistics of features: by hand, over several exemplars, over guided regions, and part by part."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_objectives import MAKERS

from jaxviz import objectives

STATISTICS = {
    "gram": objectives.match_gram,
    "covariance": lambda target, **more: objectives.match_gram(target, centered=True, **more),
    "moments": objectives.match_moments,
    "wasserstein": objectives.match_gaussian,
}


def drawn(seed, size=(8, 6), channels=3):
    features = np.random.default_rng(seed).normal(size=(*size, channels)) * [1, 2, 0.5] + [0.5, -1, 2]
    return {"relu1": jnp.asarray(features, jnp.float32)}


def root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T


def by_hand(kind, taps, exemplars, shares):
    """The formulas of the docstrings, in float64, with exemplars pooled as one set of features."""

    def moments(flat):
        return flat.mean(0), flat.T @ flat / len(flat)

    x, second_x = moments(np.asarray(taps["relu1"], np.float64).reshape(-1, 3))
    found = [moments(np.asarray(taps["relu1"], np.float64).reshape(-1, 3)) for taps in exemplars]
    y = sum(share * mean for share, (mean, _) in zip(shares, found, strict=True))
    second_y = sum(share * second for share, (_, second) in zip(shares, found, strict=True))
    if kind == "gram":
        return np.sum((second_x - second_y) ** 2) / 36
    cov_x, cov_y = second_x - np.outer(x, x), second_y - np.outer(y, y)
    if kind == "covariance":
        return np.sum((cov_x - cov_y) ** 2) / 36
    if kind == "moments":
        deviations = [np.sqrt(np.diag(c) + 1e-5) for c in (cov_x, cov_y)]
        return np.mean((x - y) ** 2) + np.mean((deviations[0] - deviations[1]) ** 2)
    cov_x, cov_y = cov_x + 1e-4 * np.eye(3), cov_y + 1e-4 * np.eye(3)
    of_y = root(cov_y)
    return (np.sum((x - y) ** 2) + np.trace(cov_x + cov_y - 2 * root(of_y @ cov_x @ of_y))) / 3


@pytest.mark.parametrize("kind", STATISTICS)
def test_one_exemplar_by_hand(kind):
    found = STATISTICS[kind](drawn(0), weights={"relu1": 1})(drawn(1, (5, 9)))
    assert float(found) == pytest.approx(by_hand(kind, drawn(1, (5, 9)), [drawn(0)], [1]), rel=1e-4)


@pytest.mark.parametrize("kind", STATISTICS)
def test_exemplars_are_pooled_by_their_shares(kind):
    exemplars = [drawn(0), {name: 2 * tap for name, tap in drawn(2, (4, 4)).items()}]
    found = STATISTICS[kind](exemplars, weights={"relu1": 1}, shares=[3, 1])(drawn(1))
    assert float(found) == pytest.approx(by_hand(kind, drawn(1), exemplars, [0.75, 0.25]), rel=1e-4)
    alone = STATISTICS[kind](exemplars, weights={"relu1": 1}, shares=[0, 2])(drawn(1))
    assert float(alone) == pytest.approx(by_hand(kind, drawn(1), exemplars[1:], [1]), rel=1e-4)


def test_the_gradient_of_pooled_gram_matrices_is_that_of_the_weighted_sum_of_losses():
    exemplars, weights = [drawn(0), drawn(2)], {"relu1": 1}
    pooled = objectives.match_gram(exemplars, weights=weights, shares=[0.3, 0.7])
    apart = objectives.weighted_sum(
        *[
            (share, objectives.match_gram(taps, weights=weights))
            for share, taps in zip([0.3, 0.7], exemplars, strict=True)
        ]
    )
    gradients = [jax.grad(lambda taps, o=o: o(taps))(drawn(1))["relu1"] for o in (pooled, apart)]
    np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", STATISTICS)
def test_a_guide_restricts_the_statistics_to_a_region_and_may_be_soft(kind):
    x = drawn(1)
    half = jnp.zeros((8, 6)).at[:4].set(1)
    guided = STATISTICS[kind](drawn(0), weights={"relu1": 1}, guides={"relu1": half})
    region = {"relu1": x["relu1"][:4]}
    alone = STATISTICS[kind](drawn(0), weights={"relu1": 1})
    assert float(guided(x)) == pytest.approx(float(alone(region)), rel=1e-4)
    gradient = jax.grad(lambda taps: guided(taps))(x)["relu1"]
    assert not gradient[4:].any()
    assert gradient[:4].any()
    # Positions that count half, everywhere, are the whole image.
    soft = STATISTICS[kind](drawn(0), weights={"relu1": 1}, guides={"relu1": half * 0 + 0.5})
    assert float(soft(x)) == pytest.approx(float(alone(x)), rel=1e-4)


def test_guides_and_shares_are_checked():
    with pytest.raises(ValueError, match=r"guide of relu1 is zero everywhere"):
        objectives.match_gram(drawn(0), weights={"relu1": 1}, guides={"relu1": jnp.zeros((8, 6))})
    with pytest.raises(KeyError, match=r"guides has no relu1; it has relu2"):
        objectives.match_gram(drawn(0), weights={"relu1": 1}, guides={"relu2": jnp.ones((8, 6))})
    with pytest.raises(ValueError, match="2 shares for 1 exemplars"):
        objectives.match_gram(drawn(0), weights={"relu1": 1}, shares=[1, 2])
    with pytest.raises(ValueError, match="all shares are zero"):
        objectives.match_gram([drawn(0), drawn(1)], weights={"relu1": 1}, shares=[0, 0])
    with pytest.raises(ValueError, match="target is empty"):
        objectives.match_gram([], weights={"relu1": 1})


PART_MAKERS = MAKERS | {
    "guided": lambda taps: objectives.match_gram(
        taps, weights={"relu1": 1}, guides={"relu1": jnp.arange(35.0).reshape(5, 7)}
    ),
    "sum": lambda taps: objectives.weighted_sum(
        (2, objectives.match_features(taps, weights={"relu2": 1})),
        (3, objectives.match_gram(taps, weights={"relu1": 1, "relu2": 1})),
        names=("content", "style"),
    ),
}


@pytest.mark.parametrize("kind", PART_MAKERS)
def test_parts_of_an_image_add_up_to_the_whole(kind):
    draw = np.random.default_rng(0)
    sizes = {"relu1": (5, 7, 4), "relu2": (3, 4, 6)}
    target, x = (
        {k: jnp.asarray(draw.normal(size=s), jnp.float32) for k, s in sizes.items()} for _ in range(2)
    )
    matched = PART_MAKERS[kind](target)

    def by_parts(x):
        total = None
        # Two windows that overlap; the parts do not, and together are the whole.
        for rows in (slice(0, 2), slice(2, 9)):
            taps, inside, starts = {}, {}, {}
            for layer, (_h, w, _) in sizes.items():
                start = max(0, rows.start - 1)
                taps[layer] = x[layer][start : rows.stop + 1]
                at = start + np.arange(taps[layer].shape[0])
                counted = (at >= rows.start) & (at < rows.stop)
                inside[layer] = jnp.asarray(np.repeat(counted[:, None], w, 1), jnp.float32)
                starts[layer] = jnp.array([start, 0])
            found = matched.sums(taps, objectives.Part(inside, starts))
            total = found if total is None else jax.tree.map(jnp.add, total, found)
        return matched.of_sums(total)

    whole, parts = jax.jit(lambda x: [jax.value_and_grad(each)(x) for each in (matched, by_parts)])(x)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)


def test_terms_are_the_contributions_of_the_layers():
    target = drawn(0) | {"relu2": jnp.ones((2, 2, 3))}
    x = drawn(1) | {"relu2": jnp.zeros((2, 2, 3))}
    both = PART_MAKERS["sum"](target)
    terms = both.terms(x | {"relu1": x["relu1"]})
    assert set(terms) == {"content/relu2", "style/relu1", "style/relu2"}
    assert float(sum(terms.values())) == pytest.approx(float(both(x)), rel=1e-5)
    assert float(terms["content/relu2"]) == 2
    assert both.layers == ("relu2", "relu1")
    with pytest.raises(TypeError, match="Logit is no function of sums"):
        objectives.weighted_sum((1, objectives.logit(0))).sums({})


@pytest.mark.parametrize("kind", STATISTICS)
def test_products_are_made_as_exactly_as_asked(kind):
    taps = {"relu1_1": jnp.asarray(np.random.default_rng(0).random((3, 4, 5)), jnp.float32)}
    for precision in (jax.lax.Precision.HIGHEST, jax.lax.Precision.HIGH):
        objective = STATISTICS[kind](taps, weights={"relu1_1": 1.0}, precision=precision)
        text = jax.jit(jax.grad(objective)).lower(taps).as_text()
        # The means and deviations of "moments" need no products of channels but for the target.
        assert (f"precision = [{precision.name}, {precision.name}]" in text) == (kind != "moments")
