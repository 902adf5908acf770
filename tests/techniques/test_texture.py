from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxviz
from jaxviz import colors, texture
from jaxviz.networks import compiled_features

GOLDEN = dict(np.load(Path(__file__).parents[1] / "golden" / "synthesis_textures.npz"))
KEY = jax.random.key(0)
LOW = {"relu1_1": 0.5, "pool1": 0.5}


@jax.jit
def loss_of(problem, z):
    return problem.loss(z, KEY)


@pytest.fixture(scope="module")
def small(picture):
    return [jnp.asarray(picture(name, 48)) for name in ("brick", "coffee", "chelsea")]


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_loss_is_pytorchs(preset, vgg16):
    exemplar, picture = ((GOLDEN[name] / 255).astype(np.float32) for name in ("exemplar", "picture"))
    problem, _ = texture.problem(vgg16, exemplar, preset=preset)
    value, gradient = jax.jit(jax.value_and_grad(lambda x: problem.loss(x, KEY)))(picture)
    np.testing.assert_allclose(value, GOLDEN[f"{preset}/value"], rtol=1e-5)
    terms = problem.objective.terms(compiled_features(problem.network, picture, texture.LAYERS))
    for layer, term in terms.items():
        np.testing.assert_allclose(term, GOLDEN[f"{preset}/{layer}"], rtol=1e-5, err_msg=layer)
    expected = GOLDEN[f"{preset}/gradient"]
    error = np.abs(gradient - expected) / np.abs(expected).max()
    assert np.median(error) < 1e-6
    assert error.max() < 1e-2


class TestPaper:
    def test_starts_near_the_mean_color_and_stays_in_the_exemplars_range(self, vgg16, small):
        exemplar = 0.2 + 0.5 * small[0] * jnp.array([1.0, 0.8, 0.6])
        problem, start = texture.problem(vgg16, exemplar, size=64, preset="paper")
        low, high = exemplar.min((0, 1)), exemplar.max((0, 1))
        np.testing.assert_array_equal(problem.constraint.low, low)
        np.testing.assert_array_equal(problem.constraint.high, high)
        assert bool(((start >= low) & (start <= high)).all())
        wide = jnp.zeros((16, 16, 3)).at[0].set(1.0)
        _, start = texture.problem(vgg16, wide, size=64, preset="paper")
        np.testing.assert_allclose(start.std((0, 1)), 1 / 255, rtol=0.05)
        np.testing.assert_allclose(start.mean((0, 1)), np.array([123.68, 116.779, 103.939]) / 255, atol=2e-4)

    def test_ends_with_the_exemplars_histogram(self, vgg16, small):
        found = texture.synthesize(vgg16, small[0], preset="paper", weights=LOW, steps=3)
        for c in range(3):
            np.testing.assert_allclose(
                np.sort(found.value[..., c].ravel()), np.sort(small[0][..., c].ravel()), atol=1e-4
            )
        assert len(found.losses) == 3

    def test_several_exemplars_give_a_histogram_between_theirs(self, vgg16, small):
        found = texture.synthesize(
            vgg16, small[:2], preset="paper", weights=LOW, shares=[1, 3], steps=2
        ).value
        each = [jnp.sort(colors.match_histogram(found, exemplar).reshape(-1, 3), 0) for exemplar in small[:2]]
        between = 0.25 * each[0] + 0.75 * each[1]
        np.testing.assert_allclose(jnp.sort(found.reshape(-1, 3), 0), between, atol=0.02)

    def test_its_pooling_is_average_unless_another_is_asked_for(self, vgg16, small):
        def pooling(**options):
            return texture.problem(vgg16, small[0], **options)[0].network.architecture.pooling

        assert pooling() == "max"
        assert pooling(pooling="average") == "average"
        assert pooling(preset="paper") == "average"
        assert pooling(preset="paper", pooling="max") == "max"


