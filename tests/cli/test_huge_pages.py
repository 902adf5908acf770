"""The command restarts itself once, for memory in huge pages, and nothing else of it changes."""

import os
import subprocess
import sys

import pytest

import jaxviz_command
from jaxviz_command import TUNABLE, with_huge_pages

REPORT = """
import os, sys
def report():
    print(os.getpid(), os.environ.get("GLIBC_TUNABLES", ""), sys.argv[1:], sys.stdin.read(), "jax" in sys.modules)
    return 7
class Fake: process = staticmethod(report)
import jaxviz_command
jaxviz_command.offered = lambda: True
print(os.getpid(), "jax" in sys.modules, flush=True)
if "GLIBC_TUNABLES" in os.environ: sys.modules["jaxviz"] = sys.modules["jaxviz.cli"] = Fake
sys.exit(jaxviz_command.main())
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="only glibc reads the tunable")


@pytest.fixture
def kernel(monkeypatch, tmp_path):
    """The function that makes kernel and C library say what they offer."""

    def offer(pages="always [madvise] never", library="glibc 2.36"):
        (tmp_path / "enabled").write_text(pages)
        monkeypatch.setattr(jaxviz_command, "KERNEL", tmp_path / "enabled")
        monkeypatch.setattr(os, "confstr", lambda name: library, raising=False)

    return offer


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, f"{TUNABLE}=1"),
        ({"GLIBC_TUNABLES": "glibc.malloc.check=3"}, f"glibc.malloc.check=3:{TUNABLE}=1"),
        ({"JAXVIZ_HUGE_PAGES": "1"}, f"{TUNABLE}=1"),
    ],
)
def test_tunable_is_added_to_what_is_set(kernel, before, after):
    kernel()
    assert with_huge_pages(before) == before | {"GLIBC_TUNABLES": after}


@pytest.mark.parametrize(
    "environment", [{"JAXVIZ_HUGE_PAGES": "0"}, {"GLIBC_TUNABLES": f"a=1:{TUNABLE}=0"}], ids=str
)
def test_what_the_user_has_set_stays(kernel, environment):
    kernel()
    assert with_huge_pages(environment) is None


@pytest.mark.parametrize(
    "offered",
    [
        {"pages": "[always] madvise never"},
        {"pages": "always madvise [never]"},
        {"library": "glibc 2.31"},
        {"library": "musl 1.2.5"},
        {"library": None},
    ],
    ids=str,
)
def test_nothing_happens_where_there_are_none(kernel, offered):
    kernel(**offered)
    assert with_huge_pages({}) is None


def test_nothing_happens_on_other_systems(kernel, monkeypatch, tmp_path):
    kernel()
    monkeypatch.setattr(jaxviz_command, "KERNEL", tmp_path / "absent")
    assert with_huge_pages({}) is None
    kernel()
    monkeypatch.delattr(os, "confstr")
    assert with_huge_pages({}) is None


@linux
def test_process_starts_anew_once_before_jax_is_imported(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    process = subprocess.Popen(
        [sys.executable, "-c", REPORT, "one", "two words"],
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    stdout, stderr = process.communicate("what was piped", timeout=60)
    assert (process.returncode, stderr) == (7, "")
    assert stdout.splitlines() == [
        f"{process.pid} False",
        f"{process.pid} False",
        f"{process.pid} {TUNABLE}=1 ['one', 'two words'] what was piped False",
    ]


@linux
def test_command_goes_on_where_it_cannot_start_anew(monkeypatch):
    def refused(*arguments):
        raise OSError

    monkeypatch.setattr(jaxviz_command, "offered", lambda: True)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setattr(os, "execve", refused)
    monkeypatch.setattr("jaxviz.cli.process", lambda: 7)
    assert jaxviz_command.main() == 7
