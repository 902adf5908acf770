"""How long a process takes from its start to the first step of a technique, with an empty cache and a full one."""

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

import jax

from jaxviz._checks import known, whole
from jaxviz.costs.machines import ROOT
from jaxviz.costs.programs import TECHNIQUES, program

STAGES = ("interpreter", "import", "arguments", "first", "second")
CODE = (
    "import sys, time; began = time.time(); import jaxviz; imported = time.time(); "
    "from jaxviz.costs import starting; starting.child(began, imported, *sys.argv[1:])"
)


def startup(
    technique: str = "gradient", *, size: int = 128, precision: str = "float32", runs: int = 1
) -> dict[str, Any]:
    """Returns the seconds of each stage of new processes: cold, with no compiled program kept, then warm.

    | stage | until |
    |---|---|
    | interpreter | Python runs its first line |
    | import | `import jaxviz` is done |
    | arguments | weights, picture and, of a technique that minimizes, its first state are there |
    | first | the first call has its result: it traces, compiles or reads what was compiled, and runs |
    | second | the same once more: what a call takes from then on |

    `first_step` is the sum of all but the last.

    Args:
      technique: One of `TECHNIQUES`.
      size: Side of the picture in pixels.
      precision: Of the network.
      runs: How many cold processes, each with a cache folder of its own, and warm ones after each.

    Returns:
      "cold" and "warm" → a list of one dictionary for each run.

    Raises:
      KeyError: If there is no such technique.
      ValueError: If size or runs are below 1.
      RuntimeError: If a process failed; the message has the last line it wrote.

    Example:
      >>> from jaxviz import costs
      >>> found = costs.startup("activations", size=32)
      >>> found["warm"][0]["first_step"] > found["warm"][0]["second"]
      True
    """
    known(technique, TECHNIQUES, "technique")
    whole(size, "size")
    found: dict[str, Any] = {"technique": technique, "size": size, "precision": precision}
    found |= {"cold": [], "warm": []}
    for _ in range(whole(runs, "runs")):
        with tempfile.TemporaryDirectory(prefix="jaxviz-cache-") as cache:
            for kind in ("cold", "warm"):
                found[kind].append(_run(technique, size, precision, cache))
    return found


def _run(technique: str, size: int, precision: str, cache: str) -> dict[str, float]:
    # The same jaxviz as here, wherever the process is started.
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    settings = {
        "PYTHONPATH": path,
        "JAX_ENABLE_COMPILATION_CACHE": "1",
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
    }
    command = [sys.executable, "-c", CODE, technique, str(size), precision]
    began = time.time()
    made = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
    if made.returncode:
        last = made.stderr.strip().splitlines()[-1:] or [f"exit code {made.returncode}"]
        raise RuntimeError(f"a process of {technique} failed: {last[0]}")
    moments = [began, *json.loads(made.stdout.splitlines()[-1])]
    stages = {name: moments[i + 1] - moments[i] for i, name in enumerate(STAGES)}
    return stages | {"first_step": moments[-2] - moments[0]}


def child(began: float, imported: float, technique: str, size: str, precision: str) -> None:
    """Runs in the new process: makes the technique's arguments, calls it twice, and prints when what was done."""
    moments = [began, imported]
    made = program(technique, size=int(size), precision=precision)
    arguments = jax.block_until_ready(jax.device_put(made.make()))
    moments.append(time.time())
    function = jax.jit(made.function)
    for _ in range(2):
        jax.block_until_ready(function(*arguments))
        moments.append(time.time())
    print(json.dumps(moments))  # noqa: T201
