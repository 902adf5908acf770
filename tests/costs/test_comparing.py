"""Records that are made up, so what is found is known."""

import json
from pathlib import Path

import pytest

from jaxviz.cli import measured
from jaxviz.costs import comparing

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


def row(technique="fgsm", seconds=1.0, spread=0.05, **more):
    times = {"q1_s": seconds - spread, "median_s": seconds, "q3_s": seconds + spread}
    key = {"technique": technique, "size": 128, "precision": "float32", "batch": 1}
    return key | {"compile_s": 4.0, "memory_bytes": 100} | times | more


def record(*rows, device="a card", **more):
    return {"machine": {"device": device, "cores": 2, "commit": "1"}, "rows": list(rows)} | more


def only(found):
    (each,) = found["rows"]
    return each


def test_what_is_slower_beyond_both_spreads_is_a_regression():
    found = comparing.compare(record(row()), record(row(seconds=1.3)))
    assert only(found)["slower"]
    assert only(found)["time"] == 1.3
    assert found["regressed"] == 1
    back = comparing.compare(record(row(seconds=1.3)), record(row()))
    assert (only(back)["faster"], only(back)["slower"], back["regressed"]) == (True, False, 0)


@pytest.mark.parametrize(
    ("after", "threshold"),
    [
        (row(seconds=1.08), 0.1),  # less than the threshold
        (row(seconds=1.3), 0.4),
        (row(seconds=1.3, spread=0.28), 0.1),  # its quartiles reach those of before
    ],
)
def test_noise_is_none(after, threshold):
    found = comparing.compare(record(row()), record(after), threshold=threshold)
    assert not only(found)["slower"]
    assert found["regressed"] == 0


def test_more_memory_is_a_regression_and_compiling_is_only_told():
    found = comparing.compare(record(row()), record(row(memory_bytes=150, compile_s=9.0)))
    assert (only(found)["memory"], only(found)["compile"]) == (1.5, 2.25)
    assert (only(found)["larger"], only(found)["slower"], found["regressed"]) == (True, False, 1)


def test_numbers_that_a_side_lacks_are_not_judged():
    found = comparing.compare(record(row()), record(row(memory_bytes=None, compile_s=None)))
    assert (only(found)["memory"], only(found)["compile"], found["regressed"]) == (None, None, 0)


def test_rows_of_one_side_are_listed():
    found = comparing.compare(record(row(), row("pgd")), record(row(), row("pgd", size=64)))
    assert found["only_in_first"] == ["pgd, 128², float32, batch 1"]
    assert found["only_in_second"] == ["pgd, 64², float32, batch 1"]
    assert measured.of_comparison(found).notes == [
        "first only: pgd, 128², float32, batch 1",
        "second only: pgd, 64², float32, batch 1",
    ]


def test_records_of_nothing_in_common_are_refused():
    with pytest.raises(ValueError, match="no row of the same technique"):
        comparing.compare(record(row()), record(row("pgd")))


def test_another_device_or_version_is_a_note():
    before, after = (
        record(row(), versions={"jax": "1"}),
        record(row(), device="another", versions={"jax": "2"}),
    )
    found = comparing.compare(before, after)
    assert found["notes"] == ["device: a card, then another", "jax: 1, then 2"]
    assert found["regressed"] == 0


def test_a_busy_machine_is_a_note():
    before, after = record(row()), record(row())
    after["machine"]["cores_busy"] = 3.21
    (note,) = comparing.compare(before, after)["notes"]
    assert note.startswith("cores that other work kept busy: 0.0, then 3.2;")


def test_a_threshold_below_zero_is_refused():
    with pytest.raises(ValueError, match="threshold is -1"):
        comparing.compare(record(row()), record(row()), threshold=-1)


def test_a_record_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(record(row())))
    assert comparing.read(path) == record(row())


BROKEN = [
    row(median_s=None),
    row(median_s=0.0),
    row(q1_s="fast"),
    row(q3_s=float("nan")),
    row(compile_s="long"),
    row(technique=["fgsm"]),
    {},
    "row",
]


@pytest.mark.parametrize(
    "content",
    [
        "not JSON at all",
        '{"rows": [',
        "[]",
        "{}",
        "3",
        '{"benchmark": "gatys"}',
        '{"machine": {"device": "x"}, "rows": 3}',
        *(json.dumps(record(each)) for each in BROKEN),
        json.dumps(record(row(), versions="1")),
        json.dumps(record(row(), device="")),
        b"\x89PNG\r\n\x1a\n\xff",
    ],
)
def test_what_is_no_record_is_told(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r"a\.json is no .*; expected what `jaxviz bench --json FILE`"):
        comparing.read(path)


def test_a_file_that_is_missing_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"none\.json does not exist"):
        comparing.read(tmp_path / "none.json")


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_the_published_results_of_the_suite_are_read(path):
    read = comparing.read(path)
    found = comparing.compare(read, read)
    assert found["regressed"] == 0
    assert {each["time"] for each in found["rows"]} == {1.0}
    assert len(found["rows"]) == len(read["rows"])
