"""Attacks of which many pictures have one result: universal perturbations and patches."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_compilation import compilations

import jaxviz
from jaxviz import attacks
from jaxviz.networks import compiled_features
from jaxviz.norms import NORMS
from jaxviz.techniques import FAMILIES
from jaxviz.techniques.attacks.pasting import mask_of

TESTS = Path(__file__).parents[1]
TOASTER = 859
METHODS = FAMILIES["attacks"].methods
NAMES = ("chelsea", "coffee", "astronaut", "rocket")
PATCH = {"target": TOASTER, "size": 24, "scale": (0.3, 0.5), "batch": 4, "step_size": 0.1}


@pytest.fixture(scope="module")
def pictures(picture):
    return np.stack([picture(name, 48) for name in NAMES])


@pytest.fixture(scope="module")
def labels(classifier, pictures):
    return attacks.universal_success(classifier, np.zeros((48, 48, 3)), pictures).before


@pytest.fixture(scope="module")
def trained(squeezenet, pictures):
    """A patch of 30 steps, and the losses on the way."""
    losses = []
    patch = attacks.patch(
        squeezenet, pictures, **PATCH, steps=30, key=1, on_chunk=lambda found: losses.append(found.losses)
    )
    return patch, losses[-1]


class TestUniversal:
    @pytest.mark.parametrize(("norm", "target"), [("linf", None), ("l1", TOASTER)])
    def test_stays_in_the_ball_and_the_loss_falls(self, norm, target, classifier, pictures, labels):
        losses = []
        v = attacks.universal(
            classifier,
            pictures,
            labels,
            norm=norm,
            target=target,
            batch=3,
            steps=8,
            on_chunk=lambda found: losses.append(found.losses),
        )
        assert v.shape == (48, 48, 3)
        assert float(NORMS[norm].measure(v)) <= attacks.RADII[norm] * (1 + 1e-5)
        assert float(v.min()) < 0 < float(v.max())
        assert len(losses[-1]) == 9
        assert losses[-1][-3:].mean() < losses[-1][0] - 0.5

    def test_a_key_decides_what_is_drawn(self, classifier, pictures, labels):
        def found(key):
            return np.asarray(attacks.universal(classifier, pictures, labels, steps=2, batch=3, key=key))

        np.testing.assert_array_equal(found(5), found(jax.random.key(5)))
        assert not np.array_equal(found(5), found(6))

    def test_what_it_does_is_counted(self, classifier, pictures, labels):
        v = attacks.universal(classifier, pictures, labels, epsilon=0.1, batch=3, steps=8)
        found = attacks.universal_success(classifier, v, pictures)
        np.testing.assert_array_equal(found.before, labels)
        share, low, high = found.fooling_rate()
        assert share == np.mean(found.after != labels) > 0
        assert low < share <= high

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({"images": []}, ValueError, "there are 0 images; expected at least one"),
            ({"labels": None}, ValueError, r"labels has shape \[\]; expected one class for each of 4"),
            ({"labels": [1, 2]}, ValueError, r"labels has shape \[2\]; expected one class for each of 4"),
            ({"labels": [1, 2, 3, 1000]}, ValueError, "label 3 is 1000"),
            ({"target": 1000}, ValueError, "target is 1000"),
            ({"labels": [3] * 4, "target": 3}, ValueError, "all 4 pictures are of class 3, the target"),
            ({"norm": "l3"}, KeyError, "no norm is named 'l3'"),
            ({"loss": "hinge"}, KeyError, "no loss of an attack is named 'hinge'"),
            ({"batch": 0}, ValueError, "batch is 0"),
            ({"epsilon": 2.0}, ValueError, "epsilon is 2"),
        ],
    )
    def test_bad_input_is_refused(self, change, error, message, classifier, pictures):
        given = {"images": pictures, "labels": [1, 2, 3, 4]} | change
        with pytest.raises(error, match=message):
            attacks.universal(classifier, given.pop("images"), given.pop("labels"), **given)

    def test_a_single_picture_and_pictures_of_two_sizes_are_refused(self, classifier, pictures):
        with pytest.raises(ValueError, match=r"images has shape \[48, 48, 3\]; expected many"):
            attacks.universal(classifier, pictures[0], [1])
        with pytest.raises(ValueError, match="different sizes, 40×48, 48×48"):
            attacks.universal(classifier, [pictures[0], pictures[1][:40]], [1, 2])
        with pytest.raises(ValueError, match=r"perturbation has shape \[40, 48, 3\]; expected \[48, 48, 3\]"):
            attacks.universal_success(classifier, np.zeros((40, 48, 3)), pictures)


@pytest.mark.optimized  # hundreds of evaluations of a network that has learned: others learn little of a patch
class TestPatch:
    def test_stays_in_the_box_and_the_loss_falls(self, trained):
        patch, losses = trained
        assert patch.pixels.shape == (24, 24, 3)
        assert float(patch.pixels.min()) >= 0
        assert float(patch.pixels.max()) <= 1
        assert losses[-8:].mean() < losses[:8].mean() - 0.5

    def test_reaches_more_than_random_colors(self, trained, squeezenet, pictures):
        patch, _ = trained
        colors = np.random.default_rng(0).random((24, 24, 3), np.float32)
        found, random = (
            attacks.patch_success(squeezenet, one, pictures, target=TOASTER, sizes=(0.4, 0.5))
            for one in (patch, attacks.Patch(colors, patch.mask))
        )
        # The mean of a few probabilities is that of the largest; what is climbed are their logarithms.
        logs = np.log(found.probabilities) - np.log(random.probabilities)
        assert (logs.mean(1) > np.log(2)).all()
        assert found.counted.all()
        for (size, share, low, high), flags in zip(found.points(), found.success, strict=True):
            assert size in (pytest.approx(0.4), pytest.approx(0.5))
            assert low <= share == flags.mean() <= high

    @pytest.mark.slow
    def test_same_key_same_bits(self, trained, squeezenet, pictures):
        again = attacks.patch(squeezenet, pictures, **PATCH, steps=30, key=jax.random.key(1))
        np.testing.assert_array_equal(again.pixels, trained[0].pixels)
        other = attacks.patch(squeezenet, pictures, **PATCH, steps=2, key=2)
        assert not np.array_equal(other.pixels, trained[0].pixels)

    def test_one_program_serves_all_numbers(self, trained, squeezenet, pictures):
        given = PATCH | {"scale": (0.2, 0.6), "rotation": 45.0, "target": 3, "step_size": 0.01}
        with compilations() as seen:
            attacks.patch(squeezenet, pictures[::-1], **given, steps=5, key=4)
        assert seen == []

    def test_pictures_of_the_target_are_left_out(self, squeezenet, pictures):
        posed, _ = METHODS["patch"].problem(squeezenet, pictures, [1, TOASTER, 2, 3], target=TOASTER)
        np.testing.assert_array_equal(posed.images, pictures[[0, 2, 3]])

    def test_pictures_of_the_target_are_not_counted(self, trained, squeezenet, pictures):
        scores = [compiled_features(squeezenet, picture, ("logits",))["logits"] for picture in pictures]
        labels = np.argmax(scores, 1)
        found = attacks.patch_success(squeezenet, trained[0], pictures, target=labels[0], sizes=(0.4, 0.5))
        np.testing.assert_array_equal(found.counted, labels != labels[0])
        with pytest.raises(ValueError, match=f"all 1 pictures are of class {labels[0]}, the target, already"):
            attacks.patch_success(squeezenet, trained[0], pictures[:1], target=labels[0])

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({"images": []}, ValueError, "there are 0 images; expected at least one"),
            ({"labels": [1, 2]}, ValueError, r"labels has shape \[2\]; expected one class for each of 4"),
            ({"labels": [TOASTER] * 4}, ValueError, "all 4 pictures are of class 859, the target"),
            ({"target": 1000}, ValueError, "target is 1000"),
            ({"size": 49}, ValueError, "size is 49; expected at most the pictures' shorter side, 48"),
            ({"scale": (0.5, 1.2)}, ValueError, "scale is 1.2"),
            ({"scale": (0.5, 0.2)}, ValueError, r"scale is \(0.5, 0.2\); expected the smallest share first"),
            ({"scale": (0.5,)}, ValueError, r"scale is \(0.5,\); expected two shares"),
            ({"shape": "star"}, KeyError, "no shape of a patch is named 'star'"),
            ({"rotation": 181}, ValueError, "rotation is 181"),
            ({"steps": 0}, ValueError, "steps is 0"),
        ],
    )
    def test_bad_input_is_refused(self, change, error, message, squeezenet, pictures):
        given = PATCH | {"images": pictures, "labels": None} | change
        with pytest.raises(error, match=message):
            attacks.patch(squeezenet, given.pop("images"), given.pop("labels"), **given)

    def test_bad_patches_and_sizes_are_refused(self, trained, squeezenet, pictures):
        patch, _ = trained
        for bad, message in (
            (patch._replace(mask=patch.mask[1:]), r"a mask of \[23, 24\]"),
            (patch._replace(mask=2 * patch.mask), r"patch.mask has values outside \[0, 1\]"),
        ):
            with pytest.raises(ValueError, match=message):
                attacks.patch_success(squeezenet, bad, pictures, target=3)
        for sizes, message in (((), "there are 0 sizes"), ((0.1, 1.1), "size 1 is 1.1")):
            with pytest.raises(ValueError, match=message):
                attacks.patch_success(squeezenet, patch, pictures, target=3, sizes=sizes)


class TestPaste:
    @pytest.mark.parametrize("shape", ["circle", "square"])
    def test_outside_of_the_mask_nothing_changes_at_all(self, shape, pictures):
        patch = attacks.Patch(np.zeros((16, 16, 3), np.float32), mask_of(shape, 16))
        image = pictures[0] * 0.5 + 0.25
        found = np.asarray(attacks.paste(image, patch, scale=0.5, place=(20.0, 25.0), angle=10.0))
        rows, columns = np.mgrid[:48, :48]
        distance = np.hypot(rows - 20, columns - 25)
        outside = distance > (12 if shape == "circle" else 12 * np.sqrt(2)) + 2
        np.testing.assert_array_equal(found[outside], image[outside])
        assert found[distance < 10].max() < 1e-6

    def test_at_its_own_size_it_is_a_copy(self, pictures):
        patch = attacks.Patch(pictures[1][:24, :24], np.ones((24, 24), np.float32))
        found = np.array(attacks.paste(pictures[0], patch, scale=0.5, place=(11.5, 30.5)))
        np.testing.assert_allclose(found[:24, 19:43], patch.pixels, atol=1e-5)
        found[:24, 19:43] = pictures[0][:24, 19:43]
        np.testing.assert_array_equal(found, pictures[0])

    def test_a_quarter_turn_is_counterclockwise(self, pictures):
        patch = attacks.Patch(pictures[1][:24, :24], np.ones((24, 24), np.float32))
        found = np.asarray(attacks.paste(pictures[0], patch, scale=0.5, angle=90.0))
        np.testing.assert_allclose(found[12:36, 12:36], np.rot90(patch.pixels), atol=1e-4)

    @pytest.mark.parametrize("shape", ["circle", "square"])
    def test_random_places_keep_it_in_the_picture_and_reach_its_borders(self, shape):
        image = jnp.zeros((40, 64, 3))
        patch = attacks.Patch(np.ones((8, 8, 3), np.float32), mask_of(shape, 8))
        found = np.stack(
            [np.asarray(attacks.paste(image, patch, scale=0.4, angle=30.0, key=key)) for key in range(60)]
        )
        areas = found.sum((1, 2, 3))
        assert np.ptp(areas) < 0.03 * areas.mean()
        covered = found.max((0, 3)) > 0.5
        assert covered.any(0)[3:-3].all()
        assert covered.any(1)[3:-3].all()

    def test_bad_numbers_are_refused(self, pictures):
        patch = attacks.Patch(np.ones((8, 8, 3), np.float32), np.ones((8, 8)))
        for options, message in (
            ({"scale": 1.5}, "scale is 1.5"),
            ({"place": (1, 2, 3)}, r"place has shape \[3\]; expected a row and a column"),
            ({"place": (1, 2), "key": 0}, "place and key are both given"),
        ):
            with pytest.raises(ValueError, match=message):
                attacks.paste(pictures[0], patch, **options)


def test_a_minibatch_of_all_has_each_picture_once_which_counts_up_to_the_cap(classifier, pictures, labels):
    scores = jax.jit(jax.vmap(lambda x: classifier.features(x, ["logits"])["logits"]))(pictures)
    each = -np.asarray(jax.nn.log_softmax(scores))[np.arange(len(labels)), labels]
    loss = jax.jit(lambda posed, z, key: posed.loss(z, key))
    for seed, cap in ((0, 1e3), (1, 1e3), (1, float(np.median(each)))):
        posed, start = METHODS["universal"].problem(classifier, pictures, labels, batch=4, cap=cap)
        found = float(loss(posed, start, jax.random.key(seed)))
        assert found == pytest.approx(-np.minimum(each, cap).mean(), rel=1e-4)


def test_a_job_of_each_picture_is_refused(squeezenet):
    with pytest.raises(ValueError, match="patch is one result for many pictures"):
        jaxviz.jobs.attack(squeezenet, method="patch", target=3)


SHARED = """
import sys
import numpy as np
import jaxviz
from jaxviz import attacks, images, samples

