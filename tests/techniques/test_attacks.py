"""Attacks: what each promises, and sweeps over grids of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks

import jaxviz
from jaxviz.networks import compiled_features
from jaxviz.norms import NORMS
from jaxviz.objectives import margin
from jaxviz.optimizers.automatic import looks
from jaxviz.techniques import FAMILIES

METHODS = {name: method for name, method in FAMILIES["attacks"].methods.items() if not method.of_many}
RADII = {"linf": 4 / 255, "l2": 1.0, "l1": 40.0}
REPEATED = (
    *("minimum-l2", "minimum-l1", "fooling-linf", "fooling-l1", "apgd-l2", "nifgsm-l1", "nifgsm-l2"),
    *("fgsm-l1", "ifgsm-l2", "pgd-l1", "mifgsm-l1", "mifgsm-linf", "deepfool-linf"),
)
"""Whose norms and steps other methods have too."""
IN_A_NORM = [
    pytest.param(
        name, norm, id=f"{name}-{norm}", marks=[pytest.mark.slow] if f"{name}-{norm}" in REPEATED else []
    )
    for name, method in METHODS.items()
    for norm in (method.options["norm"].choices if "norm" in method.options else ("linf",))
]


def scores_of(network, image):
    return np.asarray(compiled_features(network, jnp.asarray(image), ("logits",))["logits"])


def margin_of(network, image, label):
    return float(margin(label)({"logits": jnp.asarray(scores_of(network, image))}))


class TestEveryAttack:
    @pytest.mark.parametrize(("name", "norm"), IN_A_NORM)
    def test_stays_in_ball_and_box_and_lowers_the_margin(self, name, norm, classifier, pictures, labels):
        method = METHODS[name]
        given = {"norm": norm} if "norm" in method.options else {}
        given |= {"steps": 5} if "steps" in method.options else {}
        given |= {"constant": 10.0, "step_size": 0.05} if name == "cw" else {}  # so that five steps suffice
        given |= {"epsilon": RADII[norm]} if "epsilon" in method.options else {}
        image, label = pictures[1], int(labels[1])
        found = np.asarray(method.function(classifier, image, label, **given))
        assert found.min() >= 0
        assert found.max() <= 1
        if "epsilon" in given:
            assert float(NORMS[norm].measure(jnp.asarray(found - image))) <= RADII[norm] * (1 + 1e-5) + 1e-6
        assert margin_of(classifier, found, label) > margin_of(classifier, image, label)

    @pytest.mark.parametrize("loss", METHODS["pgd"].options["loss"].choices)
    @pytest.mark.parametrize("targeted", [False, True])
    def test_climbs_the_loss_that_is_asked_for(self, loss, targeted, classifier, pictures, labels):
        image, label = pictures[1], int(labels[1])
        second = int(np.argsort(scores_of(classifier, image))[-2])
        target = second if targeted else None
        found = jaxviz.attacks.pgd(
            classifier, image, label, epsilon=8 / 255, steps=4, loss=loss, target=target, restarts=0
        )
        made = jaxviz.attacks.LOSSES[loss](label if target is None else target)
        before, after = (
            float(made({"logits": jnp.asarray(scores_of(classifier, x))})) for x in (image, found)
        )
        assert (after > before) if target is None else (after < before)

    @pytest.mark.parametrize("name", METHODS)
    def test_refuses_a_target_that_is_the_label(self, name, classifier, pictures):
        with pytest.raises(ValueError, match="target is 3, the class to leave"):
            METHODS[name].function(classifier, pictures[0], 3, target=3)

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"norm": "l3"}, KeyError, "no norm is named 'l3'"),
            ({"loss": "hinge"}, KeyError, "no loss of an attack is named 'hinge'"),
            ({"epsilon": 1.5}, ValueError, "epsilon is 1.5"),
            ({"epsilon": float("nan"), "norm": "l2"}, ValueError, "epsilon is nan"),
            ({"steps": 0}, ValueError, "steps is 0"),
            ({"steps": 1024}, ValueError, "steps is 1024; expected at most 1023"),
            ({"restarts": -1}, ValueError, "restarts is -1"),
            ({"step_size": -1.0}, ValueError, "step_size is -1"),
            ({"target": 1000}, ValueError, "target is 1000"),
        ],
    )
    def test_refuses_what_makes_no_sense(self, options, error, message, classifier, pictures):
        with pytest.raises(error, match=message):
            jaxviz.attacks.pgd(classifier, pictures[0], 285, **options)

    def test_more_than_one_moves_by_more_than_one_in_other_norms(self, classifier, pictures, labels):
        found = jaxviz.attacks.pgd(classifier, pictures[0], labels[0], epsilon=3.0, norm="l2", steps=2)
        assert 1.5 < np.linalg.norm(found - pictures[0]) <= 3 + 1e-5


ENDING = [name for name, method in METHODS.items() if "early_exit" in method.options]
VARIED = [name for name, method in METHODS.items() if "diversity" in method.options]


class TestEarlyExit:
    @pytest.mark.parametrize(
        "name", [ENDING[0], *(pytest.param(name, marks=pytest.mark.slow) for name in ENDING[1:])]
    )
    def test_the_first_success_is_kept_and_no_more_is_asked(self, name, classifier, pictures, labels):
        image, label = pictures[1], int(labels[1])
        given = {"epsilon": 8 / 255, "steps": 8}
        _, whole = METHODS[name].told(classifier, image, label, **given)
        found, ended = METHODS[name].told(classifier, image, label, early_exit=True, **given)
        assert margin_of(classifier, found, label) > 0
        assert 1 < int(ended["queries"]) < int(whole["queries"])

    def test_later_starts_are_not_tried_after_a_success(self, classifier, pictures, labels):
        given = {"epsilon": 8 / 255, "steps": 8, "early_exit": True}
        for restarts in (1, 3):
            _, told = METHODS["pgd"].told(classifier, pictures[0], labels[0], restarts=restarts, **given)
            assert int(told["queries"]) < 9

    def test_it_goes_on_where_nothing_succeeds(self, classifier, pictures, labels):
        given = {"epsilon": 0.0, "steps": 3, "restarts": 2}
        found, told = METHODS["pgd"].told(classifier, pictures[1], labels[1], early_exit=True, **given)
        np.testing.assert_array_equal(found, pictures[1])
        assert int(told["queries"]) == 2 * (3 + 1)

    def test_a_random_loss_cannot_be_judged(self, classifier, pictures):
        with pytest.raises(ValueError, match="early_exit judges the image as it is"):
            jaxviz.attacks.pgd(classifier, pictures[0], 285, early_exit=True, diversity=0.5)


class TestVariations:
    @pytest.mark.parametrize("name", VARIED)
    def test_they_change_the_attack_which_still_stays_in_its_ball(self, name, classifier, pictures, labels):
        more = {"translations": 2} if name == "mifgsm" else {"diversity": 0.7}
        image, label = pictures[1], int(labels[1])
        given = {"epsilon": 4 / 255, "steps": 4}
        plain, found = (
            np.asarray(METHODS[name].function(classifier, image, label, **given, **some))
            for some in ({}, more)
        )
        assert np.abs(found - image).max() <= 4 / 255 + 1e-6
        assert margin_of(classifier, found, label) > margin_of(classifier, image, label)
        assert (found != plain).mean() > 0.01

    def test_a_key_decides_what_diversity_draws(self, classifier, pictures, labels):
        def found(key):
            given = {"diversity": 0.5, "steps": 3, "restarts": 0, "key": key}
            return np.asarray(jaxviz.attacks.pgd(classifier, pictures[0], labels[0], **given))

        np.testing.assert_array_equal(found(1), found(1))
        assert not np.array_equal(found(1), found(2))


class TestNearest:
    @pytest.mark.parametrize(
        ("name", "targeted"),
        [("cw", True), ("deepfool", False), ("deepfool", True), ("minimum", False)],
    )
    def test_it_fools_and_stays_nearer_than_a_fixed_ball(self, name, targeted, classifier, pictures, labels):
        image, label = pictures[0], int(labels[0])
        scores = scores_of(classifier, image)
        target = int(np.argsort(scores)[-2]) if targeted else None
        given = {"norm": "l2"} | ({"steps": 60, "constant": 0.1, "searches": 3} if name == "cw" else {})
        found = np.asarray(METHODS[name].function(classifier, image, label, target=target, **given))
        now = int(scores_of(classifier, found).argmax())
        assert now == target if targeted else now != label
        assert 0 < np.linalg.norm(found - image) < 1.0

    @pytest.mark.slow
    def test_a_larger_confidence_is_farther_away_and_is_reached(self, classifier, pictures, labels):
        given = {"constant": 1.0, "searches": 2, "steps": 80}
        near, far = (
            np.asarray(jaxviz.attacks.cw(classifier, pictures[1], labels[1], confidence=kappa, **given))
            for kappa in (0.0, 4.0)
        )
        assert margin_of(classifier, far, int(labels[1])) >= 4 - 1e-4
        assert np.linalg.norm(far - pictures[1]) > np.linalg.norm(near - pictures[1])

    def test_where_nothing_fools_the_image_stays(self, classifier, pictures, labels):
        given = {"constant": 1e-12, "searches": 1, "steps": 2}
        found = jaxviz.attacks.cw(classifier, pictures[1], labels[1], **given)
        np.testing.assert_array_equal(found, pictures[1])

    @pytest.mark.slow
    def test_more_searches_come_nearer(self, classifier, pictures, labels):
        image, label = pictures[1], int(labels[1])
        distances = [
            float(
                jnp.abs(jaxviz.attacks.minimum(classifier, image, label, searches=n, steps=4) - image).max()
            )
            for n in (0, 4, 8)
        ]
        assert distances[0] > distances[1] >= distances[2] > 0

    def test_a_ball_that_is_too_small_gives_the_best_inside_it(self, classifier, pictures, labels):
        given = {"epsilon": 1e-6, "steps": 2}
        found, told = METHODS["minimum"].told(classifier, pictures[1], labels[1], **given)
        assert np.abs(np.asarray(found) - pictures[1]).max() <= 2e-6
        assert int(told["queries"]) == 4

    def test_what_is_fooled_already_is_left_alone(self, classifier, pictures, labels):
        wrong = (int(labels[0]) + 1) % 1000
        for name in ("deepfool", "fooling"):
            found = METHODS[name].function(classifier, pictures[0], wrong)
            np.testing.assert_array_equal(found, pictures[0])

    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("deepfool", {"norm": "l1"}, "no norm of deepfool is named 'l1'"),
            ("deepfool", {"candidates": 0}, "candidates is 0"),
            ("cw", {"norm": "linf"}, "no norm of cw is named 'linf'"),
            ("cw", {"confidence": -1.0}, "confidence is -1"),
            ("cw", {"searches": 0}, "searches is 0"),
            ("minimum", {"searches": -1}, "searches is -1"),
            ("fooling", {"step_size": -1.0}, "step_size is -1"),
        ],
    )
    def test_refuses_what_makes_no_sense(self, name, options, message, classifier, pictures):
        with pytest.raises((KeyError, ValueError), match=message):
            METHODS[name].function(classifier, pictures[0], 285, **options)


class TestFooling:
    def test_noise_becomes_the_class_that_is_asked_for(self, classifier):
        noise = jax.random.uniform(jax.random.key(0), (64, 64, 3))
        best, *_, target = np.argsort(scores_of(classifier, noise))[-1:-6:-1].tolist()
        found, told = METHODS["fooling"].told(classifier, noise, best, target=target, loss="margin")
        assert int(scores_of(classifier, found).argmax()) == target
        assert int(told["queries"]) < 200

    def test_a_ball_bounds_it_where_there_is_one(self, classifier, pictures, labels):
        found = jaxviz.attacks.fooling(classifier, pictures[1], labels[1], target=1, epsilon=0.5, steps=10)
        assert np.linalg.norm(np.asarray(found) - pictures[1]) <= 0.5 + 1e-5


class TestTransfer:
    def test_an_ensemble_scores_as_the_mean_and_is_attacked_as_one(self, classifier, pictures, labels):
        other = small_networks.classifier(seed=1)
        both = jaxviz.networks.ensemble(classifier, other)
        scores = [scores_of(net, pictures[1]) for net in (classifier, other, both)]
        np.testing.assert_allclose(scores[2], (scores[0] + scores[1]) / 2, rtol=1e-5, atol=1e-4)
        found = jaxviz.attacks.fgsm(both, pictures[1], labels[1], epsilon=2 / 255)
        assert margin_of(both, found, int(labels[1])) > margin_of(both, pictures[1], int(labels[1]))

    def test_the_rule_of_relus_reaches_the_members(self, classifier, pictures):
        both = jaxviz.networks.ensemble(classifier)
        expected, found = (jaxviz.saliency.guided(net, pictures[0], 285) for net in (classifier, both))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)

    def test_networks_of_other_classes_or_none_are_refused(self, classifier, vgg16):
        with pytest.raises(ValueError, match="vgg16 has no classifier"):
            jaxviz.networks.ensemble(classifier, vgg16)
        with pytest.raises(ValueError, match="ensemble got no network"):
            jaxviz.networks.ensemble()

    @pytest.mark.slow
    def test_a_judge_says_how_attacks_transfer(self, classifier, pictures, labels):
        judge = small_networks.classifier(seed=1)
        given = {"epsilons": [8 / 255], "steps": [2], "restarts": 0, "early_exit": False}
        own = np.asarray([scores_of(judge, image).argmax() for image in pictures], np.int32)
        found = jaxviz.attacks.sweep(classifier, pictures, own, judge=judge, **given)
        assert found.clean.all()
        attacked = jaxviz.attacks.pgd(classifier, pictures[0], own[0], epsilon=8 / 255, steps=2, restarts=0)
        np.testing.assert_allclose(
            found.margins[0, 0, 0, 0, 0], margin_of(judge, attacked, int(own[0])), rtol=1e-3, atol=1e-3
        )


class TestStarts:
    def test_the_best_of_several_starts_is_at_least_as_good_as_each(self, classifier, pictures, labels):
        image, label = pictures[0], int(labels[0])
        given = {"epsilon": 2 / 255, "steps": 2, "key": 3}
        many = jaxviz.attacks.pgd(classifier, image, label, restarts=3, **given)
        keys = jax.random.split(jax.random.key(3), 3)
        loss = jax.jit(lambda x: jaxviz.objectives.cross_entropy(label)(classifier.features(x)))
        for key in keys:
            start = jnp.clip(image + NORMS["linf"].sample(key, image.shape, 2 / 255), 0, 1)
            assert float(loss(many)) > float(loss(start))
        alone = jaxviz.attacks.pgd(classifier, image, label, restarts=1, **given)
        assert float(loss(many)) >= float(loss(alone)) * (1 - 1e-5)

    def test_a_key_decides_what_is_drawn(self, classifier, pictures, labels):
        def found(key):
            return np.asarray(jaxviz.attacks.pgd(classifier, pictures[0], labels[0], steps=1, key=key))

        np.testing.assert_array_equal(found(5), found(jax.random.key(5)))
        assert not np.array_equal(found(5), found(6))


def test_looks_of_short_runs_lie_within_them():
    for steps in range(1, 60):
        places = looks(steps)
        assert all(0 < place <= steps for place in places)
        assert list(places) == sorted(set(places))
