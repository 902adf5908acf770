"""What is measured on: commit, processor, load, and whether memory comes in huge pages. Imports no runtime."""

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

from jaxviz_command import TUNABLE, with_huge_pages

ROOT = Path(__file__).resolve().parents[1]


def facts(environment: dict[str, str], commit_given: str = "") -> dict[str, Any]:
    """Returns what of the machine and the checkout a record is to say."""
    return {
        "commit": commit_given or commit(),
        "processor": processor(),
        "cores": cores(),
        "huge_pages": f"{TUNABLE}=1" in environment.get("GLIBC_TUNABLES", ""),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def environment(huge_pages: bool) -> dict[str, str]:
    """Returns the environment of both sides' processes."""
    plain = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    return (with_huge_pages(plain) if huge_pages else None) or plain


def commit() -> str:
    """Returns the commit of the checkout, marked where tracked files differ from it; "unknown" without git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=10", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load() -> float:
    """Returns how many cores were busy on average over the last minute; 0 where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def processor() -> str:
    """Returns the processor's name."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
