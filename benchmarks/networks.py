"""Every network, forward to the logits and the gradient of one logit with respect to the picture, 224²."""

import copy
import functools
from pathlib import Path

import jax
import numpy as np
from flax.traverse_util import unflatten_dict

from benchmarks import protocol, workload
from benchmarks.protocol import Settings, Side
from jaxviz import Network
from jaxviz.checkpoints import conversion
from jaxviz.checkpoints.formats import Tensor, WeightFile
from jaxviz.networks import NETWORKS
from jaxviz.zoo import initialize

NAMES = (
    "alexnet",
    *(f"vgg{depth}{suffix}" for depth in (11, 13, 16, 19) for suffix in ("", "_bn")),
    "squeezenet1_0",
    "squeezenet1_1",
    "googlenet",
    *(f"resnet{depth}" for depth in (18, 34, 50, 101)),
    "densenet121",
)
QUICK = ("squeezenet1_1", "resnet18")
UNIT = "one batch"
TOGETHER = 4
"""Images that go through a network at once where a processor's caches and memory hold no more."""


class Batch:
    """The benchmark at one batch size."""

    UNIT = UNIT

    def __init__(self, size: int):
        self.size = size
        self.TITLE = f"Every network at batch {size}, 224²"

    def run(self, settings: Settings) -> list[dict]:
        """Returns two rows per network: forward, and gradient."""
        size = min(self.size, 2) if settings.quick else self.size
        images = workload.crops(size)
        return [
            row for name in (QUICK if settings.quick else NAMES) for row in measured(name, images, settings)
        ]


def measured(name: str, images: np.ndarray, settings: Settings) -> list[dict]:
    device = workload.torch_device(settings)
    rival = None if device is None else _rival(name)
    network = jax.device_put(_ours(name, rival, settings))
    models = {} if rival is None else _in_layouts(rival, device)
    placed = jax.device_put(images)
    together = sorted({len(images), min(len(images), TOGETHER)}) if _on_cpu() else [len(images)]
    rows = []
    for work, ours in (("forward", _forward), ("gradient", _gradient)):
        side = _fastest(
            [
                Side(
                    "jaxviz" + _of(count, images),
                    lambda ours=ours, count=count: jax.block_until_ready(ours(network, placed, count)),
                )
                for count in together
            ]
        )
        rivals = _torch_sides(models, network, images, work, device)
        protocol.alternate([side, *rivals], settings.rounds(5 if len(images) == 1 else 3))
        agreement = None
        if rivals:
            agreement = protocol.agreement(np.asarray(side.call()), rivals[0].call().cpu().numpy())
        label = f"{name}, {work}, batch {len(images)}"
        row = protocol.row(label, side, [], rivals, batch=len(images), agreement=agreement)
        print(f"  {label}" + (f": {row['ratio']['median']:.2f}" if rivals else ""), flush=True)
        rows.append(row)
        jax.clear_caches()
    return rows


def _on_cpu() -> bool:
    return jax.devices()[0].platform == "cpu"


def _of(count: int, images: np.ndarray) -> str:
    return "" if count == len(images) else f", {count} at a time"


def _fastest(sides: list[Side]) -> Side:
    if len(sides) == 1:
        return sides[0]
    name = protocol.fastest({side.name: side.timed for side in sides}, calls=1)
    return next(side for side in sides if side.name == name)


@functools.partial(jax.jit, static_argnames="together")
def _forward(network: Network, images: jax.Array, together: int) -> jax.Array:
    return _mapped(lambda x: _logits(network, x), images, together)


@functools.partial(jax.jit, static_argnames="together")
def _gradient(network: Network, images: jax.Array, together: int) -> jax.Array:
    return _mapped(jax.grad(lambda x: _logits(network, x)[workload.LABEL]), images, together)


def _logits(network: Network, image: jax.Array) -> jax.Array:
    return network.features(image, ["logits"])["logits"]


def _mapped(function, images: jax.Array, together: int) -> jax.Array:
    if together == len(images):
        return jax.vmap(function)(images)
    return jax.lax.map(function, images, batch_size=together)


def _ours(name: str, rival, settings: Settings) -> Network:
    full = f"{name}_classifier" if name.startswith("vgg") else name
    if rival is None:
        return initialize(full, jax.random.key(0), precision=settings.precision)
    state = {key: value.numpy() for key, value in rival.state_dict().items()}
    tensors = {k: Tensor(v.shape, v.dtype, lambda v=v: v) for k, v in state.items()}
    architecture = NETWORKS[full].architecture.clone(precision=settings.precision)
    plan = conversion.plan(WeightFile(Path(name), "pytorch", tensors), architecture)
    params = unflatten_dict(dict(plan.arrays()), sep="/")
    return Network(params, plan.architecture, plan.preprocessing, full)


def _rival(name: str):
    from benchmarks.peers import torchvision_models

    return torchvision_models.model(name)


def _in_layouts(rival, device: str) -> dict:
    from benchmarks.peers import torch_gatys as peer

    return {
        name: copy.deepcopy(rival).to(device, memory_format=layout) for name, layout in peer.LAYOUTS.items()
    }


def _torch_sides(models, network: Network, images: np.ndarray, work: str, device: str | None) -> list[Side]:
    if not models:
        return []
    import torch

    from benchmarks.peers import torch_gatys as peer

    expects = network.preprocessing
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (expects.mean, expects.std))

    def side(name: str, count: int) -> Side:
        layout = peer.LAYOUTS[name]
        parts = [peer.tensor(images[i : i + count], device, layout) for i in range(0, len(images), count)]

        def forward(x):
            return models[name](((x - mean) / std).contiguous(memory_format=layout))

        def one(part):
            if work == "forward":
                with torch.no_grad():
                    return forward(part)
            x = part.detach().requires_grad_()
            return torch.autograd.grad(forward(x)[:, workload.LABEL].sum(), x)[0].permute(0, 2, 3, 1)

        def call():
            result = torch.cat([one(part) for part in parts]) if len(parts) > 1 else one(parts[0])
            peer.synchronize(device)
            return result

        return Side(f"torchvision, {name}{_of(count, images)}", call)

    whole = {name: side(name, len(images)) for name in models}
    if not _on_cpu() or len(images) <= TOGETHER:
        return list(whole.values())
    fastest = _fastest(list(whole.values()))
    name = next(name for name in whole if whole[name] is fastest)
    return [fastest, side(name, len(images) // 2)]


SINGLE, SIXTEEN = Batch(1), Batch(16)
