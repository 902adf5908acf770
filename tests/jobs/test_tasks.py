import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pyarrow.parquet
import pytest
from little import Drawn

from jaxviz import jobs, optimizers

DATA = Path(__file__).parents[1] / "data"
EVENT = "/jax/core/compile/backend_compile_duration"


def rows(folder):
    return [
        row for p in sorted(folder.glob("*.parquet")) for row in pyarrow.parquet.read_table(p).to_pylist()
    ]


@pytest.fixture
def compiled():
    """A list that gains the name of every program compiled."""
    seen = []

    def listen(event, seconds, **about):
        if event == EVENT:
            seen.append(about.get("fun_name", event))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield seen
    jax.monitoring.unregister_event_duration_listener(listen)


def test_mixed_sizes_compile_few_programs(tmp_path, vgg16, compiled):
    """Three shapes times the batch sizes 1, 2 and 4 of the loop: no more, however many sizes there are."""
    random = np.random.default_rng(0)

    def source(count):
        return Drawn(count, shapes=[tuple(random.integers(40, 200, 2).tolist()) for _ in range(count)])

    def run(name, count):
        compiled.clear()
        task = jobs.inversion(vgg16, layer="relu1_1", size=64, steps=1, optimizer=optimizers.adam())
        jobs.run(task, source(count), out=tmp_path / name)
        return [name for name in compiled if "advance" in name or "run" in name]

    assert 0 < len(run("first", 30)) <= 9
    run("second", 29)
    assert len(run("third", 31)) <= 2
    assert len(rows(tmp_path / "third")) == 31


def test_batches_of_a_run_compile_nothing_new(tmp_path, classifier, compiled):
    jobs.run(jobs.classify(classifier, size=48), Drawn(16), out=tmp_path / "a")
    jobs.run(jobs.classify(classifier, size=48), Drawn(7), out=tmp_path / "b")
    compiled.clear()
    jobs.run(jobs.classify(classifier, size=48), Drawn(43), out=tmp_path / "c")
    assert compiled == []


def test_a_new_epsilon_or_label_compiles_nothing(tmp_path, classifier, compiled):
    for k, options in enumerate(({"epsilon": 0.1}, {"epsilon": 0.02}, {"epsilon": 0.3, "label": 5})):
        compiled.clear()
        jobs.run(jobs.attack(classifier, size=48, **options), Drawn(4), out=tmp_path / str(k))
        assert k == 0 or compiled == []


@pytest.mark.slow
def test_several_devices_give_the_same(tmp_path):
    program = (
        "import sys, jax, jaxviz; from jaxviz import jobs;"
        "network = jaxviz.load('squeezenet1_1');"
        "tasks = {'classify': jobs.classify(network, size=48),"
        " 'hirescam': jobs.saliency(network, method='hirescam', size=48, save='arrays'),"
        " 'ifgsm': jobs.attack(network, method='ifgsm', size=48, save='arrays', label=3)};"
        "mesh = jaxviz.mesh('all') if len(jax.devices()) > 1 else None;"
        "[jobs.run(task, 'tfds:drawn', out=f'{sys.argv[1]}/{name}', mesh=mesh, batch=4)"
        " for name, task in tasks.items()]; print(len(jax.devices()))"
    )
    for count in (1, 8):
        environment = os.environ | {
            "TFDS_DATA_DIR": str(DATA),
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}",
        }
        command = [sys.executable, "-c", program, str(tmp_path / str(count))]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
        assert done.stdout == f"{count}\n", done.stderr
    for name in ("classify", "hirescam", "ifgsm"):
        one, many = (rows(tmp_path / str(count) / name) for count in (1, 8))
        assert len(one) == len(many) == 20
        for a, b in zip(one, many, strict=True):
            assert a["labels"] == b["labels"]
            np.testing.assert_allclose(a["scores"], b["scores"], rtol=1e-5)
    one, many = (np.load(tmp_path / count / "hirescam" / "arrays-00000.npz")["map"] for count in "18")
    np.testing.assert_allclose(one, many, atol=1e-5 * np.abs(one).max())
    one, many = (np.load(tmp_path / count / "ifgsm" / "arrays-00000.npz")["attacked"] for count in "18")
    assert (np.abs(one - many) < 1e-6).mean() > 0.999


