"""Run with two virtual devices: some steps of a fit on both and on one, for tests/radiance/test_fitting.py.

`python fitted_on_devices.py FILE FOLDER` writes an `.npz`; the scene is drawn in FOLDER.
"""

import sys
from pathlib import Path

import drawn_scene
import numpy as np

import jaxviz
from jaxviz import radiance


def main(path, folder):
    drawn_scene.write_blender(Path(folder), drawn_scene.around(4), drawn_scene.around(1), (12, 12), 14.0)
    scene = radiance.read(folder)
    little = {
        "steps": 6,
        "nodes": 10,
        "first_nodes": 10,
        "samples": 16384,
        "learning_rate": 0.1,
        "density_channels": 2,
        "color_channels": 2,
    }
    settings = radiance.Settings.of(scene, **little)
    made = {}
    for name, mesh in (("one", None), ("two", jaxviz.mesh(2))):
        fitted = radiance.fit(scene, settings, mesh=mesh)
        made |= {f"{name}/losses": fitted.losses, f"{name}/planes": fitted.model.field.color.planes}
    np.savez(path, **made)


if __name__ == "__main__":
    main(*sys.argv[1:])
