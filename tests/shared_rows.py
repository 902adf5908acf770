"""Run with four virtual devices: techniques with the rows of their pictures on all of them and on one.

`python shared_rows.py FILE RULES NAME …` writes an `.npz` that test_placing.py compares; RULES are "own", or
"automatic" for the derivatives that accelerators use.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from small_networks import narrow_vgg

import jaxviz
from jaxviz import optimization, optimizers, placing
from jaxviz.costs.communication import COLLECTIVES, collectives
from jaxviz.memory import memory_needed
from jaxviz.techniques import FAMILIES, grids

SHALLOW = {"content_weights": {"relu2_1": 1}, "style_weights": {"relu1_1": 1, "relu2_1": 1, "relu3_1": 1}}
KEY = jax.random.key(0)
STEPS = 4


def picture(h, w, seed=0):
    generator = np.random.default_rng(seed)
    blocks = generator.random((-(-h // 8), -(-w // 8), 3), np.float32).repeat(8, 0).repeat(8, 1)
    return (0.8 * blocks[:h, :w] + 0.2 * generator.random((h, w, 3), np.float32)).astype(np.float32)


def style(network, h, w, **options):
    return jaxviz.style.problem(network, picture(h, w), [picture(40, 56, 1)], **options)


CASES = {
    "style": lambda network: style(network, 64, 48, **SHALLOW),
    "deep style": lambda network: style(network, 64, 48),
    "ragged style": lambda network: style(network, 63, 48, **SHALLOW),
    "texture": lambda network: jaxviz.texture.problem(
        network, picture(40, 40), size=(64, 48), weights={"relu1_1": 1, "pool1": 1, "pool2": 1}
    ),
    "inversion": lambda network: jaxviz.inversion.problem(network, picture(64, 48), layer="relu3_1"),
}


def main(path, rules, *names):
    if rules == "automatic":

        def automatic(*arguments, default=None, cuda=None, **branches):
            return (cuda or default)(*arguments)

        lax.platform_dependent = automatic
    narrow, made = narrow_vgg(), {}
    every = jaxviz.mesh(4, rows=4)
    for name in names:
        problem, z = CASES[name](jaxviz.load("vgg16") if name.startswith("deep") else narrow)
        z = z + 0.02 * picture(*z.shape[:2], 7)  # a start that is the content has no content loss
        made |= {f"{name}/{key}": value for key, value in compared(problem, z, every).items()}
    if "style" in names and rules == "own":
        made |= memory(narrow) | two_axes(narrow)
    if "texture" in names and rules == "own":
        made |= grid(narrow)
    np.savez(path, **{key: np.asarray(value) for key, value in made.items()})


def compared(problem, z, mesh):
    """Loss, gradient and a short run on one device and on all, and what the program of all says between devices."""
    made = {}
    place = placing.layout(problem, z, KEY, None, mesh)
    for where, (posed, start, key) in (("one", (problem, z, KEY)), ("all", place.spread(problem, z, KEY))):
        found = jax.jit(lambda z, posed, key: jax.value_and_grad(posed.loss)(z, key))(start, posed, key)
        made[f"{where}/loss"] = found[0]
        made[f"{where}/gradient"] = np.asarray(found[1])[: z.shape[0]]
        made[f"{where}/below"] = np.asarray(found[1])[z.shape[0] :]
    for where, devices in (("one", None), ("all", mesh)):
        solution = jaxviz.minimize(problem, z, steps=STEPS, mesh=devices)
        made[f"{where}/value"], made[f"{where}/losses"] = solution.value, solution.losses
    start, run = optimization.programs(None, False, place.mesh)
    posed, z, key = place.spread(problem, z, KEY)
    state = start(posed, z, optimizers.lbfgs(), key)
    text = run.lower(posed, state, np.int32(1)).compile().as_text()
    found = collectives(text)
    for kind in COLLECTIVES:
        sizes = {each.bytes: times for each, times in found.items() if each.kind == kind}
        made[f"{kind}/count"], made[f"{kind}/largest"] = sum(sizes.values()), max(sizes, default=0)
    return made


def memory(network):
    """Bytes of each device for growing numbers of devices."""
    problem, z = style(network, 128, 96, **SHALLOW)
    meshes = {1: None, 2: jaxviz.mesh(2, rows=2), 4: jaxviz.mesh(4, rows=4)}
    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(network.params))
    needed = {f"memory/{n}": memory_needed(problem, z, mesh=mesh) for n, mesh in meshes.items()}
    return needed | {"memory/weights": weights}


def two_axes(network):
    """A batch of three over two by two devices, against each alone."""
    posed = [jaxviz.inversion.problem(network, picture(30, 32, k), layer="relu2_1") for k in range(3)]
    (problem, z), (axes, _) = jaxviz.stack(posed)
    mesh = jaxviz.mesh(4, rows=2)
    together = jaxviz.minimize(problem, z, steps=STEPS, batch_axes=axes, mesh=mesh)
    alone = [jaxviz.minimize(problem, z, steps=STEPS) for problem, z in posed]
    return {
        "batch/together/value": together.value,
        "batch/alone/value": jnp.stack([one.value for one in alone]),
        "batch/together/losses": together.losses,
        "batch/alone/losses": np.stack([one.losses for one in alone]),
    }


def grid(network):
    """A grid of three weights over four devices, and over one."""
    method, inputs = FAMILIES["style"].methods["style"], [(picture(32, 40), [picture(40, 56, 1)])]
    over, made = {"style_weight": [1e-3, 1e-2, 1e-1]}, {}
    for where, mesh in (("all", jaxviz.mesh(4)), ("one", None)):
        found = grids.grid(method, network, inputs, over, steps=STEPS, mesh=mesh, **SHALLOW)
        made[f"grid/{where}/value"], made[f"grid/{where}/losses"] = found
    return made


if __name__ == "__main__":
    main(*sys.argv[1:])