network = jaxviz.load("squeezenet1_1")
names = ("chelsea", "coffee", "astronaut", "rocket")
pictures = np.stack([images.fit_square(samples.photograph(name), 48) for name in names])
made = {}
for name, mesh in (("one", None), ("all", jaxviz.mesh())):
    made[f"patch/{name}"] = attacks.patch(
        network, pictures, target=859, size=16, steps=3, batch=4, mesh=mesh
    ).pixels
    made[f"universal/{name}"] = attacks.universal(
        network, pictures, [285, 967, 3, 4], norm="l2", steps=3, batch=4, mesh=mesh
    )
made["devices"] = jaxviz.mesh().size
try:
    attacks.patch(network, pictures, target=859, batch=3, mesh=jaxviz.mesh())
except ValueError as error:
    made["error"] = str(error)
np.savez(sys.argv[1], **made)
"""


@pytest.mark.slow
def test_minibatches_that_devices_share_give_the_same(tmp_path):
    path = tmp_path / "made.npz"
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(TESTS.parent),
    }
    command = [sys.executable, "-c", SHARED, path]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    made = np.load(path)
    assert made["devices"] == 2
    assert str(made["error"]) == "batch is 3; expected a multiple of 2, the number of devices"
    one, everywhere = made["patch/one"], made["patch/all"]
    assert np.ptp(one) > 0.01
    # Adam's first steps are signs of derivatives, some of which are 0 but for rounding.
    assert (np.abs(one - everywhere) <= 1e-5).mean() > 0.999
    assert np.ptp(made["universal/one"]) > 0.01
    np.testing.assert_allclose(made["universal/all"], made["universal/one"], atol=1e-5)
