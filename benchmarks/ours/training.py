"""One step of training a transformer by perceptual losses: one compiled program, Adam's update in it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxviz
from benchmarks import workload
from benchmarks.ours.stylize import bank
from benchmarks.worker import Work


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the step."""
    return {"": {"jaxviz": lambda: made(options)}}


def gram(features):
    """Returns the Gram matrices per position of features [n, h, w, c]."""
    flat = features.reshape(features.shape[0], -1, features.shape[-1])
    return jnp.einsum("npc,npd->ncd", flat, flat, precision="highest") / flat.shape[1]


def made(options) -> Work:
    model, network = bank(options), jaxviz.load("vgg16", precision=options["precision"])
    painting = workload.picture("immunohistochemistry", options["size"])
    layers = (*workload.STYLE_LAYERS, workload.CONTENT_LAYER)
    shares = jnp.ones((options["batch"], 1))

    def taps(network, pictures):
        return jax.vmap(lambda picture: network.features(picture, layers))(pictures)

    def loss(params, network, grams, pictures):
        drawn = model.architecture.apply({"params": params}, pictures, shares)
        found, layer = taps(network, drawn), workload.CONTENT_LAYER
        wanted = network_taps(network, pictures, layer)
        content = jnp.mean((found[layer] - wanted) ** 2, (1, 2, 3))
        style = sum(
            jnp.sum((gram(found[name]) - grams[name]) ** 2, (1, 2))
            / (4 * len(grams) * grams[name].shape[-1] ** 2)
            for name in grams
        )
        return jnp.mean(content + workload.STYLE_WEIGHT * style)

    def network_taps(network, pictures, layer):
        return jax.vmap(lambda picture: network.features(picture, [layer])[layer])(pictures)

    rule = optax.adam(workload.TRAINING_RATE)

    def step(state, network, grams, pictures):
        params, moments = state
        value, slopes = jax.value_and_grad(loss)(params, network, grams, pictures)
        changes, moments = rule.update(slopes, moments)
        return (optax.apply_updates(params, changes), moments), value

    network, pictures = jax.device_put((network, workload.crops(options["batch"], options["size"])))
    params = jax.device_put(model.params)
    grams = {name: gram(tap) for name, tap in jax.jit(taps)(network, painting[None]).items()}
    grams = {name: grams[name] for name in workload.STYLE_LAYERS}
    program = jax.jit(step, donate_argnums=0)
    state = jax.tree.map(jnp.copy, (params, rule.init(params)))

    def call():
        nonlocal state
        state, value = program(state, network, grams, pictures)
        return jax.block_until_ready((state, value))

    def result():
        value, slopes = jax.jit(jax.value_and_grad(loss))(params, network, grams, pictures)
        return {"loss": float(value), "slope of up1": np.asarray(slopes["up1"]["kernel"])}

    return Work(call, result=result)
