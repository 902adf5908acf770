"""A source and a task for tests of runs, which need neither files nor a network."""

import time

import numpy as np

from jaxviz.images import PictureError
from jaxviz.jobs.sizes import Square
from jaxviz.jobs.sources import Item
from jaxviz.jobs.tasks import Result


class Drawn:
    """Pictures of noise by number; some cannot be read."""

    def __init__(self, count, bad=(), shapes=((8, 8),), seconds=0.0):
        self.count, self.bad, self.shapes, self.seconds = count, bad, shapes, seconds

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        def read(max_pixels):
            time.sleep(self.seconds)
            if index in self.bad:
                raise PictureError(f"picture {index} is torn")
            shape = self.shapes[index % len(self.shapes)]
            return np.random.default_rng(index).random((*shape, 3), np.float32)

        return Item(f"{index:04d}.png", index % 3, read)

    def describe(self):
        return {"kind": "drawn", "count": self.count}


class Mean:
    """The mean color of each picture: a number, an array and a picture."""

    def __init__(self, size=8, seconds=0.0, sizing=None, settings=None):
        self.sizing = sizing or Square(size)
        self.columns = {"mean": "number", "shape": "integers"}
        self.settings = {"technique": "mean", **(settings or {})}
        self.seconds = seconds
        self.calls = []

    def at_once(self, shape, memory, mesh):
        return 4

    def __call__(self, pixels, items, size, mesh):
        self.calls.append(pixels.shape)
        time.sleep(self.seconds * len(items))
        return [
            Result(
                {"mean": float(one.mean()), "shape": list(one.shape[:2])},
                {"color": one.mean((0, 1))},
                {"blur": np.full_like(one, one.mean())},
            )
            for one in pixels
        ]
