"""Attacks against those of foolbox and torchattacks on twenty pictures (golden/rivals.npz), budgets alike."""

import functools
from pathlib import Path

import numpy as np
import pytest

from jaxviz import attacks, batched
from jaxviz.objectives import margin
from tests.golden import rivals

pytestmark = pytest.mark.optimized

GOLDEN = dict(np.load(Path(__file__).parents[1] / "golden" / "rivals.npz"))
LABELS = GOLDEN["labels"]
PICTURES = rivals.pictures()
PEERS = ("foolbox", "torchattacks")


@pytest.fixture(scope="module")
def found(squeezenet):
    """The function that returns our pictures, all or one of `every`; each attack runs once."""

    @functools.cache
    def attacked(attack, *shared, every=1):
        mapped = batched(attack, in_axes=(None, 0, 0, *(None for _ in shared)))
        return np.asarray(mapped(squeezenet, PICTURES[::every], LABELS[::every], *shared))

    return attacked


def margin_of(network, image, label):
    return margin(label)(network.features(image, ["logits"]))


def margins(network, images, labels=LABELS):
    return np.asarray(batched(margin_of, in_axes=(None, 0, 0))(network, images, labels))


def fgsm(network, image, label):
    return attacks.fgsm(network, image, label, epsilon=rivals.FGSM)


def pgd(network, image, label, epsilon):
    return attacks.pgd(network, image, label, epsilon=epsilon, steps=rivals.STEPS, restarts=0)


def deepfool(network, image, label):
    # foolbox counts the label among its ten candidates.
    return attacks.deepfool(network, image, label, candidates=9, **rivals.DEEPFOOL)


def cw(network, image, label):
    return attacks.cw(network, image, label, searches=1, **rivals.CW)


@pytest.mark.parametrize("peer", PEERS)
def test_fgsm_makes_the_same_pixels(peer, found):
    expected = np.clip(PICTURES + np.float32(rivals.FGSM) * GOLDEN[f"fgsm/{peer}"], 0, 1)
    same = (np.abs(found(fgsm) - expected) <= 1e-6).mean((1, 2, 3))
    assert same.min() >= 0.97
    assert np.median(same) >= 0.999


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("k", range(len(rivals.RADII)))
def test_pgd_succeeds_where_they_do_by_as_much(k, peer, found, squeezenet):
    ours = margins(squeezenet, found(pgd, np.float32(rivals.RADII[k])))
    theirs = GOLDEN[f"pgd/{k}/{peer}/margins"]
    np.testing.assert_array_equal(ours > 0, theirs > 0)
    bound = 0.05 * np.abs(theirs).mean()
    # Ten steps of signs part where rounding decides one: foolbox in float64 is as far from itself in float32.
    steady = np.abs(GOLDEN[f"pgd/{k}/float64"] - theirs) <= bound
    assert steady.sum() >= 19
    assert np.abs(ours - theirs)[steady].max() <= bound


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize(
    ("attack", "every"),
    [
        pytest.param(deepfool, 1, id="deepfool"),
        pytest.param(cw, 5, id="cw"),
        pytest.param(cw, 1, id="cw-all", marks=pytest.mark.slow),
    ],
)
def test_the_nearest_that_fools_is_as_near(attack, every, peer, found, squeezenet):
    theirs, ahead = (GOLDEN[f"{attack.__name__}/{peer}/{what}"] for what in ("distances", "margins"))
    kept = len(PICTURES) // len(theirs)
    images, step = found(attack, every=every), max(every, kept)
    distances = np.linalg.norm((images - PICTURES[::every]).reshape(len(images), -1), axis=1)
    fooled = margins(squeezenet, images, LABELS[::every]) > 0
    both = fooled[:: step // every] & (ahead[:: step // kept] > 0)
    assert both.all()
    assert np.median(distances[:: step // every]) <= 1.05 * np.median(theirs[:: step // kept])
