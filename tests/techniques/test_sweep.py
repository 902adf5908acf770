"""Sweeps of attacks over grids, and what share of pictures withstands."""

import csv
import itertools
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from test_attacks import margin_of
from test_compilation import compilations

import jaxviz
from jaxviz.drawing.plots import interval_plot
from jaxviz.norms import NORMS
from jaxviz.techniques.attacks import Sweep

EPSILONS = (0.5 / 255, 2 / 255, 8 / 255)


@pytest.fixture(scope="module")
def whole(classifier, pictures, labels):
    return jaxviz.attacks.sweep(
        classifier,
        pictures,
        labels,
        epsilons={"linf": EPSILONS, "l2": (0.05, 0.2, 0.8)},
        norms=("linf", "l2"),
        steps=(1, 4),
        restarts=2,
        early_exit=False,
        key=1,
    )


class TestSweep:
    def test_each_entry_is_an_attack_of_its_own(self, whole, classifier, pictures, labels):
        assert whole.success.shape == (2, 2, 3, 2, 3)
        assert whole.clean.all()
        keys = jax.random.split(jax.random.key(1), (2, 3))
        for n, e, r, k in itertools.product(range(2), range(3), range(2), range(3)):
            if (e + r + k) % 3:
                continue
            alone = jaxviz.attacks.pgd(
                classifier,
                pictures[k],
                labels[k],
                epsilon=float(whole.epsilons[n, e]),
                norm=whole.norms[n],
                steps=4,
                restarts=1,
                key=keys[r, k],
            )
            distance = float(NORMS[whole.norms[n]].measure(alone - pictures[k]))
            assert whole.distances[n, 1, e, r, k] == pytest.approx(distance, rel=0.02)
            # Signs that rounding decides make attacks part.
            expected = margin_of(classifier, alone, int(labels[k]))
            assert whole.margins[n, 1, e, r, k] == pytest.approx(expected, rel=0.2, abs=0.3)

    def test_distances_stay_within_the_radii(self, whole):
        reach = whole.epsilons[:, None, :, None, None]
        assert (whole.distances <= reach * (1 + 1e-5) + 1e-6).all()
        assert (whole.distances > 0).all()

    def test_what_succeeds_is_what_has_a_margin(self, whole):
        np.testing.assert_array_equal(whole.success, whole.margins > 0)
        robust = whole.robust()
        np.testing.assert_array_equal(robust, ~whole.success.any(3))

    def test_early_exit_finds_at_least_as_much_and_only_adds(self, whole, classifier, pictures, labels):
        calls = []
        found = jaxviz.attacks.sweep(
            classifier,
            pictures,
            labels,
            epsilons=EPSILONS,
            steps=(1, 4),
            restarts=2,
            key=1,
            on_progress=lambda done, most: calls.append((done, most)),
        )
        assert calls == [(3 * k, 18) for k in range(1, 7)]
        last = found.success[0, 1]
        # Within a larger ball, or another restart, what fell stays fallen.
        assert (last[1:] >= last[:-1]).all()
        assert (last[:, 1] >= last[:, 0]).all()
        assert (found.robust() <= whole.robust()[:1]).all()
        first = np.argmax(last.reshape(6, 3), 0)
        for k in range(3):
            e, r = divmod(int(first[k]), 2)
            if found.success[0, :, e, r, k].all():
                assert (found.distances[0, 1, e:, :, k][1:] == found.distances[0, 1, e, r, k]).all()

    def test_a_picture_that_is_wrong_already_is_marked_and_not_attacked(self, classifier, pictures, labels):
        wrong = np.array([labels[0], (labels[1] + 1) % 1000, labels[2]])
        found = jaxviz.attacks.sweep(classifier, pictures, wrong, epsilons=[1 / 255], steps=[1])
        assert found.clean.tolist() == [True, False, True]
        assert found.success[..., 1].all()
        assert (found.distances[..., 1] == 0).all()
        assert (found.distances[..., ::2] > 0).all()

    def test_rows_and_csv_have_shares_with_their_interval(self, whole, tmp_path):
        whole.to_json(tmp_path / "sweep.json")
        told = json.loads((tmp_path / "sweep.json").read_text())
        assert told["rows"] == list(whole.rows())
        np.testing.assert_allclose(told["margins"], whole.margins)
        whole.to_csv(tmp_path / "sweep.csv")
        with (tmp_path / "sweep.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 12
        for row in rows:
            assert float(row["low"]) <= float(row["robust accuracy"]) <= float(row["high"])
            assert row["pictures"] == "3"
        assert float(rows[0]["epsilon"]) == pytest.approx(0.5 / 255)

    def test_curves_are_drawn_with_their_intervals(self, whole):
        curves = whole.curves()
        assert list(curves) == ["linf, 1 step", "linf, 4 steps", "l2, 1 step", "l2, 4 steps"]
        for name, points in curves.items():
            n = 0 if name.startswith("linf") else 1
            assert [point[0] for point in points] == pytest.approx([0, *whole.epsilons[n].tolist()])
            assert points[0][1] == 1  # as all are right before
            assert all(low <= share <= high for _, share, low, high in points)
        drawn = interval_plot(curves, across="ε", up="robust accuracy")
        assert drawn.ndim == 3
        assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 10

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"labels": [1, 2]}, "expected one class for each of 3"),
            ({"labels": [1, 2, 1000]}, "label 2 is 1000"),
            ({"epsilons": []}, "at least one"),
            ({"epsilons": {"l2": [1.0]}}, "none for linf"),
            ({"epsilons": [2.0]}, "epsilon is 2"),
            ({"steps": []}, "at least one entry"),
            ({"steps": [0]}, "steps is 0"),
        ],
    )
    def test_bad_input_is_refused(self, change, message, classifier, pictures, labels):
        given = {"labels": labels, "epsilons": [0.1]} | change
        with pytest.raises(ValueError, match=message):
            jaxviz.attacks.sweep(classifier, pictures, given.pop("labels"), **given)

    def test_one_program_serves_every_radius_and_number_of_steps(self, whole, classifier, pictures, labels):
        with compilations() as seen:
            jaxviz.attacks.sweep(
                classifier,
                pictures,
                labels,
                epsilons=(1 / 255, 3 / 255),
                steps=(2, 7),
                restarts=2,
                early_exit=False,
                key=2,
            )
        assert seen == []


