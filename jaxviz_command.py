"""The command `jaxviz`, in a process that gets its memory in huge pages.

The temporary memory of a compiled program is mapped anew in each call, and the first touch of each of its pages of
4 KiB takes time. glibc asks for pages of 2 MiB if a tunable says so when a process starts: this one replaces itself
once, in about 15 ms. The module lies beside the package because to import any of that imports JAX.
"""

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

TUNABLE = "glibc.malloc.hugetlb"
SWITCH = "JAXVIZ_HUGE_PAGES"
KERNEL = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def main() -> int:
    """Runs the command line, and returns its exit code."""
    environment = with_huge_pages(os.environ)
    if environment is not None and sys.executable:
        with contextlib.suppress(OSError):  # then without
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    from jaxviz.cli import process

    return process()


def with_huge_pages(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Returns the environment in which a process gets huge pages.

    None where nothing is to change: they are asked for already, `JAXVIZ_HUGE_PAGES` is 0, or the system has none.
    """
    tunables = environment.get("GLIBC_TUNABLES", "")
    if TUNABLE in tunables or environment.get(SWITCH) == "0" or not offered():
        return None
    return {**environment, "GLIBC_TUNABLES": f"{tunables}:{TUNABLE}=1".lstrip(":")}


def offered() -> bool:
    """Returns whether this glibc has the tunable (since 2.35), and the kernel gives huge pages to who asks."""
    try:
        library, version = os.confstr("CS_GNU_LIBC_VERSION").split()  # type: ignore[union-attr]
        asked = "[madvise]" in KERNEL.read_text()
    except (AttributeError, ValueError, OSError):
        return False
    return library == "glibc" and asked and tuple(map(int, version.split("."))) >= (2, 35)
