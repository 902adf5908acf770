"""Style transfer's options: shares, masks, other distances, colors, scales, windows, memory, snapshots, grids."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxviz
from jaxviz import colors, style
from jaxviz.techniques import FAMILIES, grids
from jaxviz.techniques.measuring import contributions
from jaxviz.techniques.style.guides import guides

LAYERS = {"content_weights": {"relu2_1": 1.0}, "style_weights": {"relu1_1": 1.0, "relu2_1": 1.0}}
METHOD = FAMILIES["style"].methods["style"]


@pytest.fixture(scope="module")
def content(picture):
    return jnp.asarray(picture("chelsea", 48, square=False))


@pytest.fixture(scope="module")
def paintings(picture):
    return [jnp.asarray(picture(name, 40, square=False)) for name in ("coffee", "immunohistochemistry")]


@jax.jit
def loss_of(problem, z):
    return problem.loss(z, jax.random.key(0))


def loss(problem, z):
    return float(loss_of(problem, z))


@pytest.mark.slow
def test_shares_of_one_style_alone_are_that_style(vgg16, content, paintings):
    one, start = style.problem(vgg16, content, paintings[:1], **LAYERS)
    both, _ = style.problem(vgg16, content, paintings, shares=[3, 0], **LAYERS)
    assert loss(both, start) == pytest.approx(loss(one, start), rel=1e-4)
    for bad, message in (([1], "1 shares"), ([0, 0], "zero"), ([1, -1], "share")):
        with pytest.raises(ValueError, match=message):
            style.problem(vgg16, content, paintings, shares=bad, **LAYERS)


@pytest.mark.parametrize("name", ["gram", "covariance", "moments", "wasserstein"])
def test_every_distance_falls_and_shows(name, vgg16, content, paintings):
    found = style.transfer(vgg16, content, paintings[:1], style_loss=name, steps=12, **LAYERS)
    assert found.losses.min() < 0.5 * found.losses[0]
    assert float(jnp.abs(found.value - content).max()) > 0.05


def test_masks_send_each_style_to_its_region(vgg16, content, paintings):
    left = np.zeros(content.shape[:2], np.float32)
    left[:, : left.shape[1] // 2] = 1
    # Neither style is to reach far over the line: the layers here see few pixels.
    found = [
        style.transfer(
            vgg16, content, [a, b], masks=[left, 1 - left], style_weight=1.0, steps=15, **LAYERS
        ).value
        for a, b in (paintings, paintings[::-1])
    ]
    one = style.transfer(vgg16, content, paintings[:1], style_weight=1.0, steps=15, **LAYERS).value
    quarter = content.shape[1] // 4

    def apart(x, y, columns):
        return float(jnp.abs(x.mean((0,)) - y.mean((0,)))[columns].mean())

    on_left, on_right = slice(0, quarter), slice(-quarter, None)
    assert apart(found[0], one, on_left) < apart(found[1], one, on_left)
    assert apart(found[1], one, on_right) < apart(found[0], one, on_right)


def test_masks_are_checked_and_small_regions_do_not_vanish(vgg16, content, paintings):
    whole = np.ones(content.shape[:2], np.float32)
    for masks, message in (
        ([whole], "1 masks for 2 styles"),
        ([whole, whole[:-1]], r"mask 1 has shape .* expected the content's"),
        ([whole, 0 * whole], "mask 1 is zero everywhere"),
        ([whole, 2 * whole], r"not in \[0, 1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            style.problem(vgg16, content, paintings, masks=masks, **LAYERS)
    dot = jnp.zeros((256, 256)).at[0, 0].set(1.0)
    assert float(guides(dot, {"relu5_1": (4, 4, 512)})["relu5_1"].max()) == 1


def test_starts(vgg16, content, paintings):
    _, start = style.problem(vgg16, content, paintings, init="statistics", preset="gatys2016", **LAYERS)
    pixels = np.concatenate([np.asarray(p).reshape(-1, 3) for p in paintings])
    means = np.stack([np.asarray(p).mean((0, 1)) for p in paintings]).mean(0)
    np.testing.assert_allclose(start.mean((0, 1)), means, atol=0.03)
    assert np.abs(np.asarray(start).std((0, 1)) - pixels.std(0)).max() < 0.05
    _, noise = style.problem(vgg16, content, paintings, preset="neural_style", **LAYERS)
    assert float(noise.std((0, 1)).max()) < 1e-4


QUICK = ("luminance", "sqrt")
"""The others differ in `jaxviz.colors` alone, which has tests of its own."""


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind not in QUICK)) for kind in colors.KEEP]
)
def test_colors_of_the_content_are_kept(kind, vgg16, content, paintings):
    plain = style.transfer(vgg16, content, paintings[1:], style_weight=10, steps=10, **LAYERS).value
    kept = style.transfer(
        vgg16, content, paintings[1:], style_weight=10, steps=10, keep_colors=kind, **LAYERS
    ).value

    def tint(x):
        return x.mean((0, 1)) - x.mean()

    away = [float(jnp.abs(tint(x) - tint(content)).max()) for x in (plain, kept)]
    assert away[1] < 0.6 * away[0]


def test_a_histogram_is_the_styles(vgg16, content, paintings):
    found = style.transfer(vgg16, content, paintings[:1], steps=2, histogram=True, **LAYERS).value
    for channel in range(3):
        levels = [
            np.quantile(np.asarray(x)[..., channel], np.linspace(0, 1, 21)) for x in (found, paintings[0])
        ]
        np.testing.assert_allclose(*levels, atol=0.02)
    with pytest.raises(ValueError, match="keep_colors and histogram are both given"):
        style.transfer(vgg16, content, paintings, histogram=True, keep_colors="lab")


@pytest.mark.slow  # test_texture.py grows by scales too
def test_scales_end_at_the_content_and_take_masks_along(vgg16, content, paintings):
    mask = np.ones(content.shape[:2], np.float32)
    found = style.transfer(
        vgg16, content, paintings[:1], masks=[mask], pyramid=34, steps=3, init=content, **LAYERS
    )
    assert [scale[2] for scale in found.scales] == [3, 3]
    assert found.scales[-1][:2] == content.shape[:2]
    assert found.value.shape == content.shape
    assert found.evaluations == 6
    with pytest.raises(ValueError, match="pyramid is 0"):
        style.transfer(vgg16, content, paintings, pyramid=0)


@pytest.mark.slow
def test_windows_change_nothing(vgg16, picture):
    content = jnp.asarray(picture("chelsea", 112, square=False))
    wide = {"content_weights": {"relu3_1": 1.0}, "style_weights": {"relu1_1": 1.0, "relu2_1": 1.0}}
    painting = [jnp.asarray(picture("coffee", 96))]
    whole, start = style.problem(vgg16, content, painting, **wide)
    windows, _ = style.problem(vgg16, content, painting, window=16, **wide)
    moved = jnp.clip(start + 0.1 * jax.random.normal(jax.random.key(1), start.shape), 0, 1)
    assert loss(windows, moved) == pytest.approx(loss(whole, moved), rel=1e-4)
    terms = [contributions(problem, moved) for problem in (whole, windows)]
    assert terms[0].keys() == terms[1].keys()
    for name, term in terms[0].items():
        assert terms[1][name] == pytest.approx(term, rel=1e-3), name
    assert terms[0]["loss"] == pytest.approx(loss(whole, moved), rel=1e-5)


def test_an_impossible_budget_says_what_would_do(vgg16, content, paintings):
    with pytest.raises(
        ValueError, match=r"memory is 1,000,000 bytes; the least that would do .* is [\d,]+ bytes"
    ):
        style.transfer(vgg16, content, paintings, memory="1MB", **LAYERS)


def test_a_run_goes_on_from_its_snapshot(vgg16, content, paintings, tmp_path):
    shared = {"snapshot": tmp_path / "run.npz", "snapshot_every": 2, **LAYERS}
    whole = style.transfer(vgg16, content, paintings, steps=6, **LAYERS)
    style.transfer(vgg16, content, paintings, steps=4, **shared)
    found = style.transfer(vgg16, content, paintings, steps=6, resume=True, **shared)
    assert np.array_equal(found.value, whole.value)
    assert np.array_equal(found.losses, whole.losses)
    with pytest.raises(jaxviz.snapshots.SnapshotError, match="other settings"):
        style.transfer(vgg16, content, paintings[::-1], steps=6, shares=[2, 1], resume=True, **shared)


def test_a_grid_is_its_problems_one_by_one(vgg16, content, paintings):
    inputs = [(content, [painting]) for painting in paintings]
    over = {"style_weight": [1e-2, 1.0]}
    parts = []
    found, losses = grids.grid(
        METHOD,
        vgg16,
        inputs,
        over,
        seeds=(0, 1),
        at_once=3,
        steps=3,
        init="noise",
        on_part=lambda made, count: parts.append((made, count)),
        **LAYERS,
    )
    assert found.shape == (2, 2, 2, *content.shape)
    assert parts == [(3, 8), (6, 8), (8, 8)]
    alone = style.transfer(
        vgg16,
        content,
        [paintings[1]],
        style_weight=1.0,
        steps=3,
        init="noise",
        key=jax.random.key(1),
        **LAYERS,
    )
    np.testing.assert_allclose(found[1, 1, 1], alone.value, atol=1e-4)
    assert losses[1, 1, 1] == pytest.approx(alone.losses.min(), rel=1e-4)
    again, _ = grids.grid(
        METHOD,
        vgg16,
        inputs[1:],
        {"style_weight": [1.0]},
        seeds=(1,),
        at_once=3,
        steps=3,
        init="noise",
        **LAYERS,
    )
    assert np.array_equal(again[0, 0, 0], found[1, 1, 1])  # the same bits, whatever stands beside it


def test_grids_are_checked(vgg16, content, paintings):
    inputs = [(content, paintings)]
    with pytest.raises(ValueError, match=r"1 × 50 × 30 = 1,500 results; at most 1,024"):
        grids.grid(METHOD, vgg16, inputs, {"style_weight": [1.0] * 50}, seeds=range(30))
    with pytest.raises(ValueError, match="cannot go over style_loss; over numbers it can: content_weight"):
        grids.grid(METHOD, vgg16, inputs, {"style_loss": [1.0]})
    with pytest.raises(ValueError, match="at least one"):
        grids.grid(METHOD, vgg16, [], {"style_weight": [1.0]})
