"""Writes rivals.npz: what foolbox and torchattacks find with the shipped SqueezeNet 1.1, of twenty pictures.

Nothing of jaxviz is imported. Pictures are in [0, 1], all is float32. Of FGSM the signs of the change are kept; of
PGD without a random start the margins at its end (the best other class's score minus that of the label), of
foolbox's in float64 too; of DeepFool and of Carlini and Wagner's attack with one constant also the Euclidean
distances. torchattacks ends the latter where the loss of a whole batch rises, so it is given one picture at a time.

Made with Python 3.11, foolbox 3.3.4, torchattacks 3.5.1, torch 2.13.0 on a CPU, torchvision 0.28.0, numpy 2.4.6,
scikit-image 0.26.0. From the root, in some minutes:

    pip install ".[bench]" && pip install --no-deps torchattacks
    python -m tests.golden.generate_rivals
"""

from collections.abc import Callable
from pathlib import Path

import foolbox
import numpy as np
import torch
import torchattacks

from benchmarks.peers.captum_models import SqueezeNet
from tests.golden import rivals

Attack = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def by_foolbox(model: SqueezeNet) -> dict[str, Attack]:
    """Returns name → attack, which takes pictures [n, 3, h, w] and labels."""
    wrapped, of, cw = foolbox.PyTorchModel(model, (0, 1)), foolbox.attacks, rivals.CW

    def made(attack, epsilon: float | None = None) -> Attack:
        return lambda x, labels: attack(wrapped, x, labels, epsilons=epsilon)[1]

    climbing = of.LinfProjectedGradientDescentAttack(
        rel_stepsize=rivals.REACH / rivals.STEPS, steps=rivals.STEPS, random_start=False
    )
    searching = of.L2CarliniWagnerAttack(
        binary_search_steps=1,
        steps=cw["steps"],
        stepsize=cw["step_size"],
        initial_const=cw["constant"],
        abort_early=False,
    )
    return {
        "fgsm": made(of.LinfFastGradientAttack(), rivals.FGSM),
        **{f"pgd/{k}": made(climbing, epsilon) for k, epsilon in enumerate(rivals.RADII)},
        "deepfool": made(of.L2DeepFoolAttack(**rivals.DEEPFOOL)),
        "cw": made(searching),
    }


def by_torchattacks(model: SqueezeNet) -> dict[str, Attack]:
    """Returns the same attacks."""
    cw = rivals.CW

    def climbing(epsilon: float) -> Attack:
        size = rivals.REACH * epsilon / rivals.STEPS
        return torchattacks.PGD(model, epsilon, size, rivals.STEPS, random_start=False)

    def searching(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        attack = torchattacks.CW(model, cw["constant"], steps=cw["steps"], lr=cw["step_size"])
        return torch.cat([attack(one[None], label[None]) for one, label in zip(x, labels, strict=True)])

    deepfool = torchattacks.DeepFool(model, **rivals.DEEPFOOL)
    return {
        "fgsm": torchattacks.FGSM(model, rivals.FGSM),
        **{f"pgd/{k}": climbing(epsilon) for k, epsilon in enumerate(rivals.RADII)},
        "deepfool": lambda x, labels: deepfool(x[:: rivals.EVERY], labels[:: rivals.EVERY]),
        "cw": searching,
    }


@torch.no_grad()
def margins(model: SqueezeNet, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Returns by how much another class is ahead."""
    scores = model(x)
    own = scores.gather(1, labels[:, None])
    return (scores.scatter(1, labels[:, None], -torch.inf).amax(1, keepdim=True) - own)[:, 0]


def in_float64(x: torch.Tensor, labels: torch.Tensor) -> dict[str, np.ndarray]:
    """Returns the margins of foolbox's PGD in float64: where they are others, rounding decides."""
    model, x = SqueezeNet(torch.float64), x.double()
    found = {name: attack(x, labels) for name, attack in by_foolbox(model).items() if name.startswith("pgd")}
    return {f"{name}/float64": margins(model, images, labels).numpy() for name, images in found.items()}


def main() -> None:
    model = SqueezeNet()
    x = torch.from_numpy(np.ascontiguousarray(rivals.pictures().transpose(0, 3, 1, 2)))
    labels = model(x).argmax(1)
    golden = {"labels": labels.numpy().astype(np.int32)} | in_float64(x, labels)
    for peer, attacks in (("foolbox", by_foolbox(model)), ("torchattacks", by_torchattacks(model))):
        for name, attack in attacks.items():
            found = attack(x, labels).detach()
            few = slice(None, None, len(x) // len(found))
            change = found - x[few]
            if name == "fgsm":
                golden[f"{name}/{peer}"] = change.sign().to(torch.int8).numpy().transpose(0, 2, 3, 1)
            else:
                golden[f"{name}/{peer}/margins"] = margins(model, found, labels[few]).numpy()
            if name in ("deepfool", "cw"):
                golden[f"{name}/{peer}/distances"] = change.flatten(1).norm(dim=1).numpy()
    path = Path(__file__).with_name("rivals.npz")
    np.savez_compressed(path, **golden)
    print(f"{path.name}: {len(golden)} arrays, {path.stat().st_size:,} bytes")  # noqa: T201


if __name__ == "__main__":
    main()