def test_settings_hold_all_that_decides_and_are_plain(squeezenet, vgg16):
    tasks = {
        "classify": jobs.classify(squeezenet),
        "features": jobs.features(squeezenet, ["fire4"]),
        "saliency": jobs.saliency(squeezenet, method="hirescam", layer="fire4"),
        "attack": jobs.attack(squeezenet, epsilon=0.1),
        "invert": jobs.inversion(vgg16, layer="relu1_1"),
    }
    hashes = set()
    for name, task in tasks.items():
        assert isinstance(task, jobs.Task)
        settings = json.loads(json.dumps(task.settings))
        assert settings["technique"] == name
        hashes.add(settings["network"]["weights_sha256"])
    assert len(hashes) == 2
    assert tasks["saliency"].settings["options"] == {"layer": "fire4"}
    other = jobs.attack(squeezenet, epsilon=0.2)
    assert other.settings != tasks["attack"].settings


def test_tasks_are_checked_when_they_are_made(squeezenet, vgg16):
    for make, words in (
        (lambda: jobs.classify(vgg16), "has no classifier"),
        (lambda: jobs.features(squeezenet, []), "layers is empty"),
        (lambda: jobs.features(squeezenet, ["fire99"]), "nearest"),
        (lambda: jobs.saliency(squeezenet, method="guide"), "no saliency method is named 'guide'"),
        (lambda: jobs.saliency(squeezenet, layer="fire4"), "gradient takes no layer"),
        (lambda: jobs.saliency(squeezenet, top=2, label=3), "leave label and neuron away"),
        (lambda: jobs.saliency(squeezenet, top=0), "top is 0"),
        (lambda: jobs.attack(squeezenet, save="film"), "no way to save is named 'film'"),
        (lambda: jobs.inversion(vgg16, layer="relu1_1", preset="papre"), "nearest: paper"),
    ):
        with pytest.raises((KeyError, ValueError), match=words):
            make()


def test_labels_that_are_no_class_are_failures_of_an_attack_alone(tmp_path, classifier, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(DATA))
    report = jobs.run(jobs.attack(classifier, size=48), "tfds:drawn:test[:3]", out=tmp_path / "a")
    assert len(report.failures) == 3
    assert "is no class of small" in report.failures[0][1]
    report = jobs.run(jobs.attack(classifier, size=48, label=3), "tfds:drawn:test[:3]", out=tmp_path / "b")
    assert report.failures == []


@pytest.mark.parametrize("method", ["fgsm", "ifgsm"])
def test_a_picture_of_the_targets_class_fails_alone(method, tmp_path, classifier, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(DATA))
    task = jobs.attack(classifier, size=48, label=3, target=3, method=method)
    report = jobs.run(task, "tfds:drawn:test[:2]", out=tmp_path / "a")
    assert [failure[1] for failure in report.failures] == ["its class is the target, 3"] * 2


def solving(vgg16, classifier):
    return (
        jobs.inversion(vgg16, layer="relu1_1", size=64, steps=1),
        jobs.attack(classifier, method="ifgsm", size=64, steps=1),
    )


def test_a_budget_bounds_what_is_minimized_and_compiles_nothing_twice(tmp_path, vgg16, classifier, compiled):
    for k, task in enumerate(solving(vgg16, classifier)):
        shape = (64, 64, 3)
        with pytest.raises(ValueError, match="one image needs") as told:
            task.at_once(shape, 1000, None)
        least = int(str(told.value).split("needs ")[1].split(";")[0].replace(",", ""))
        with pytest.raises(ValueError, match=f"memory is {least - 1:,} bytes"):
            task.at_once(shape, least - 1, None)
        counts = [task.at_once(shape, memory, None) for memory in (least, "8GB", None)]
        assert counts[0] == 1 < counts[1] == counts[2]
        compiled.clear()
        report = jobs.run(task, Drawn(3, shapes=((64, 64),)), out=tmp_path / str(k), memory=least)
        assert report.made == 3
        assert not [name for name in compiled if "run" in name or "advance" in name]
