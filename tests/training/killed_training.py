"""Kills a training with signal 9 in each phase, and resumes it; run by test_killed.py as a process of its own.

Each attempt is a fork of this process, which has imported everything and started nothing.
"""

import json
import os
import signal
import sys
import warnings
from pathlib import Path

import jax
import numpy as np
import trainings

from jaxviz import images, jobs, stylization, training
from jaxviz.training import data, keeping, reports

STEPS = 4


def die(*arguments, **options):
    """What a kill at this place does."""
    os.kill(os.getpid(), signal.SIGKILL)


def at_reading():
    data.Crop.__call__ = die


def in_a_checkpoint():
    import orbax.checkpoint as ocp

    # The state's files are there, and the step is not yet told to be whole.
    ocp.CheckpointManager.wait_until_finished = die


def after_a_checkpoint():
    save = keeping.Kept.save

    def saved(kept, step, state):
        save(kept, step, state)
        die()

    keeping.Kept.save = saved


def in_the_log():
    write = keeping.Log._write

    def torn(log, rows, mode):
        write(log, rows, mode)
        if len(log.rows) == 3:
            with log.path.open("a") as file:
                file.write("4,1.5,")
            die()

    keeping.Log._write = torn


def at_a_sheet():
    reports.Reports.draw = die


def in_the_model():
    stylization.save = die


PHASES = {
    phase.__name__: phase
    for phase in (at_reading, in_a_checkpoint, after_a_checkpoint, in_the_log, at_a_sheet, in_the_model)
}


def attempt(folder, name, phase=None):
    """Returns how a run ended that was begun, or gone on with, in a child: its signal, or 0."""
    with warnings.catch_warnings(action="ignore"):  # JAX warns of forks; the child is all that uses it
        child = os.fork()
    if child == 0:
        if phase is not None:
            PHASES[phase]()
        recipe = trainings.fast(trainings.network())
        out = folder / name
        every = {"checkpoint_every": 2, "sheet_every": 3, "tell_every": 1}
        training.train(
            recipe,
            jobs.open_source(folder / "photos"),
            out,
            **{"steps": STEPS, "batch": 2, "size": 32, "resume": out.exists()},
            **every,
        )
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


def found(run):
    """Returns what is left of a run: weights, losses, and how it says it stands."""
    model = stylization.load(run / "model.safetensors")
    leaves = jax.tree.leaves((model.params, model.statistics))
    return {
        "weights": [np.asarray(leaf).tobytes().hex()[:64] for leaf in leaves],
        "losses": [row["loss"] for row in training.read_log(run / "log.csv")],
        "state": json.loads((run / "run.json").read_text())["state"],
        "sheets": sorted(path.name for path in (run / "sheets").iterdir()),
    }


def main():
    folder = Path(sys.argv[1])
    (folder / "photos").mkdir()
    random = np.random.default_rng(0)
    for k in range(5):
        images.write(folder / f"photos/{k}.png", random.random((40, 44, 3), np.float32))
    signals = {name: attempt(folder, name, name) for name in PHASES}
    ends = {name: attempt(folder, name) for name in [*PHASES, "whole"]}
    runs = {name: found(folder / name) for name in ends}
    sys.stdout.write(json.dumps({"signals": signals, "ends": ends, "runs": runs}))


if __name__ == "__main__":
    main()
