"""Attacks in balls of several sizes as a run: rows that say which pictures withstand, and what share does."""

import dataclasses

import numpy as np
import pyarrow.parquet
import pytest
from little import Drawn

import jaxviz
from jaxviz import jobs

EPSILONS = (0.1 / 255, 1 / 255, 8 / 255)
GIVEN = {"method": "pgd", "steps": 3, "restarts": 0, "early_exit": True}


@pytest.fixture(scope="module")
def folder(classifier, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    task = jobs.attack(classifier, size=48, epsilon=EPSILONS[::-1], **GIVEN)
    # Of Drawn's labels, 0 to 2, noise is none: its own best class is left where there is no label.
    jobs.run(task, Unlabeled(6, bad=(2,)), out=out)
    return out


class Unlabeled(Drawn):
    def __getitem__(self, index):
        return dataclasses.replace(super().__getitem__(index), label=None)


def rows(folder):
    return [
        row for p in sorted(folder.glob("*.parquet")) for row in pyarrow.parquet.read_table(p).to_pylist()
    ]


def test_a_row_says_what_each_radius_gives(folder, classifier):
    found = [row for row in rows(folder) if not row["failure"]]
    assert len(found) == 5
    for row in found:
        assert row["clean"]
        assert len(row["success"]) == len(row["margins"]) == len(row["distances"]) == 3
        assert row["success"] == sorted(row["success"])  # once fooled, always fooled
        for success, margin, distance, epsilon in zip(
            row["success"], row["margins"], row["distances"], EPSILONS, strict=True
        ):
            assert success == (margin > 0)
            assert distance <= epsilon + 1e-6
        first = row["success"].index(True)
        assert all(n > 0 for n in row["queries"][: first + 1])
        assert not any(row["queries"][first + 1 :])


def test_the_attack_is_the_methods(folder, classifier):
    row = rows(folder)[0]
    picture = Unlabeled(6)[0].read(10**6)
    image = jaxviz.images.fit_square(picture, 48)
    one, told = (
        jaxviz.techniques.FAMILIES["attacks"]
        .methods["pgd"]
        .told(classifier, image, row["class"], epsilon=EPSILONS[0], steps=3, restarts=0, early_exit=True)
    )
    assert row["queries"][0] == int(told["queries"])
    assert row["distances"][0] == pytest.approx(float(np.abs(one - image).max()), rel=1e-4)


def test_shares_are_counted_from_the_rows(folder):
    table = jobs.read_robustness(folder)
    kept = [row for row in rows(folder) if not row["failure"]]
    assert [row["epsilon"] for row in table] == list(EPSILONS)
    for e, row in enumerate(table):
        assert row["pictures"] == 5
        assert row["clean accuracy"] == 1
        assert row["robust accuracy"] == np.mean([not r["success"][e] for r in kept])
        assert row["low"] <= row["robust accuracy"] <= row["high"]
        assert row["mean queries"] == np.mean([sum(r["queries"][: e + 1]) for r in kept])
    assert table[-1]["robust accuracy"] == 0


def test_a_picture_that_is_already_misclassified_is_marked_and_not_attacked(classifier, tmp_path):
    task = jobs.attack(classifier, size=48, epsilon=[0.01, 0.02], label=3, **GIVEN)
    jobs.run(task, Unlabeled(2), out=tmp_path)
    for row in rows(tmp_path):
        assert row["clean"] is False
        assert row["success"] == [True, True]
        assert row["distances"] == row["queries"] == [0, 0]
    assert jobs.read_robustness(tmp_path)[0]["mean queries"] is None


@pytest.mark.slow
def test_one_attack_has_one_row(classifier, tmp_path):
    jobs.run(jobs.attack(classifier, size=48, epsilon=8 / 255), Unlabeled(3), out=tmp_path)
    (row,) = jobs.read_robustness(tmp_path)
    assert row["epsilon"] == pytest.approx(8 / 255)
    assert row["clean accuracy"] == 1
    assert row["robust accuracy"] == np.mean([not r["success"] for r in rows(tmp_path)])
    assert row["mean queries"] == 1


def test_a_run_of_other_radii_is_refused_and_the_difference_named(folder, classifier):
    other = jobs.attack(classifier, size=48, epsilon=EPSILONS[:2], **GIVEN)
    with pytest.raises(jobs.RunError, match="epsilon"):
        jobs.run(other, Unlabeled(6, bad=(2,)), out=folder)


def test_what_cannot_be_is_refused(classifier, tmp_path):
    with pytest.raises(ValueError, match="epsilon is empty"):
        jobs.attack(classifier, method="pgd", epsilon=[])
    with pytest.raises(ValueError, match="ifgsm takes one epsilon; pgd with restarts=0"):
        jobs.attack(classifier, method="ifgsm", epsilon=[0.1, 0.2])
    with pytest.raises(ValueError, match="cw takes no epsilon"):
        jobs.attack(classifier, method="cw", epsilon=[0.1, 0.2])
    jobs.run(jobs.classify(classifier, size=48), Unlabeled(1), out=tmp_path)
    with pytest.raises(jobs.RunError, match="a run of another task"):
        jobs.read_robustness(tmp_path)
    with pytest.raises(jobs.RunError, match="has no run"):
        jobs.read_robustness(tmp_path / "nothing")
