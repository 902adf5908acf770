"""Run with two virtual devices: three steps of training on both and on one, for tests/training/test_devices.py.

`python trained_on_devices.py FILE FOLDER` writes an `.npz`; FOLDER has photographs, and is for the runs too.
"""

import sys
from pathlib import Path

import jax
import numpy as np
import trainings

import jaxviz
from jaxviz import jobs, training


def main(path, folder):
    recipe = trainings.fast(trainings.network())
    made = {}
    for name, mesh in (("one", None), ("two", jaxviz.mesh(2))):
        run = Path(folder).parent / name
        given = {"steps": 3, "batch": 4, "size": 32, "tell_every": 1, "sheet_every": 10}
        trained = training.train(recipe, jobs.open_source(folder), run, mesh=mesh, **given)
        made[f"{name}/losses"] = [row["loss"] for row in training.read_log(run / "log.csv")]
        leaves = jax.tree.leaves((trained.model.params, trained.model.statistics))
        made |= {f"{name}/{k}": np.asarray(leaf) for k, leaf in enumerate(leaves)}
    try:
        training.train(recipe, jobs.open_source(folder), run, steps=1, batch=3, size=32, mesh=jaxviz.mesh(2))
    except ValueError as error:
        made["refused"] = str(error)
    np.savez(path, **made)


if __name__ == "__main__":
    main(*sys.argv[1:])
