"""`jaxviz bench` as it is called; what it measures is tested in tests/costs."""

import json

import pytest

from jaxviz import costs, images

TECHNIQUE = ("bench", "--quick", "--technique", "activations")


@pytest.fixture
def measured(command, tmp_path):
    outcome = command(*TECHNIQUE, "--json", "a.json")
    assert (outcome.code, outcome.stderr) == (0, "")
    return outcome, json.loads((tmp_path / "a.json").read_text())


def test_a_table_and_a_record(measured):
    outcome, record = measured
    assert record["settings"]["command"] == "bench"
    assert [row["technique"] for row in record["rows"]] == ["activations"]
    assert {"jaxviz", "jax"} <= set(record["versions"])
    lines = outcome.stdout.splitlines()
    assert record["machine"]["device"] in lines[0]
    assert f"jax {record['versions']['jax']}" in lines[0]
    assert record["machine"]["commit"] in lines[0]
    assert lines[1].split()[:3] == ["technique", "size", "batch"]
    assert lines[2].split()[:3] == ["activations", "32²", "1"]
    assert lines[3].startswith("ceiling: ")


def test_json_on_stdout_is_alone(command):
    assert json.loads(command(*TECHNIQUE, "--json", "-").stdout)["rows"]


def test_compare_exits_with_1_after_a_regression(command, measured, tmp_path):
    same = command("bench", "--compare", "a.json", "a.json")
    assert (same.code, same.stderr) == (0, "")
    slow = measured[1]
    for name in ("q1_s", "median_s", "q3_s"):
        slow["rows"][0][name] *= 2
    (tmp_path / "b.json").write_text(json.dumps(slow))
    worse = command("bench", "--compare", "a.json", "b.json", "--json", "c.json")
    assert (worse.code, worse.stderr) == (1, "jaxviz: 1 of 1 are slower or larger by more than 10%\n")
    assert "slower" in worse.stdout
    assert json.loads((tmp_path / "c.json").read_text())["comparison"]["regressed"] == 1
    assert command("bench", "--compare", "a.json", "b.json", "--threshold", 1.5).code == 0
    assert command("bench", "--compare", "b.json", "a.json").code == 0


def test_growth_is_drawn(command, tmp_path, monkeypatch):
    whole = costs.growth
    few = {"sizes": (32, 48), "batches": (), "steps": ()}
    monkeypatch.setattr(costs, "growth", lambda **options: whole(**options, **few))
    arguments = (
        "--growth",
        "--technique",
        "activations",
        "--seconds",
        0,
        "--plot",
        "a.png",
        "--json",
        "a.json",
    )
    outcome = command("bench", *arguments)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "seconds ∝ size^" in outcome.stdout
    assert images.read(tmp_path / "a.png").ndim == 3
    assert len(json.loads((tmp_path / "a.json").read_text())["growth"]["size"]["points"]) == 2


def test_gaps_leave_a_trace(command, tmp_path, monkeypatch):
    whole = costs.gaps
    monkeypatch.setattr(costs, "gaps", lambda **options: whole(**options, seconds=0))
    outcome = command("bench", "--gaps", "traces", "--technique", "ifgsm", "--size", 32, "--json", "a.json")
    assert (outcome.code, outcome.stderr) == (0, "")
    found = json.loads((tmp_path / "a.json").read_text())["gaps"]
    assert (tmp_path / found["trace"]).is_file()
    assert found["chunks"] >= 2
    assert 0 <= found["between"] <= found["idle"] < 1
    assert 0 <= found["between_by_clock"] < 1


@pytest.mark.slow  # two processes; costs.startup's own example starts them too
def test_startup_tells_stages_of_cold_and_warm_processes(command, tmp_path):
    arguments = ("--startup", 1, "--technique", "activations", "--size", 32, "--json", "a.json")
    outcome = command("bench", *arguments)
    assert (outcome.code, outcome.stderr) == (0, "")
    found = json.loads((tmp_path / "a.json").read_text())["startup"]
    for kind in ("cold", "warm"):
        (run,) = found[kind]
        stages = ("interpreter", "import", "arguments", "first")
        assert run["first_step"] == pytest.approx(sum(run[name] for name in stages))
        assert min(run.values()) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--technique", "gradeint"), "nearest: gradient"),
        (("--growth", "--startup", 1), "--growth and --startup are given; take one of them"),
        (("--plot", "a.png"), "--plot is given without --growth"),
        (("--growth", "--technique", "fgsm", "--technique", "pgd"), "--growth takes one --technique, not 2"),
        (("--precision", "float16"), "no precision is named 'float16'"),
        (("--gaps", "t", "--technique", "gradient"), "gradient minimizes nothing"),
        (("--compare", "a.json"), "--compare"),
        (("--compare", "a.json", "b.json"), "a.json does not exist"),
        (("--startup", 0), "--startup"),
    ],
)
def test_bad_options_give_one_line(command, tmp_path, arguments, message):
    outcome = command("bench", *arguments)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert message in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
