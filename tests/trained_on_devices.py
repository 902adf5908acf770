"""Run with two virtual devices: three steps of training on both and on one, for tests/training/test_devices.py.

`python trained_on_devices.py FILE FOLDER` writes an `.npz`; FOLDER has photographs, and is for the runs too.
"""

import sys
from pathlib import Path

import jax
import numpy as np

import jaxviz
from jaxviz import jobs, networks, training
from jaxviz.networks.preprocessing import TORCHVISION
from jaxviz.networks.vgg import VGG


def main(path, folder):
    architecture = VGG((1, 1, 1, 1, 1))
    params = networks.network.drawn_parameters(architecture, jax.random.key(7))
    network = networks.Network(params, architecture, TORCHVISION, "tiny")
    changes = {
        "norm": "batch",
        "width": 2,
        "content_layers": {"relu2_1": 1.0},
        "style_layers": {"relu1_1": 1.0},
    }
    painting = np.random.default_rng(1).random((48, 48, 3), np.float32)
    recipe = training.perceptual(network, {"noise": painting}, training.FAST["default"].merged(changes))
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
