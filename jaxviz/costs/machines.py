"""What is measured on: device, processor, how busy it was, and the commit of a checkout."""

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import jax

from jaxviz.threads import cores

ROOT = Path(__file__).resolve().parents[2]
HUGE_PAGES = "glibc.malloc.hugetlb=1"
"""With it the temporary memory of a program costs less; the command `jaxviz` has it by itself."""


def machine() -> dict[str, Any]:
    """Returns what a record says of the machine: device, processor, cores, those that were busy, commit, date.

    Example:
      >>> from jaxviz import costs
      >>> found = costs.machine()
      >>> found["cores"] >= 1, len(found["date"])
      (True, 10)
    """
    device = jax.devices()[0]
    return {
        "platform": device.platform,
        "device": processor() if device.platform == "cpu" else device.device_kind,
        "devices": jax.device_count(),
        "processor": processor(),
        "cores": cores(),
        "cores_busy": load(),
        "huge_pages": HUGE_PAGES in os.environ.get("GLIBC_TUNABLES", ""),
        "commit": commit(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def commit() -> str:
    """Returns the commit of the checkout, marked where tracked files differ from it; "unknown" without one."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    if not (ROOT / ".git").exists():
        return "unknown"  # installed: a repository around it is another one
    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=10", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def load() -> float:
    """Returns how many cores were busy on average over the last minute; 0 where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def processor() -> str:
    """Returns the processor's name."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
