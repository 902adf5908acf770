"""Runs that several processes share, over loopback."""

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

from jaxviz import distributed
from jaxviz.jobs import sharing

TESTS = Path(__file__).parent
SLURM = {
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_NODELIST": "localhost",
    "SLURM_NTASKS": "2",
    "SLURM_PROCID": "{index}",
    "SLURM_LOCALID": "0",
}


def grouped(folder, *steps):
    """What came of groups of processes, one group after another; see grouped.py."""
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(TESTS.parent.parent), str(TESTS)]),
    }
    ran = subprocess.run(
        [sys.executable, TESTS / "grouped.py", folder, json.dumps(steps)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def files(folder):
    """Name → hash of every file of a run but its manifest and lock."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("manifest.json", ".lock")
    }


def made(outcomes):
    """Pictures that each process has computed."""
    return [outcome["report"]["own"] for outcome in outcomes]


def codes(outcomes):
    return [outcome["code"] for outcome in outcomes]


def check_rows(folder, count=30):
    """Every picture has one row."""
    rows = [
        row
        for path in sorted(folder.glob("results-*.parquet"))
        for row in pyarrow.parquet.read_table(path, columns=["index"]).to_pylist()
    ]
    assert [row["index"] for row in rows] == list(range(count))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("groups")


@pytest.fixture(scope="module")
def outcomes(folder):
    steps = {
        "one": {"count": 1},
        "two": {"count": 2, "all": {"environment": SLURM, "seconds": 0.02}},
        "few": {"count": 3, "all": {"pictures": 2, "bad": [], "shard": None}},
        "differing": {
            "count": 2,
            "0": {"settings": {"weights_sha256": "a"}},
            "1": {"settings": {"weights_sha256": "b"}, "code": "changed"},
        },
        "plain": {"count": 2, "all": {"plain": True}},
        "led": {"count": 2, "all": {"seconds": 0.1}, "0": {"at": 2, "what": "killed"}},
        "again": {"count": 1, "folder": "led"},
    }
    found = grouped(folder, *[{"folder": name, **step} for name, step in steps.items()])
    return dict(zip(steps, found, strict=True))


def test_two_processes_make_what_one_makes_to_the_bit(outcomes, folder):
    assert codes(outcomes["two"]) == [0, 0]
    assert min(made(outcomes["two"])) > 0
    assert sum(made(outcomes["two"])) == made(outcomes["one"])[0] == 29
    assert files(folder / "two") == files(folder / "one")
    manifests = [json.loads((folder / name / "manifest.json").read_text()) for name in ("one", "two")]
    assert [manifest.pop("processes") for manifest in manifests] == [1, 2]
    assert manifests[0] == manifests[1]
    for outcome in outcomes["two"]:
        report = outcome["report"]
        assert (report["total"], report["made"], report["already"], report["idle"]) == (30, 30, 0, 0)
        assert report["seen"] == sorted(report["seen"])
        assert report["seen"][-1] == 30


def test_processes_that_have_joined_by_themselves_share_one_run_after_another(outcomes, folder):
    assert codes(outcomes["plain"]) == [0, 0]
    assert files(folder / "plain") == files(folder / "one")
    assert [outcome["report"]["already"] for outcome in outcomes["plain"]] == [30, 30]


def test_more_processes_than_pictures(outcomes, folder):
    assert codes(outcomes["few"]) == [0, 0, 0]
    assert made(outcomes["few"]) == [1, 1, 0]
    assert outcomes["few"][0]["report"]["idle"] == 1
    assert json.loads((folder / "few" / "manifest.json").read_text())["shard"] == 1
    check_rows(folder / "few", 2)


def test_processes_with_other_weights_or_code_are_refused_by_all(outcomes, folder):
    assert codes(outcomes["differing"]) == [1, 1]
    for outcome in outcomes["differing"]:
        (line,) = outcome["said"]
        assert line.startswith("jaxviz: the processes differ: code_sha256 is ")
        assert (
            ' and "changed" in process 1; settings.weights_sha256 is "a" in process 0 and "b" in process 1'
            in line
        )
        assert line.endswith("; give all the same options, weights, pictures and code")
    assert not (folder / "differing").exists()


def test_when_the_first_process_is_killed_the_other_stops_and_a_restart_goes_on(outcomes, folder):
    first, other = outcomes["led"]
    assert (first["code"], other["code"]) == (-9, 1)
    assert other["seconds"] - first["seconds"] < 10
    (line,) = other["said"]
    assert line.startswith(
        "jaxviz: process 0, where the coordinator is, has ended or cannot be reached; noth"
    )
    (again,) = outcomes["again"]
    assert again["report"]["already"] > 0
    assert again["report"]["own"] + again["report"]["already"] in (29, 30)
    assert files(folder / "led") == files(folder / "one")


@pytest.mark.slow
def test_when_another_process_is_killed_the_others_stop_and_any_number_goes_on(tmp_path):
    killed, again, one = grouped(
        tmp_path,
        {"folder": "a", "count": 4, "all": {"seconds": 0.1}, "2": {"at": 1, "what": "killed"}},
        {"folder": "a", "count": 2},
        {"folder": "one", "count": 1},
    )
    assert codes(killed) == [1, 1, -9, 1]
    for outcome in (killed[0], killed[1], killed[3]):
        assert outcome["seconds"] - killed[2]["seconds"] < 45
        (line,) = outcome["said"]
        assert line.startswith("jaxviz: process 2 on ")
        assert "was killed, or cannot be reached any more; nothing is lost" in line
    assert codes(again) == [0, 0]
    assert again[0]["report"]["already"] > 0
    assert sum(made(again)) in (29 - again[0]["report"]["already"], 30 - again[0]["report"]["already"])
    assert files(tmp_path / "a") == files(tmp_path / "one")
    assert codes(one) == [0]


@pytest.mark.slow
def test_twelve_kills_of_groups_of_all_sizes_lose_nothing_double_nothing_and_change_no_bit(tmp_path):
    randomness, steps = random.Random(0), [{"folder": "one", "count": 1, "all": {"pictures": 600}}]
    for k in range(12):
        count = 2 + k % 3
        kill = [randomness.randrange(count), randomness.uniform(0.3, 2.5)]
        told = {"pictures": 600, "seconds": 0.5, "heartbeat": 5, "wait": 10}
        steps.append({"folder": "killed", "count": count, "all": told, "kill": kill})
    *attempts, last = grouped(tmp_path, *steps, {"folder": "killed", "count": 2, "all": {"pictures": 600}})
    for outcomes in attempts[1:]:
        assert sorted(set(codes(outcomes))) == [-9, 1]
        assert codes(outcomes).count(-9) == 1
        assert max(outcome["seconds"] for outcome in outcomes) < 30
    assert codes(last) == [0, 0]
    assert sum(made(last)) > 0
    assert files(tmp_path / "killed") == files(tmp_path / "one")
    check_rows(tmp_path / "killed", 600)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "code", "own", "others"),
    [
        ("full", 1, "no room is left on the disk; free some, and run the same again", "stopped: "),
        ("interrupted", 130, "", "was interrupted; nothing is lost"),
    ],
)
def test_a_process_that_stops_tells_the_others(tmp_path, what, code, own, others):
    stopped, again, _ = grouped(
        tmp_path,
        {"folder": "a", "count": 3, "all": {"seconds": 0.1}, "1": {"at": 1, "what": what}},
        {"folder": "a", "count": 4},
        {"folder": "one", "count": 1},
    )
    assert codes(stopped) == [1, code, 1]
    assert own in stopped[1]["said"][0]
    for outcome in (stopped[0], stopped[2]):
        assert outcome["seconds"] < 30
        assert outcome["said"][0].startswith("jaxviz: process 1 on ")
        assert others in outcome["said"][0]
    assert codes(again) == [0, 0, 0, 0]
    assert files(tmp_path / "a") == files(tmp_path / "one")


@pytest.mark.slow
def test_work_that_does_not_end_is_ended(tmp_path):
    (outcomes,) = grouped(
        tmp_path,
        {
            "folder": "a",
            "count": 2,
            "0": {"at": 1, "what": "interrupted"},
            "1": {"at": 1, "what": "busy"},
        },
    )
    assert codes(outcomes) == [130, 1]
    assert max(outcome["seconds"] for outcome in outcomes) < 45
    assert "process 0 on " in outcomes[1]["said"][0]


@pytest.mark.slow
@pytest.mark.parametrize("there", [0, 1])
def test_a_coordinator_or_a_process_that_does_not_come(tmp_path, there):
    (outcomes,) = grouped(tmp_path, {"folder": "a", "count": 2, "only": [there], "all": {"wait": 8}})
    (outcome,) = outcomes
    assert outcome["code"] == 1
    assert outcome["seconds"] < 20
    (line,) = outcome["said"]
    assert line.startswith("jaxviz: not all of 2 processes came to the coordinator 127.0.0.1:")
    assert "within 8 s" in line


@pytest.mark.slow
def test_a_folder_that_is_not_shared_is_refused(tmp_path):
    (outcomes,) = grouped(tmp_path, {"folder": "a", "count": 2, "all": {"seen": 3}, "1": {"out": "b"}})
    assert codes(outcomes) == [1, 1]
    for outcome in outcomes:
        assert "process 1 does not see what process 0 writes to " in outcome["said"][0]
    assert not list(tmp_path.rglob("*.parquet"))
    assert not list(tmp_path.rglob(".jaxviz-*"))


@pytest.mark.slow
def test_where_nothing_says_that_there_are_others(tmp_path):
    (outcomes,) = grouped(tmp_path, {"folder": "a", "count": 2, "only": [0], "all": {"environment": {}}})
    assert outcomes[0]["code"] == 1
    assert "give coordinator, processes and process" in outcomes[0]["said"][0]


@pytest.mark.parametrize(
    ("environment", "several"),
    [
        ({}, False),
        (SLURM, True),
        ({**SLURM, "SLURM_NTASKS": "1"}, False),
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, False),
        ({"OMPI_MCA_orte_hnp_uri": "1.0;tcp://a:1", "OMPI_COMM_WORLD_SIZE": "2"}, True),
        ({"TPU_WORKER_HOSTNAMES": "a,b"}, True),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, False),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, False),
    ],
)
def test_what_the_environment_says(environment, several):
    assert distributed.is_said(environment) == several


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("a:1", 2), "some are missing; give all three, or none"),
        (("a:1", 2, 2), "process is 2 of 2; expected a number from 0 to 1"),
        (("a", 2, 0), "coordinator is 'a'; expected HOST:PORT"),
    ],
)
def test_groups_that_cannot_be(given, words):
    with pytest.raises(ValueError, match=words), distributed.joined(*given):
        pass


def test_shards_are_shared_without_rest():
    for count in (1, 2, 3, 5):
        parts = [sharing.share([1, 4, 5, 9], group(k, count)) for k in range(count)]
        assert sorted(k for part in parts for k in part) == [1, 4, 5, 9]


def group(index, count):
    made = distributed.Alone()
    made.index, made.count = index, count
    return made
