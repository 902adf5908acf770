"""Every network, forward to the logits and the gradient of one logit with respect to the picture, 224²."""

from pathlib import Path

import jax
import numpy as np
from flax.traverse_util import unflatten_dict

from benchmarks import protocol, workload
from benchmarks.protocol import Settings, Side
from jaxviz import Network
from jaxviz.networks import NETWORKS, conversion, initialize
from jaxviz.networks.formats import Tensor, WeightFile

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
    placed = jax.device_put(images)
    rows = []
    for work, ours in (("forward", _forward), ("gradient", _gradient)):
        side = Side("jaxviz", lambda ours=ours: jax.block_until_ready(ours(network, placed)))
        rivals = [] if rival is None else _torch_sides(rival, network, images, work, device)
        protocol.alternate([side, *rivals], settings.rounds(5 if len(images) == 1 else 3), warmups=1)
        agreement = None
        if rivals:
            agreement = protocol.agreement(np.asarray(side.call()), rivals[0].call().cpu().numpy())
        label = f"{name}, {work}, batch {len(images)}"
        row = protocol.row(label, side, [], rivals, batch=len(images), agreement=agreement)
        print(f"  {label}" + (f": {row['ratio']['median']:.2f}" if rivals else ""), flush=True)
        rows.append(row)
        jax.clear_caches()
    return rows


@jax.jit
def _forward(network: Network, images: jax.Array) -> jax.Array:
    return jax.vmap(lambda x: network.features(x, ["logits"])["logits"])(images)


@jax.jit
def _gradient(network: Network, images: jax.Array) -> jax.Array:
    def score(image):
        return network.features(image, ["logits"])["logits"][workload.LABEL]

    return jax.vmap(jax.grad(score))(images)


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


def _torch_sides(rival, network: Network, images: np.ndarray, work: str, device: str) -> list[Side]:
    import torch

    from benchmarks.peers import torch_gatys as peer

    expects = network.preprocessing
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (expects.mean, expects.std))

    def side(name: str, layout) -> Side:
        placed = peer.tensor(images, device, layout)

        def prepare():
            rival.to(device, memory_format=layout)

        def forward(x):
            return rival(((x - mean) / std).contiguous(memory_format=layout))

        def call():
            if work == "forward":
                with torch.no_grad():
                    result = forward(placed)
            else:
                x = placed.detach().requires_grad_()
                result = torch.autograd.grad(forward(x)[:, workload.LABEL].sum(), x)[0].permute(0, 2, 3, 1)
            peer.synchronize(device)
            return result

        return Side(f"torchvision, {name}", call, prepare=prepare)

    return [side(name, layout) for name, layout in peer.LAYOUTS.items()]


SINGLE, SIXTEEN = Batch(1), Batch(16)
