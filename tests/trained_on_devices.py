"""Run with two virtual devices: three steps of training on both and on one, for tests/training/test_devices.py.

`python trained_on_devices.py FILE FOLDER METHOD` writes an `.npz`; FOLDER has photographs, and is for the runs too.
"""

import sys
from pathlib import Path

import jax
import numpy as np
import trainings

import jaxviz
from jaxviz import jobs, training


def cast(network):
    # Batches of four go around the end of the queue.
    changes = {"slimness": 32, "code_layers": ("relu1_1", "relu2_1"), "code_size": 8, "queue": 6}
    changes |= {"discriminator_width": 4, "contrasted": "both", "learning_rate": 1e-4}
    return training.contrastive(network, training.CAST["default"].merged(changes))


def main(path, folder, method):
    recipe = {"fast": trainings.fast, "cast": cast}[method](trainings.network())
    source, made = jobs.open_source(folder), {}
    for name, mesh in (("one", None), ("two", jaxviz.mesh(2))):
        run = Path(folder).parent / name
        given = {"steps": 3, "batch": 4, "size": 32, "tell_every": 1, "sheet_every": 10}
        trained = training.train(recipe, source, run, styles=source, mesh=mesh, **given)
        skipped = ("step", "per_second")
        rows = training.read_log(run / "log.csv")
        made[f"{name}/losses"] = [[row[key] for key in row if key not in skipped] for row in rows]
        leaves = jax.tree.leaves(_weights(trained.model))
        made |= {f"{name}/{k}": np.asarray(leaf) for k, leaf in enumerate(leaves)}
    try:
        training.train(recipe, source, run, styles=source, steps=1, batch=3, size=32, mesh=jaxviz.mesh(2))
    except ValueError as error:
        made["refused"] = str(error)
    np.savez(path, **made)


def _weights(model):
    return model.params, getattr(model, "statistics", None) or model.projector.params


if __name__ == "__main__":
    main(*sys.argv[1:])
