"""Nearest features: by a double loop, by PyTorch, whatever the chunk, several exemplars, guides, windows."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxviz import objectives, style
from jaxviz.objectives import Part
from jaxviz.objectives.nearest import nearest
from jaxviz.techniques.measuring import contributions

GOLDEN = Path(__file__).parent / "golden" / "nearest.npz"
WEIGHTS = {"one": 0.5, "two": 1.5, "small": 2.0}


def drawn(seed, size=(5, 6)):
    random = np.random.default_rng(seed)
    sizes = {"one": size, "two": size, "small": tuple(side // 2 for side in size)}
    return {
        name: jnp.asarray(np.maximum(random.normal(0.2, 1, (*shape, 4)), 0), jnp.float32)
        for name, shape in sizes.items()
    }


def distances(features, targets):
    """For each position the smallest cosine distance, one pair after the other."""
    found = []
    for f in features:
        each = []
        for a in targets:
            lengths = np.linalg.norm(f) * np.linalg.norm(a)
            each.append(1 - f @ a / lengths if lengths else 1.0)
        found.append(min(each))
    return np.array(found)


def joined(taps, layers):
    rows = [np.sqrt(WEIGHTS[layer]) * np.asarray(taps[layer], float).reshape(-1, 4) for layer in layers]
    return np.concatenate(rows, 1)


def by_hand(taps, target):
    both = distances(joined(taps, ("one", "two")), joined(target, ("one", "two")))
    return 2.0 * both.mean() + 2.0 * distances(joined(taps, ("small",)), joined(target, ("small",))).mean()


def test_it_is_the_double_loop():
    target, taps = drawn(0), drawn(1, (7, 4))
    taps["one"] = taps["one"].at[0, 0].set(0)
    taps["two"] = taps["two"].at[0, 0].set(0)  # features of no direction
    found = objectives.match_nearest(target, weights=WEIGHTS)
    assert float(found(taps)) == pytest.approx(by_hand(taps, target), rel=1e-5)
    assert set(found.terms(taps)) == {"one+two", "small"}
    assert float(sum(found.terms(taps).values())) == pytest.approx(float(found(taps)), rel=1e-6)


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_it_is_zero_at_the_target_whatever_the_size_of_features(scale):
    target = {name: tap + 0.01 for name, tap in drawn(0).items()}
    found = objectives.match_nearest(target, weights=WEIGHTS)
    assert abs(float(found({name: scale * tap for name, tap in target.items()}))) < 1e-6


def test_it_is_pytorchs_with_its_slope():
    golden = np.load(GOLDEN)
    taps, target = (
        {str(k): jnp.asarray(golden[f"{name}/{k}"]) for k in (0, 1)} for name in ("image", "style")
    )
    found = objectives.match_nearest(target, weights={"0": 0.5, "1": 0.5})
    value, slope = jax.value_and_grad(found)(taps)
    assert float(value) == pytest.approx(float(golden["value"]), rel=1e-5)
    for k in (0, 1):
        np.testing.assert_allclose(slope[str(k)], golden[f"slope/{k}"], rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("chunk", [1, 4, 28, 1000])
def test_a_chunk_changes_nothing_but_the_memory(chunk):
    target, taps = drawn(0), drawn(1, (7, 4))
    whole = jax.value_and_grad(objectives.match_nearest(target, weights=WEIGHTS))(taps)
    parts = jax.value_and_grad(objectives.match_nearest(target, weights=WEIGHTS, chunk=chunk))(taps)
    for one, two in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-8)


def test_a_chunk_bounds_the_memory():
    features, targets = jnp.ones((4096, 8)), jnp.ones((4096, 8))

    def needed(chunk):
        program = jax.jit(lambda f: nearest(f, targets, chunk=chunk)).lower(features).compile()
        return program.memory_analysis().temp_size_in_bytes

    assert needed(64) < needed(4096) / 8


def test_of_several_that_are_equally_near_the_first_is_taken():
    targets = jnp.asarray([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    assert nearest(jnp.asarray([[1.0, 0.0], [0.6, 0.8], [0.0, 0.0]]), targets).tolist() == [1, 0, 0]
    # The slope is toward the first alone, not toward the mean of both.
    style = {"a": jnp.asarray([[[1.0, 0.0], [0.0, 1.0]]])}
    slope = jax.grad(objectives.match_nearest(style, weights={"a": 1}))({"a": jnp.ones((1, 1, 2))})["a"][0, 0]
    np.testing.assert_allclose(slope, [-(8**-0.5), 8**-0.5], rtol=1e-5)


@pytest.mark.parametrize("level", [0.0, 1e-30, 3.0])
def test_slopes_at_flat_features_are_finite(level):
    taps = drawn(0)
    flat = {name: jnp.full_like(tap, level) for name, tap in taps.items()}
    for target, at in ((taps, flat), (flat, taps), (flat, flat)):
        slope = jax.grad(objectives.match_nearest(target, weights=WEIGHTS))(at)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


def test_several_exemplars_and_guides():
    taps, exemplars = drawn(1), [drawn(0), drawn(2, (8, 4))]
    each = [float(objectives.match_nearest(one, weights=WEIGHTS)(taps)) for one in exemplars]
    both = objectives.match_nearest(exemplars, weights=WEIGHTS, shares=[3, 1])
    assert float(both(taps)) == pytest.approx(0.75 * each[0] + 0.25 * each[1], rel=1e-5)
    guide = np.zeros((5, 6), np.float32)
    guide[1, 2], guide[4, 4] = 1, 3
    found = objectives.match_nearest(exemplars[0], weights={"one": 1.0}, guides={"one": jnp.asarray(guide)})
    one = distances(*(np.asarray(t["one"], float).reshape(-1, 4) for t in (taps, exemplars[0])))
    assert float(found(taps)) == pytest.approx((one[8] + 3 * one[28]) / 4, rel=1e-5)


def test_parts_of_an_image_add_up():
    taps = drawn(1)
    found = objectives.match_nearest(drawn(0), weights={"one": 1.0, "two": 1.0})
    total = None
    for first, last in ((0, 2), (2, 5)):
        inside = jnp.ones((last - first, 6))
        starts = jnp.asarray([first, 0])
        part = Part(dict.fromkeys(("one", "two"), inside), dict.fromkeys(("one", "two"), starts))
        sums = found.sums({name: tap[first:last] for name, tap in taps.items() if name != "small"}, part)
        total = sums if total is None else jax.tree.map(jnp.add, total, sums)
    assert float(found.of_sums(total)) == pytest.approx(float(found(taps)), rel=1e-6)


def test_bad_input_is_told():
    target = drawn(0)
    with pytest.raises(ValueError, match="target is empty"):
        objectives.match_nearest([], weights=WEIGHTS)
    with pytest.raises(ValueError, match="chunk is 0"):
        objectives.match_nearest(target, weights=WEIGHTS, chunk=0)
    with pytest.raises(KeyError, match="no tap of the target is named 'four'"):
        objectives.match_nearest(target, weights={"four": 1})
    with pytest.raises(ValueError, match="2 shares for 1 exemplars"):
        objectives.match_nearest(target, weights=WEIGHTS, shares=[1, 1])
    with pytest.raises(ValueError, match="one, two differ in size"):
        objectives.match_nearest(target, weights=WEIGHTS)(drawn(1) | {"two": jnp.ones((2, 2, 4))})


def test_style_transfer_takes_it_whole_and_through_windows(vgg16, picture):
    content, painting = picture("chelsea", 48), picture("coffee", 48)
    given = {"style_loss": "nearest", "content_weights": {"relu2_1": 1.0}}
    whole, start = style.problem(vgg16, content, [painting], **given)
    windows, _ = style.problem(vgg16, content, [painting], window=16, **given)
    key = jax.random.key(0)
    assert float(windows.loss(start, key)) == pytest.approx(float(whole.loss(start, key)), rel=1e-4)
    assert set(contributions(whole, start)) >= {"style/relu3_1+relu3_2+relu3_3"}
    found = style.transfer(vgg16, content, [painting], steps=8, **given)
    before, after = (contributions(whole, each)["style"] for each in (start, found.value))
    assert after < before