def test_intervals_are_wilsons():
    clean = np.ones(10, bool)
    success = np.arange(10).reshape(1, 1, 1, 1, 10) >= 5
    nothing = np.zeros(success.shape, np.float32)
    (row,) = Sweep(("linf",), (1,), np.array([[0.1]]), clean, success, nothing, nothing).rows()
    assert row["robust accuracy"] == 0.5
    # (p + z² / 2n ± z √(p (1 - p) / n + z² / 4n²)) / (1 + z² / n) with z = 1.96
    assert (row["low"], row["high"]) == pytest.approx((0.2366, 0.7634), abs=1e-4)


@pytest.mark.data
def test_what_withstands_of_500_pictures(data, squeezenet):
    """The figures of docs/robustness.md: two minutes on two cores."""
    root = Path(data) / "images" / "imagenet500"
    with (root / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    pictures = [jaxviz.images.fit_square(jaxviz.images.read(root / row["file"]), 224) for row in rows]
    found = jaxviz.attacks.sweep(
        squeezenet,
        np.stack(pictures),
        [int(row["class_index"]) for row in rows],
        epsilons=[1 / 255, 2 / 255, 4 / 255, 8 / 255],
    )
    assert found.clean.mean() == pytest.approx(0.59, abs=0.005)
    shares = [row["robust accuracy"] for row in found.rows()]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] < 0.02
    assert shares[-1] == 0
