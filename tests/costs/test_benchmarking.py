"""The shape of what is measured, never its speed."""

import gzip
import json

import jax
import numpy as np
import pytest

from jaxviz import costs
from jaxviz.costs import benchmarking, growing, waiting
from jaxviz.costs.timing import MOST_CALLS, spread, timed, together, traced

TIMES = {"trace_s", "compile_s", "min_s", "q1_s", "median_s", "q3_s", "max_s"}
BYTES = {"argument_bytes", "temporary_bytes", "memory_bytes"}


@pytest.fixture(scope="module")
def record():
    told = []
    found = costs.bench(["gradient", "ifgsm"], quick=True, on_row=lambda row: told.append(row["technique"]))
    assert told == ["gradient", "ifgsm"]
    return found


def test_a_row_has_all_that_is_promised(record):
    maps, evaluations = record["rows"]
    assert (maps["unit"], evaluations["unit"]) == ("picture", "evaluation")
    for row in record["rows"]:
        assert (row["size"], row["batch"], row["precision"], row["calls"]) == (32, 1, "float32", 1)
        assert all(row[name] > 0 for name in TIMES | BYTES)
        assert row["memory_bytes"] >= row["argument_bytes"] + row["temporary_bytes"]
        assert row["per_second"] == 1 / row["median_s"]
        reached = row["operations"] / row["median_s"]
        assert row["operations_per_second"] == reached
        assert row["share_of_ceiling"] is None  # small products reach no ceiling
    assert record["left_out"] == {}


def test_the_record_says_what_was_measured_on(record):
    told = record["machine"]
    assert {"device", "platform", "cores", "commit", "date", "python", "huge_pages"} <= set(told)
    assert told["platform"] == jax.devices()[0].platform
    assert json.loads(json.dumps(record)) == record


def test_the_ceiling_is_the_fastest_that_was_tried(record):
    tried = record["ceiling"]["tried"]
    assert record["ceiling"]["operations_per_second"] == max(tried.values())
    assert {"matrices", "convolution"} <= {word.strip(",") for name in tried for word in name.split()}


def test_batches_are_pictures_per_second_and_minimizers_have_none(monkeypatch):
    monkeypatch.setattr(benchmarking, "BATCH", 2)
    monkeypatch.setattr(benchmarking, "ceiling", lambda precision, quick: costs.ceiling(quick=True))
    assert benchmarking._batches("ifgsm") == (1,)
    found = costs.bench(["activations"], size=32, seconds=0)
    row, top = found["rows"], found["ceiling"]["operations_per_second"]
    assert [each["batch"] for each in row] == [1, benchmarking.BATCH]
    assert row[1]["per_second"] == benchmarking.BATCH / row[1]["median_s"]
    assert row[1]["memory_bytes"] is None
    assert row[1]["operations"] == benchmarking.BATCH * row[0]["operations"]
    assert all(each["share_of_ceiling"] == each["operations_per_second"] / top for each in row)


def test_the_usual_technique_of_each_family_comes_first():
    order = benchmarking._order(None, quick=False)
    singles = [name for name, batch in order if batch == 1]
    assert sorted(singles) == sorted(costs.TECHNIQUES)
    families = [costs.TECHNIQUES[name][0].name for name, _ in order]
    count = len(set(families))
    assert len(set(families[:count])) == count
    assert [batch for _, batch in benchmarking._order(None, quick=True)] == [1] * count


def test_what_the_budget_leaves_no_time_for_is_told():
    found = costs.bench(budget=0, quick=True)
    assert found["rows"] == []
    assert set(found["left_out"]) == {name for name, _ in benchmarking._order(None, quick=True)}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"techniques": ["gradeint"]}, "nearest: gradient"),
        ({"size": 0}, "size is 0"),
        ({"seconds": -1}, "seconds is -1"),
        ({"budget": -1}, "budget is -1"),
        ({"precision": "float16"}, "no precision is named 'float16'"),
    ],
)
def test_bad_options_are_told(options, error):
    with pytest.raises((KeyError, ValueError), match=error):
        costs.bench(**options)


def test_calls_are_repeated_for_a_time_and_at_least_so_often():
    called = []
    assert len(timed(lambda: called.append(0), seconds=0, least=3)) == 3
    assert len(called) == 3
    assert len(timed(lambda: called.append(0), seconds=1e-3)) > 2
    assert len(timed(lambda: called.append(0), seconds=1e9)) == MOST_CALLS
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == {
        "calls": 5,
        "min_s": 1.0,
        "q1_s": 2.0,
        "median_s": 3.0,
        "q3_s": 4.0,
        "max_s": 5.0,
    }