class TestMixing:
    def test_all_of_one_share_is_that_exemplar_alone(self, vgg16, small):
        alone, start = texture.problem(vgg16, small[1], size=48, weights=LOW)
        mixed, same = texture.problem(vgg16, small[:2], size=48, weights=LOW, shares=[0, 2])
        np.testing.assert_allclose(loss_of(mixed, small[2]), loss_of(alone, small[2]), rtol=1e-4)
        np.testing.assert_allclose(start, same, atol=1e-6)

    def test_matrices_are_averaged_by_shares(self, vgg16, small):
        problems = [texture.problem(vgg16, exemplar, weights=LOW)[0] for exemplar in small[:2]]
        mixed = texture.problem(vgg16, small[:2], weights=LOW, shares=[0.7, 0.3])[0]
        for layer in LOW:
            grams = [problem.objective.targets[layer] for problem in problems]
            expected = 0.7 * grams[0] + 0.3 * grams[1]
            np.testing.assert_allclose(
                mixed.objective.targets[layer], expected, rtol=1e-4, atol=1e-5 * float(expected.max())
            )

    def test_exemplars_may_differ_in_size(self, vgg16, small):
        found = texture.synthesize(vgg16, [small[0], small[1][:32]], weights=LOW, steps=2)
        assert found.value.shape == (48, 48, 3)

    @pytest.mark.parametrize(
        ("shares", "message"),
        [
            ([1], "there are 1 shares for 2 exemplars"),
            ([1, -1], r"share of exemplar 1 is -1"),
            ([0, 0], "all shares are zero"),
        ],
    )
    def test_bad_shares(self, vgg16, small, shares, message):
        with pytest.raises(ValueError, match=message):
            texture.problem(vgg16, small[:2], shares=shares)

    def test_no_exemplar(self, vgg16):
        with pytest.raises(ValueError, match="there is no exemplar"):
            texture.problem(vgg16, [])


@pytest.mark.parametrize("kind", list(texture.LOSSES))
def test_every_kind_is_smallest_at_the_exemplar_and_falls(vgg16, small, kind):
    problem, start = texture.problem(vgg16, small[1], weights=LOW, kind=kind)
    assert float(loss_of(problem, small[1])) < 1e-2 * float(loss_of(problem, start))
    found = jaxviz.minimize(problem, start, steps=8)
    assert np.nanmin(found.losses) < 0.5 * found.losses[0]


class TestTileable:
    def test_the_loss_does_not_change_when_the_texture_is_rolled(self, vgg16, small):
        problem, start = texture.problem(vgg16, small[0], size=(32, 64), tileable=True)
        plain, _ = texture.problem(vgg16, small[0], size=(32, 64))
        loss, bordered = (jax.jit(lambda x, p=p: p.loss(x, KEY)) for p in (problem, plain))
        for shift in ((16, 0), (0, 16), (16, -32)):
            rolled = jnp.roll(start, shift, (0, 1))
            np.testing.assert_allclose(loss(rolled), loss(start), rtol=1e-4)
        assert abs(float(bordered(jnp.roll(start, 16, 0)) / bordered(start)) - 1) > 1e-3

    def test_its_targets_are_those_of_the_exemplar_as_the_network_sees_it(self, vgg16, small):
        tiled, plain = (
            texture.problem(vgg16, small[0], size=48, weights=LOW, tileable=flag)[0] for flag in (True, False)
        )
        for layer in LOW:
            np.testing.assert_array_equal(tiled.objective.targets[layer], plain.objective.targets[layer])

    def test_the_seam_is_as_smooth_as_any_place(self, vgg16, picture):
        weights = {"relu1_1": 1, "pool1": 1, "pool2": 1}
        options = {"size": 64, "weights": weights, "steps": 60}
        found = texture.synthesize(vgg16, jnp.asarray(picture("brick", 64)), tileable=True, **options).value
        across = jnp.mean((jnp.roll(found, -1, 1) - found) ** 2, (0, 2))
        down = jnp.mean((jnp.roll(found, -1, 0) - found) ** 2, (1, 2))
        for squares in (across, down):
            inside = np.asarray(squares[:-1])
            assert inside.min() <= float(squares[-1]) <= 1.5 * inside.mean() + 2 * inside.std()

    def test_a_size_that_does_not_fit_is_refused_with_one_that_does(self, vgg16, small):
        with pytest.raises(ValueError, match=r"size is 40×64; .* multiples of 16, such as 48×64"):
            texture.problem(vgg16, small[0], size=(40, 64), tileable=True)
        with pytest.raises(ValueError, match=r"size is 41×41; .* multiples of 2, such as 42×42"):
            texture.problem(vgg16, small[0], size=41, weights=LOW, tileable=True)
        texture.problem(vgg16, small[0], size=41, weights={"relu1_1": 1}, tileable=True)

    def test_what_cannot_be_tileable(self, vgg16, squeezenet, small):
        with pytest.raises(ValueError, match="cannot be seen through windows; leave window or tileable"):
            texture.problem(vgg16, small[0], tileable=True, window=32)
        with pytest.raises(ValueError, match="squeezenet1_1 has no choice of borders; take a VGG"):
            texture.problem(squeezenet, small[0], weights={"relu1": 1}, tileable=True)


