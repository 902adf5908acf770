"""What is measured on: commit, processor, load, and whether memory comes in huge pages. Starts no runtime."""

import os
import platform
import time
from pathlib import Path
from typing import Any

from jaxviz.costs.machines import commit, load, processor
from jaxviz.threads import cores
from jaxviz_command import TUNABLE, with_huge_pages

__all__ = ["ROOT", "commit", "cores", "environment", "facts", "load", "processor"]

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
