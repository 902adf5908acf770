import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxviz import evaluation, objectives, saliency
from jaxviz.networks import compiled_features
from jaxviz.networks.forgetting import forgetting

LABEL = 285


@pytest.fixture(scope="module")
def image(picture):
    return jnp.asarray(picture("chelsea", 64))


@pytest.fixture(scope="module")
def heat(image):
    return jnp.arange(64.0 * 64).reshape(64, 64)[::-1]


def probability(network, x):
    return float(jax.nn.softmax(compiled_features(network, x, ("logits",))["logits"])[LABEL])


@pytest.mark.parametrize(("way", "baseline"), [("insertion", "blur"), ("deletion", "zero")])
def test_curves_are_scores_of_pictures_that_change_pixel_by_pixel(way, baseline, squeezenet, image, heat):
    from jaxviz.techniques.baselines import baseline as baseline_of

    found = getattr(evaluation, way)(squeezenet, image, heat, LABEL, steps=5)
    nothing = baseline_of(baseline, image)
    before, after = (nothing, image) if way == "insertion" else (image, nothing)
    order = np.argsort(-np.asarray(heat).ravel(), kind="stable")
    for k, (fraction, score) in enumerate(zip(found.fractions, found.scores, strict=True)):
        count = k * 4096 // 5
        x = np.array(before).reshape(-1, 3)
        x[order[:count]] = np.asarray(after).reshape(-1, 3)[order[:count]]
        assert float(fraction) == pytest.approx(count / 4096)
        assert float(score) == pytest.approx(
            probability(squeezenet, x.reshape(64, 64, 3)), rel=1e-3, abs=1e-7
        )
    assert float(found.area) == pytest.approx(np.trapezoid(found.scores, found.fractions), rel=1e-5)


@pytest.mark.slow
def test_a_better_map_has_the_larger_area_of_insertion(squeezenet, picture):
    """The pixels that a score depends on bring it back sooner than the others."""
    photo = jnp.asarray(picture("chelsea", 128))
    unit = objectives.unit("logits", LABEL)
    useful = saliency.occlusion(squeezenet, photo, LABEL, window=32, stride=16)
    areas = [
        float(evaluation.insertion(squeezenet, photo, values, unit, steps=16).area)
        for values in (useful, -useful)
    ]
    assert areas[0] > areas[1]


def test_signed_maps_count_by_their_largest_size(squeezenet, image):
    values = saliency.grad_times_input(squeezenet, image, LABEL)
    one = evaluation.deletion(squeezenet, image, values, LABEL, steps=3)
    other = evaluation.deletion(squeezenet, image, jnp.abs(values).max(-1), LABEL, steps=3)
    np.testing.assert_array_equal(one.scores, other.scores)


def test_pointing(heat):
    mask = np.zeros((64, 64), bool)
    mask[:10, 40:] = True  # the largest value is at (0, 63)
    found = evaluation.pointing(heat, mask, tolerance=0)
    assert found["hit"]
    assert found["share"] > found["area"] == pytest.approx(240 / 4096)
    far = evaluation.pointing(heat, ~np.triu(np.ones((64, 64), bool), -40), tolerance=5)
    assert not far["hit"]


def test_a_network_forgets_from_the_last_module_to_the_first(squeezenet):
    steps = list(forgetting(squeezenet, jax.random.key(0)))
    assert [name for name, _ in steps][:3] == ["conv10", "fire9/expand3x3", "fire9/expand1x1"]
    assert steps[-1][0] == "conv1"
    first, last = steps[0][1].params, steps[-1][1].params
    np.testing.assert_array_equal(first["conv1"]["kernel"], squeezenet.params["conv1"]["kernel"])
    assert np.abs(first["conv10"]["kernel"] - squeezenet.params["conv10"]["kernel"]).max() > 0
    assert np.abs(last["conv1"]["kernel"] - squeezenet.params["conv1"]["kernel"]).max() > 0


@pytest.mark.slow
def test_a_map_of_edges_passes_for_sane_and_one_of_the_network_does_not(squeezenet, image):
    edges = jnp.abs(jnp.diff(image.mean(-1), axis=0, append=0))
    assert (evaluation.sanity(squeezenet, lambda network: edges).similarities > 0.999).all()
    found = evaluation.sanity(squeezenet, lambda network: saliency.gradient(network, image, LABEL))
    assert len(found.layers) == len(found.similarities) == len(found.maps) - 1
    assert found.similarities[-1] < min(0.8, found.similarities[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n, x, m: evaluation.deletion(n, x, m[:3], 3), r"the map is \[3, 64\]; expected \[64, 64\]"),
        (lambda n, x, m: evaluation.deletion(n, x, m * np.nan, 3), "NaN"),
        (lambda n, x, m: evaluation.deletion(n, x, m, 3, steps=0), "steps is 0"),
        (lambda n, x, m: evaluation.pointing(m, np.ones((64, 64), bool)), "all or nothing"),
        (lambda n, x, m: evaluation.pointing(m, np.ones((3, 64), bool)), "expected equal sizes"),
        (lambda n, x, m: evaluation.pointing(m, np.eye(64, dtype=bool), tolerance=-1), "tolerance is -1"),
    ],
)
def test_bad_input_is_refused(call, message, squeezenet, image, heat):
    with pytest.raises(ValueError, match=message):
        call(squeezenet, image, heat)
