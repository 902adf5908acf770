"""The same attacks by foolbox, torchattacks and the Adversarial Robustness Toolbox, each by its own functions."""

import functools
import importlib
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import workload
from benchmarks.cases import EARLY
from benchmarks.peers import runtime
from benchmarks.peers.attack_models import model
from benchmarks.worker import Work

Attacked = Callable[[torch.Tensor, torch.Tensor], list[torch.Tensor]]
"""Pictures and labels → the attacked pictures for each ε."""


def by_foolbox(network: torch.nn.Module, attack: dict[str, Any], epsilons: list[Any]) -> Attacked:
    import foolbox

    steps, wrapped = attack["steps"], foolbox.PyTorchModel(network, (0, 1), device=runtime.device())
    if attack["method"] == "fgsm":
        made = foolbox.attacks.LinfFastGradientAttack()
    elif attack["method"] == "pgd":
        made = foolbox.attacks.LinfProjectedGradientDescentAttack(
            rel_stepsize=workload.REACH / steps, steps=steps, random_start=False
        )
    else:
        made = foolbox.attacks.L2CarliniWagnerAttack(
            binary_search_steps=1,
            steps=steps,
            stepsize=attack["step_size"],
            initial_const=attack["constant"],
            abort_early=False,
        )
    return lambda x, labels: made(wrapped, x, labels, epsilons=epsilons)[1]


def by_torchattacks(network: torch.nn.Module, attack: dict[str, Any], epsilons: list[Any]) -> Attacked:
    import torchattacks

    steps = attack["steps"]

    def made(epsilon):
        if attack["method"] == "fgsm":
            return torchattacks.FGSM(network, epsilon)
        if attack["method"] == "pgd":
            return torchattacks.PGD(
                network, epsilon, workload.REACH * epsilon / steps, steps, random_start=False
            )
        return torchattacks.CW(network, attack["constant"], steps=steps, lr=attack["step_size"])

    attacks = [made(epsilon) for epsilon in epsilons]
    return lambda x, labels: [one(x, labels) for one in attacks]


def by_art(network: torch.nn.Module, attack: dict[str, Any], epsilons: list[Any]) -> Attacked:
    from art.attacks import evasion
    from art.estimators.classification import PyTorchClassifier

    steps, made = attack["steps"], []

    def attacked(x, labels):
        if not made:
            loss, shape = torch.nn.CrossEntropyLoss(), tuple(x.shape[1:])
            wrapped = PyTorchClassifier(network, loss, shape, workload.CLASSES, clip_values=(0, 1))
            for epsilon in epsilons:
                given = {"eps": epsilon, "batch_size": len(x)}
                if attack["method"] == "fgsm":
                    made.append(evasion.FastGradientMethod(wrapped, **given))
                else:
                    given |= {
                        "eps_step": workload.REACH * epsilon / steps,
                        "max_iter": steps,
                        "verbose": False,
                    }
                    made.append(evasion.ProjectedGradientDescent(wrapped, **given))
        return [one.generate(x.cpu().numpy(), labels.cpu().numpy()) for one in made]

    return attacked


PEERS = {
    "foolbox": ("foolbox", by_foolbox),
    "torchattacks": ("torchattacks", by_torchattacks),
    "ART": ("art", by_art),
}
"""Name → the module that must be there, and the function that makes an attack of it."""


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns a row for each attack, each peer in both layouts; those that are not there fail, and are told."""
    weights = Path(options["scratch"]) / "weights.safetensors"
    images = workload.crops(options["batch"], options["size"])
    # What is compiled serves all attacks.
    network = functools.cache(lambda layout, how: how(model(options["network"], weights, layout)))
    given = {row: attack for row, attack in options["attacks"].items() if row != EARLY}
    return {row: variants(attack, images, network) for row, attack in given.items()}


def variants(attack: dict[str, Any], images: Any, network: Callable[..., torch.nn.Module]) -> dict[str, Any]:
    """Returns the variants of every peer; where none is installed, none."""
    found, absent = {}, {}
    for name, (module, make) in PEERS.items():
        if name == "ART" and not attack.get("in_art"):
            continue
        if importlib.util.find_spec(module) is None:
            absent[name] = lambda module=module: importlib.import_module(module)
            continue

        def made(layout, how, make=make):
            return work(make, attack, images, network(layout, how), layout)

        each = runtime.variants(made, f"{name} ", ("channels-last",))
        # Each attack of many is the same program again: the faster layout will do.
        several = len(attack["epsilons"]) > 1
        found |= {title: one for title, one in each.items() if not several or "channels-last" in title}
    return {**found, **absent} if found else {}


class Counted(torch.nn.Module):
    """A network that counts how often it is evaluated."""

    def __init__(self, network: torch.nn.Module):
        super().__init__()
        self.network, self.evaluations = network, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.evaluations += 1
        return self.network(x)


def work(make, attack: dict[str, Any], images: Any, network: torch.nn.Module, layout) -> Work:
    """Returns the work of one attack on all pictures, for each ε."""
    x, counted = runtime.tensor(images, layout), Counted(network).eval()
    with torch.no_grad():
        labels = network(x).argmax(1)
    epsilons = [epsilon and epsilon / 255 for epsilon in attack["epsilons"]]
    attacked, found = make(counted, attack, epsilons), []
    work = Work(lambda: None)

    def call() -> None:
        counted.evaluations = 0
        found[:] = runtime.ready(attacked(x, labels))
        if attack["method"] == "cw":
            # torchattacks ends early, for the whole batch: its time is that of as many steps as the others take.
            work.units = min(1.0, counted.evaluations / attack["steps"])

    def result() -> dict[str, Any]:
        if attack["method"] == "fgsm":
            return {"pictures": runtime.array(torch.as_tensor(found[0]))}
        with torch.no_grad():
            each = [network(torch.as_tensor(one, device=x.device)).argmax(1) != labels for one in found]
        return {"success": torch.stack(each).double().mean(1).squeeze(0).cpu().numpy()}

    if attack["steps"] > 1:
        began = time.perf_counter()
        runtime.ready(make(counted, attack | {"steps": 1}, epsilons)(x, labels))
        work.first = time.perf_counter() - began, 1 / attack["steps"]
    work.call, work.result = call, result
    return work
