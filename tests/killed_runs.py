"""Kills runs with snapshots at random moments and resumes them; run by test_snapshots.py as a process of its own.

Each attempt is a fork of this process, which has imported everything and started nothing.
"""

import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxviz import optimizers, snapshots
from jaxviz._typing import symbol
from jaxviz.techniques import pyramid

STEPS, EVERY = 120, 3


@symbol
class Shaken:
    """A bowl around a center that moves with the key."""

    center: jax.Array

    @property
    def random(self):
        return True

    def loss(self, z, key):
        return jnp.sum((z - self.center - 0.1 * jax.random.normal(key, z.shape)) ** 2)

    def project(self, z):
        return z


@symbol
class Rosenbrock:
    scale: jax.Array

    @property
    def random(self):
        return False

    def loss(self, z, key):
        return self.scale * (100 * (z[1] - z[0] ** 2) ** 2 + (1 - z[0]) ** 2)

    def project(self, z):
        return z


def slow(solution):
    time.sleep(0.02)


def noisy(path):
    smooth = optimizers.averaged(optimizers.adam(0.3), 0.9)
    options = {"optimizer": smooth, "key": jax.random.key(3, impl="rbg"), "path": path, "every": EVERY}
    problem = Shaken(jnp.arange(4.0))
    return snapshots.minimize(problem, jnp.zeros(4), steps=STEPS, resume=True, on_chunk=slow, **options)


def valley(path):
    problem, start = Rosenbrock(jnp.float32(1)), jnp.array([-1.2, 1.0])
    options = {"optimizer": optimizers.lbfgs(3), "path": path, "every": 1}
    return snapshots.minimize(problem, start, steps=STEPS, resume=True, on_chunk=slow, **options)


def scales(path):
    def pose(size):
        center = jnp.linspace(0, 1, size * size * 3).reshape(size, size, 3)
        return Shaken(center), jnp.zeros((size, size, 3))

    options = {"snapshot": path, "every": EVERY, "resume": True, "on_chunk": slow}
    return pyramid.solve_pyramid(pose, [4, 6, 8], STEPS // 3, optimizers.adam(0.1), **options)


CASES = {"noisy": noisy, "valley": valley, "scales": scales}


def attempt(case, folder):
    """Starts a run in a child, and returns its process number."""
    with warnings.catch_warnings(action="ignore"):  # JAX warns of forks; the child is all that uses it
        child = os.fork()
    if child == 0:
        found = CASES[case](folder / f"{case}.npz")
        fields = ("value", "losses", "evaluations", "rejections", "restarts")
        np.savez(folder / f"{case}-found.npz", **{name: np.asarray(getattr(found, name)) for name in fields})
        os._exit(0)
    return child


def written(path):
    return path.stat().st_ino if path.exists() else 0


def kill_later(child, path, delay):
    """Kills a run some time after it has written its first snapshot; returns whether it was still at work."""
    before = written(path)
    while written(path) == before and os.waitpid(child, os.WNOHANG)[0] == 0:
        time.sleep(0.005)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def main():
    folder, case, kills = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    randomness, killed = random.Random(0), []
    for name in ("killed", "whole"):
        (folder / name).mkdir()
    for _ in range(kills):
        path = folder / "killed" / f"{case}.npz"
        killed.append(kill_later(attempt(case, path.parent), path, randomness.uniform(0.0, 0.15)))
    for name in ("killed", "whole"):
        _, status = os.waitpid(attempt(case, folder / name), 0)
        killed.append(os.waitstatus_to_exitcode(status))
    print(json.dumps(killed))  # noqa: T201


if __name__ == "__main__":
    main()
