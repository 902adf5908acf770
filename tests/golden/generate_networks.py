"""Writes networks.npz: what torchvision's networks compute from seeded weights, for ours to be compared with.

The weights of tests/golden/drawing.py are not stored, only drawn again. The statistics of batch normalization
are: measured on a seeded batch of eight pictures, perturbed by 10 % and rounded to float16, since random ones
make the derivative ill-conditioned. Computed in float64.

Made with Python 3.11, torch 2.13.0 on a CPU, torchvision 0.28.0, numpy 2.4.6. From the root of the repository:

    python -m tests.golden.generate_networks
"""

from pathlib import Path

import numpy as np
import torch

# torchvision without its compiled operators imports once these two are declared.
LIBRARY = torch.library.Library("torchvision", "DEF")
LIBRARY.define("nms(Tensor boxes, Tensor scores, float threshold) -> Tensor")
LIBRARY.define("qnms(Tensor boxes, Tensor scores, float threshold) -> Tensor")

import torchvision  # noqa: E402

from tests.golden import drawing  # noqa: E402

SAMPLES = 64
LOGIT = 3
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SYMMETRIC = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_FIRES1_0 = {"features.2": "pool1", "features.5": "fire4", "features.10": "fire8", "features.12": "fire9"}
_FIRES1_1 = {"features.2": "pool1", "features.4": "fire3", "features.7": "fire5", "features.12": "fire9"}
_INCEPTIONS = {f"inception{m}": f"inception_{m}" for m in ("3b", "4e", "5b")}


def _pools(model: torch.nn.Module) -> dict[str, str]:
    pools = [name for name, m in model.features.named_children() if isinstance(m, torch.nn.MaxPool2d)]
    return {f"features.{name}": f"pool{i}" for i, name in enumerate(pools, 1)}


def taps(network: str, model: torch.nn.Module) -> dict[str, str]:
    """Returns torchvision's module → our tap: after the stem, each stage, and the logits."""
    if network.startswith("vgg"):
        return {**_pools(model), "classifier.6": "logits"}
    if network.startswith("resnet"):
        stages = {f"layer{s}": f"conv{s + 1}_{len(getattr(model, f'layer{s}'))}" for s in range(1, 5)}
        return {"maxpool": "pool1", **stages, "fc": "logits"}
    return {
        "alexnet": {
            "features.2": "pool1",
            "features.5": "pool2",
            "features.12": "pool5",
            "classifier.6": "logits",
        },
        "squeezenet1_0": {**_FIRES1_0, "classifier.3": "logits"},
        "squeezenet1_1": {**_FIRES1_1, "classifier.3": "logits"},
        "googlenet": {"maxpool1": "pool1", "maxpool2": "pool2", **_INCEPTIONS, "fc": "logits"},
        "densenet121": {
            "features.pool0": "pool1",
            **{f"features.transition{i}": f"transition{i}" for i in (1, 2, 3)},
            "features.norm5": "bn5",
            "classifier": "logits",
        },
    }[network]


NETWORKS = (
    "alexnet",
    *(f"vgg{depth}{suffix}" for depth in (11, 13, 16, 19) for suffix in ("", "_bn")),
    "squeezenet1_0",
    "squeezenet1_1",
    "googlenet",
    *(f"resnet{depth}" for depth in (18, 34, 50, 101)),
    "densenet121",
)


def seeded(network: str) -> torch.nn.Module:
    options = {"init_weights": False, "aux_logits": False} if network == "googlenet" else {}
    with torch.device("meta"):
        model = getattr(torchvision.models, network)(**options)
    model = model.to_empty(device="cpu")
    state = {}
    for name, value in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(0)
        elif "running" in name:
            state[name] = torch.full_like(value, float(name.endswith("var")))
        else:
            state[name] = torch.from_numpy(drawing.weight(name, tuple(value.shape)))
    model.load_state_dict(state)
    return model


def measured(network: str, model: torch.nn.Module) -> np.ndarray:
    """Sets the statistics of every normalization and returns them one after the other, in float16."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    if not norms:
        return np.zeros(0, np.float16)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    rng = np.random.default_rng(2)
    size = drawing.side(network)
    model.train()
    with torch.no_grad():
        model(torch.from_numpy(rng.standard_normal((8, 3, size, size), np.float32)))
    model.eval()
    stored = []
    state = model.state_dict()
    for name in sorted(name for name in state if "running" in name):
        factor = np.exp(0.1 * rng.standard_normal(state[name].shape))
        stored.append((state[name].numpy() * factor).astype(np.float16))
        state[name] = torch.from_numpy(stored[-1].astype(np.float32))
    model.load_state_dict(state)
    return np.concatenate(stored)


def record(network: str):
    model = seeded(network)
    yield "statistics", measured(network, model)
    model = model.double().eval()
    found = {}

    def keep(tap):
        def hook(module, inputs, output):
            found[tap] = output.detach().clone()

        return hook

    wanted = taps(network, model)
    for name, module in model.named_modules():
        if name in wanted:
            module.register_forward_hook(keep(wanted[name]))
    mean, std = (
        torch.tensor(v, dtype=torch.float64) for v in (SYMMETRIC if network == "googlenet" else IMAGENET)
    )
    gradients = {}
    for i in reversed(range(drawing.PICTURES)):  # the taps of the first one stay
        picture = torch.from_numpy(drawing.picture(network, i)).requires_grad_()
        model(((picture - mean) / std).permute(2, 0, 1)[None])[0, LOGIT].backward()
        gradients[f"gradient{i}"] = picture.grad.numpy()
    rng = np.random.default_rng(3)
    arrays = {tap: value[0].numpy() for tap, value in found.items()}
    arrays = {tap: v.reshape(-1) if tap == "logits" else v.transpose(1, 2, 0) for tap, v in arrays.items()}
    for name, value in {**arrays, **gradients}.items():
        index = np.sort(rng.choice(value.size, min(SAMPLES, value.size), replace=False))
        yield f"{name}/shape", np.int32(value.shape)
        yield f"{name}/index", index.astype(np.int32)
        yield f"{name}/value", np.ravel(value)[index]
        yield f"{name}/norm", np.linalg.norm(value)


def main() -> None:
    golden = {}
    for network in NETWORKS:
        golden |= {f"{network}/{name}": value for name, value in record(network)}
    np.savez_compressed(Path(__file__).parent / "networks.npz", **golden)


if __name__ == "__main__":
    main()