class TestLayers:
    def test_up_to_a_layer(self, vgg16, small):
        problem, _ = texture.problem(vgg16, small[0], up_to="pool2")
        assert problem.objective.layers == ("relu1_1", "pool1", "pool2")
        reordered = {"pool3": 3.0, "relu1_1": 1.0, "pool1": 2.0}
        problem, _ = texture.problem(vgg16, small[0], weights=reordered, up_to="pool1")
        assert {layer: float(w) for layer, w in problem.objective.weights.items()} == {
            "relu1_1": 1.0,
            "pool1": 2.0,
        }
        with pytest.raises(
            ValueError, match="up_to is 'relu3_1'; expected one of the layers that count: relu1_1"
        ):
            texture.problem(vgg16, small[0], up_to="relu3_1")
        with pytest.raises(KeyError, match="no layer of vgg16 is named 'poll2'; nearest: pool2"):
            texture.problem(vgg16, small[0], up_to="poll2")

    def test_a_strip_is_a_texture_up_to_each(self, vgg16, small):
        told = []
        options = {"weights": {"pool1": 1, "relu1_1": 1}, "size": 32, "steps": 2, "key": jax.random.key(3)}
        found = texture.strip(vgg16, small[0], on_chunk=lambda layer, _: told.append(layer), **options)
        assert list(found) == list(dict.fromkeys(told)) == ["relu1_1", "pool1"]
        alone = texture.synthesize(vgg16, small[0], up_to="relu1_1", **options)
        np.testing.assert_array_equal(found["relu1_1"].value, alone.value)
        assert list(texture.strip(vgg16, small[0], layers=["pool1"], **options)) == ["pool1"]

    def test_what_is_too_small_is_told_before_the_work(self, vgg16, small):
        with pytest.raises(ValueError, match="'pool4' of vgg16 does not exist for a picture of 15×40"):
            texture.problem(vgg16, small[0], size=(15, 40))
        with pytest.raises(ValueError, match="'pool4' of vgg16 does not exist for a picture of 8×8"):
            texture.problem(vgg16, small[0][:8, :8], size=32)
        with pytest.raises(ValueError, match="does not exist for a picture of 1×1"):
            texture.problem(vgg16, small[0], size=1)


def test_windows_have_the_loss_of_the_whole(vgg16, small):
    for exemplar in (small[0], small[:2]):
        whole, start = texture.problem(vgg16, exemplar, size=(96, 64), weights=LOW)
        seen, same = texture.problem(vgg16, exemplar, size=(96, 64), weights=LOW, window=32)
        np.testing.assert_array_equal(start, same)
        np.testing.assert_allclose(loss_of(seen, start), loss_of(whole, start), rtol=1e-4)


class TestPyramid:
    @pytest.mark.slow
    def test_exemplar_and_texture_grow_together(self, vgg16, small):
        options = {"weights": LOW, "size": (48, 32), "steps": 3}
        found = texture.synthesize(vgg16, small[0], pyramid=24, **options)
        assert found.scales == ((24, 16, 3), (34, 23, 3), (48, 32, 3))
        assert found.value.shape == (48, 32, 3)
        assert len(found.losses) == 9
        alone = texture.synthesize(vgg16, small[0], **options)
        one = texture.synthesize(vgg16, small[0], pyramid=500, **options)
        np.testing.assert_allclose(one.losses, alone.losses, rtol=1e-5)

    def test_every_scale_of_a_tileable_texture_can_be_tiled(self, vgg16, small):
        options = {"up_to": "pool1", "size": 46, "tileable": True, "steps": 1}
        found = texture.synthesize(vgg16, small[0], pyramid=30, **options)
        assert [scale[:2] for scale in found.scales] == [
            (32, 32),
            (46, 46),
        ]  # of 33 the opposite borders do not fit

    def test_bad_ones(self, vgg16, small):
        with pytest.raises(ValueError, match="pyramid is 0; expected at least 1"):
            texture.synthesize(vgg16, small[0], pyramid=0)
        with pytest.raises(ValueError, match="'pool4' of vgg16 does not exist for a picture of 12×12"):
            texture.synthesize(vgg16, small[0], pyramid=12, steps=0)
