"""Attacks over a batch, in the library's form for batches, and over a grid of radii."""

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxviz
from benchmarks import workload
from benchmarks.cases import EARLY
from benchmarks.ours.networks import logits
from benchmarks.worker import Work
from jaxviz import attacks
from jaxviz.batching import batched


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns a row for each attack; of a grid of radii with and without an end at the first success."""
    network = loaded(options)
    images = workload.crops(options["batch"], options["size"])
    labels = predicted(network, images)
    return {
        row: {"jaxviz": lambda row=row, attack=attack: work(row, attack, network, images, labels)}
        for row, attack in options["attacks"].items()
    }


def loaded(options: dict[str, Any]) -> Any:
    """Returns SqueezeNet with the shipped weights, any other with those that the other side drew, or its own."""
    name, precision = options["network"], options["precision"]
    full = f"{name}_classifier" if name.startswith("vgg") else name
    weights = Path(options["scratch"]) / "weights.safetensors"
    if name == "squeezenet1_1":
        network = jaxviz.load(name, precision=precision)
    elif weights.is_file():
        network = jaxviz.load(full, weights=weights, precision=precision)
    else:
        network = jaxviz.initialize(full, jax.random.key(0), precision=precision)
    return jax.device_put(network)


def predicted(network: Any, images: Any) -> np.ndarray:
    """Returns the class of each picture."""
    return np.asarray(batched(logits, in_axes=(None, 0))(network, images)).argmax(1).astype(np.int32)


def work(row: str, attack: dict[str, Any], network: Any, images: np.ndarray, labels: np.ndarray) -> Work:
    """Returns the work of one attack on all pictures."""
    if len(attack["epsilons"]) > 1:
        return sweeping(attack, network, images, labels, early_exit=row == EARLY)
    mapped, found = batched(single(attack), in_axes=(None, 0, 0)), []
    pictures, classes = jax.device_put((images, labels))

    def call() -> None:
        found[:] = [jax.block_until_ready(mapped(network, pictures, classes))]

    def result() -> dict[str, Any]:
        if attack["method"] == "fgsm":
            return {"pictures": np.asarray(found[0])}
        return {"success": np.mean(predicted(network, found[0]) != labels)}

    return Work(call, result=result)


def sweeping(attack: dict[str, Any], network: Any, images: Any, labels: Any, *, early_exit: bool) -> Work:
    """Returns the work of the attacks for several ε."""
    given = {
        "epsilons": [epsilon / 255 for epsilon in attack["epsilons"]],
        "restarts": 0,
        "early_exit": early_exit,
    }
    found: list[attacks.Sweep] = []

    def call(steps: int = attack["steps"]) -> None:
        found[:] = [attacks.sweep(network, images, labels, steps=(steps,), **given)]

    work = Work(call, result=lambda: {"success": found[0].success[0, 0, :, 0].mean(1)})
    if not early_exit:
        began = time.perf_counter()
        call(1)
        work.first = time.perf_counter() - began, 1 / attack["steps"]
    return work


def single(attack: dict[str, Any]):
    """Returns the attack on one picture."""
    method, steps = attack["method"], attack["steps"]
    if method == "cw":
        given = {"searches": 1, "constant": attack["constant"], "step_size": attack["step_size"]}
    else:
        given = {"epsilon": attack["epsilons"][0] / 255} | ({"restarts": 0} if method == "pgd" else {})
    given |= {} if method == "fgsm" else {"steps": steps}

    def one(network, image, label):
        return getattr(attacks, method)(network, image, label, **given)

    return one