def test_operations_are_those_that_the_compiler_counts():
    made = costs.program("gradient", size=64)
    found = traced(made, made.make())
    told = jax.jit(made.function).lower(*made.shapes).cost_analysis()["flops"]
    # The compiler counts additions outside of products too.
    assert 0.95 < found.operations / told <= 1
    assert found.counted


@pytest.mark.parametrize("technique", ["activations", "ifgsm"])
def test_pictures_together_are_those_alone(technique):
    made = costs.program(technique, size=32)
    alone = jax.jit(made.function)(*made.make())
    several = together(made, 3)
    found = jax.jit(several.function)(*several.make())
    alone, found = (each[0] if technique == "activations" else each.z for each in (alone, found))
    np.testing.assert_allclose(found, np.stack([alone] * 3), rtol=1e-3, atol=1e-5)


def test_one_result_of_many_pictures_has_no_batch():
    with pytest.raises(ValueError, match="universal seeks one result for many pictures"):
        together(costs.program("universal", size=32), 2)
    assert costs.growth("universal", sizes=(), batches=(1, 2), steps=())["batch"]["points"] == []


def test_exponents_are_recovered_exactly():
    points = [{"at": x, "median_s": 0.3 * x**1.7, "memory_bytes": 40.0 * x**2} for x in (64, 96, 128, 256)]
    found = growing.exponents(points)
    assert found == {"seconds": pytest.approx(1.7, abs=1e-9), "memory": pytest.approx(2, abs=1e-9)}
    assert growing.exponents(points[:1]) == {"seconds": None, "memory": None}
    assert growing.exponents([point | {"memory_bytes": None} for point in points])["memory"] is None


def test_growth_varies_one_thing_at_a_time():
    found = costs.growth("activations", sizes=(32, 48), batches=(1, 2), size=32, seconds=0)
    assert found["steps"]["points"] == []
    for name, places in (("size", [32, 48]), ("batch", [1, 2])):
        assert [point["at"] for point in found[name]["points"]] == places
        assert all(point["median_s"] > 0 for point in found[name]["points"])
        assert found[name]["points"][0]["memory_bytes"] < found[name]["points"][1]["memory_bytes"]
        assert set(found[name]["exponents"]) == {"seconds", "memory"}
    picture = growing.drawn(found)
    assert picture.shape[-1] == 3
    assert 0 <= picture.min() < picture.max() <= 1


def test_growth_over_steps_is_one_program():
    found = costs.growth("ifgsm", sizes=(), batches=(), steps=(1, 3), size=32, seconds=0)
    points = found["steps"]["points"]
    assert [point["at"] for point in points] == [1, 3]
    assert points[0]["memory_bytes"] == points[1]["memory_bytes"]
    assert found["size"] == {"points": [], "exponents": {"seconds": None, "memory": None}}


def operation(start, duration, module="jit_advance"):
    return {"ph": "X", "name": "fusion", "ts": start, "dur": duration, "args": {"hlo_module": module}}


def call(start, duration=1):
    return {"ph": "X", "name": "PjitFunction(advance)", "ts": start, "dur": duration}


def test_waits_are_told_apart():
    events = [
        *(call(0, 4), call(1, 2)),  # one within the other: one call
        *(operation(10, 40), operation(30, 40)),  # overlap: busy from 10 to 70
        operation(72, 2),  # of which threads are at work until 75
        {"ph": "X", "name": waiting.UNDER_WAY, "ts": 71, "dur": 4},
        operation(79, 1),  # after waits of 1 and 4 within the chunk
        call(85),
        operation(90, 2, "jit_copy"),  # another program, between the chunks
        operation(95, 15),  # after 80, 10 and 3 of waiting
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": 2, "args": {"name": "XLA Modules"}},
        operation(0, 200) | {"pid": 1, "tid": 2},  # a summary of both chunks
        {"ph": "X", "name": "python", "ts": 0, "dur": 300},
    ]
    found = waiting.waits(events)
    assert found == {"chunks": 2, "traced_s": 1e-4, "idle": 0.18, "between": 0.13}


def test_a_trace_without_the_loop_is_refused(tmp_path):
    with gzip.open(tmp_path / "a.trace.json.gz", "wt") as file:
        json.dump({"traceEvents": [operation(0, 1, "jit_other")]}, file)
    with pytest.raises(ValueError, match="no operation of the loop"):
        waiting.waits(waiting.events(tmp_path / "a.trace.json.gz"))


def test_a_method_without_a_loop_has_no_gaps(tmp_path):
    with pytest.raises(ValueError, match="gradient minimizes nothing"):
        costs.gaps("gradient", tmp_path)


def test_a_process_that_fails_is_told_of(monkeypatch):
    from jaxviz.costs import starting

    monkeypatch.setattr(starting, "CODE", "raise SystemExit('no luck')")
    with pytest.raises(RuntimeError, match="a process of gradient failed: no luck"):
        costs.startup()
