"""The files from which users start runs on several hosts: their syntax, and that their options exist."""

import re
import subprocess
from pathlib import Path

import pytest
import typer.main

import jaxviz
from jaxviz import cli

FOLDER = Path(jaxviz.__file__).parent.parent / "docs" / "launch"
SCRIPTS = sorted(FOLDER.glob("*.sh"))


def options(name):
    """Every option of a command."""
    command = typer.main.get_command(cli.app).commands[name]
    return {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}


def test_there_are_some():
    assert [path.name for path in SCRIPTS] == ["slurm.sh", "tpu_pod.sh"]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_can_be_parsed(path):
    assert subprocess.run(["bash", "-n", path], capture_output=True, text=True).stderr == ""


@pytest.mark.parametrize("path", [*SCRIPTS, FOLDER / "jobset.yaml"], ids=lambda path: path.name)
def test_their_options_exist(path):
    found = re.findall(
        r"jaxviz (saliency) (.*?--out [^\n]*(?:\n[^\n]*--coordinator[^\n]*)?)", path.read_text()
    )
    assert len(found) == 1
    ((name, line),) = found
    assert set(re.findall(r"--[a-z][a-z-]*", line)) <= options(name)


def test_the_jobset_agrees_with_itself():
    yaml = pytest.importorskip("yaml")
    whole = yaml.safe_load((FOLDER / "jobset.yaml").read_text())
    (group,) = whole["spec"]["replicatedJobs"]
    job = group["template"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    command = container["command"][-1]
    name = whole["metadata"]["name"]
    assert job["parallelism"] == job["completions"]
    assert f"--processes {job['completions']} " in command
    # Names of pods are JOBSET-GROUP-JOB-POD.JOBSET.
    (port,) = container["ports"]
    assert f"--coordinator {name}-{group['name']}-0-0.{name}:{port['containerPort']} " in command
