"""Run with eight virtual devices: techniques over ragged batches on all of them and on one.

`python eight_devices.py FILE NAME …` writes an `.npz` of results, `case/n/where`, and of the compiled programs'
texts; test_sharding.py compares.
"""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
from small_networks import classifier, narrow_vgg
from test_optimization import Quadratic

import jaxviz
from jaxviz import images, optimization, optimizers, samples, sharding

STEPS = 3
# How many images each is given: one or two for a device, the last device short of work.
MAPPED = {"saliency": (11,), "fgsm": (11,), "features": (11,), "noise": (5, 11)}
SOLVED = {"inversion": (11,), "texture": (11,), "style": (5,)}
LABELS = np.arange(11) * 7


def pictures(n, size):
    photo = images.fit_square(samples.photograph("chelsea"), 96)
    return np.stack([photo[3 * k : 3 * k + size, 2 * k : 2 * k + size] for k in range(n)])


def saliency(network, image, label):
    return jaxviz.saliency.gradient(network, image, label)


def fgsm(network, image, label):
    return jaxviz.attacks.fgsm(network, image, label, epsilon=0.05)


def activations(network, image, label):
    return jaxviz.features.activations(network, image, "conv2").maps


def noise(network, image, key):
    return image + jax.random.normal(key, image.shape)


FUNCTIONS = {"saliency": saliency, "fgsm": fgsm, "features": activations, "noise": noise}


def inversion(network, image, k):
    return jaxviz.inversion.problem(network, image, layer="relu2_1", key=jax.random.key(k))


def texture(network, image, k):
    weights = {"relu1_1": 1.0, "pool1": 1.0}
    return jaxviz.texture.problem(network, image, size=(32, 40), weights=weights, key=jax.random.key(k))


@functools.cache
def style_picture():
    return pictures(11, 32)[-1][::-1]


def style(network, image, k):
    layers = {"content_weights": {"relu2_1": 1.0}, "style_weights": {"relu1_1": 1.0}}
    return jaxviz.style.problem(network, image, [style_picture()], **layers)


POSED = {"inversion": inversion, "texture": texture, "style": style}


def solve(batch, start, stop, mesh, steps=STEPS, optimizer=None, keys=None):
    """Images `start` to `stop` of what `stack` returned."""
    (problem, z), (axes, _) = batch
    (problem, z), key = sharding.map_stacked(
        lambda leaf: leaf[start:stop], ((axes, 0), 0), ((problem, z), keys)
    )
    return jaxviz.minimize(problem, z, steps=steps, optimizer=optimizer, key=key, batch_axes=axes, mesh=mesh)


def programs_of_minimize(batch, n, mesh):
    (problem, z), (axes, _) = batch
    some = sharding.map_stacked(lambda leaf: leaf[:n], (axes, 0), (problem, z))
    spread = sharding.spread((axes, 0), some, mesh)
    start, run = optimization.programs(axes, False, mesh)
    begin = *spread, optimizers.lbfgs(), jax.random.key(0)
    state = start(*begin)
    return (
        start.lower(*begin).compile().as_text() + run.lower(spread[0], state, np.int32(1)).compile().as_text()
    )


def share(n, mesh):
    """How many of n images each device has to do: one of five, two of eleven."""
    return -(-n // mesh.size)


def chosen(cases, names):
    return [(name, case) for name, case in cases.items() if name in names]


def main(path, *names):
    everywhere, made = jaxviz.mesh(), {}
    made["devices"] = everywhere.size
    small, vgg = jax.device_put(classifier()), jax.device_put(narrow_vgg())
    for name, function in chosen(FUNCTIONS, names):
        axes = None, 0, 0
        everywhere_at_once = jaxviz.batched(function, in_axes=axes, mesh=everywhere)
        for n in MAPPED[name]:
            second = jax.random.split(jax.random.key(2), n) if name == "noise" else LABELS[:n]
            arguments = small, pictures(n, 48), second
            alone = jaxviz.batched(function, in_axes=axes, size=share(n, everywhere))
            made[f"{name}/{n}/all"], made[f"{name}/{n}/one"] = (
                everywhere_at_once(*arguments),
                alone(*arguments),
            )
        placed = sharding.spread(axes, arguments, everywhere)
        made[f"{name}/program"] = everywhere_at_once.program.lower(*placed).compile().as_text()
    for name, pose in chosen(POSED, names):
        batch = jaxviz.stack([pose(vgg, image, k) for k, image in enumerate(pictures(11, 32))])
        for n in SOLVED[name]:
            found, part = solve(batch, 0, n, everywhere), share(n, everywhere)
            alone = [solve(batch, k, min(k + part, n), None) for k in range(0, n, part)]
            for field in ("value", "losses"):
                made[f"{name}/{n}/all/{field}"] = getattr(found, field)
                made[f"{name}/{n}/one/{field}"] = np.concatenate([getattr(one, field) for one in alone])
        made[f"{name}/program"] = programs_of_minimize(batch, n, everywhere)
    made.update(finishing(everywhere))
    x = sharding.place(0, np.ones((8, 3), np.float32), everywhere)
    made["control/program"] = jax.jit(lambda x: x / x.sum(0)).lower(x).compile().as_text()
    np.savez(path, **{name: np.asarray(value) for name, value in made.items()})


def finishing(everywhere):
    """Runs in which images finish one after another, the last of the batch at once."""
    made = {}
    for noisy in (False, True):
        centers = [np.full(4, c, np.float32) for c in (3, 1, 4, 1.5, 0)]
        posed = [(Quadratic(jnp.asarray(c), jnp.float32(0), noise=noisy), jnp.zeros(4)) for c in centers]
        keys = jax.random.split(jax.random.key(1), 5)
        optimizer = optimizers.adam() if noisy else None
        batch, steps, name = jaxviz.stack(posed), 20 if noisy else 3000, "noisy" if noisy else "early"
        together = solve(batch, 0, 5, everywhere, steps, optimizer, keys)
        alone = [solve(batch, k, k + 1, None, steps, optimizer, keys) for k in range(5)]
        for field in ("value", "evaluations", "finite"):
            made[f"{name}/all/{field}"] = getattr(together, field)
            made[f"{name}/one/{field}"] = np.concatenate([getattr(one, field) for one in alone])
        made[f"{name}/all/losses"] = together.losses
        made[f"{name}/one/losses"] = np.full_like(together.losses, np.nan)
        for k, one in enumerate(alone):
            made[f"{name}/one/losses"][k, : one.losses.shape[1]] = one.losses[0]
    return made


if __name__ == "__main__":
    main(*sys.argv[1:])
