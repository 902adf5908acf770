"""Gradient saliency with SqueezeNet 1.1 at 224²."""

import jax
import numpy as np

import jaxviz
from benchmarks import protocol, workload
from benchmarks.protocol import Settings, Side

TITLE = "Gradient saliency, SqueezeNet 1.1, 224²"
UNIT = "one batch of maps"
BATCHES = (1, 16)


def run(settings: Settings) -> list[dict]:
    """Returns a row per batch size."""
    return [measured(batch, settings) for batch in ((1, 2) if settings.quick else BATCHES)]


def measured(batch: int, settings: Settings) -> dict:
    images = workload.crops(batch)
    network = jax.device_put(jaxviz.load("squeezenet1_1", precision=settings.precision))

    @jax.jit
    def maps(network, images):
        return jax.vmap(lambda image: jaxviz.saliency.gradient(network, image, workload.LABEL))(images)

    placed = jax.device_put(images)
    ours = Side("jaxviz", lambda: jax.block_until_ready(maps(network, placed)))
    rivals = torch_sides(images, settings)
    protocol.alternate([ours, *rivals], settings.rounds(15), warmups=3)
    agreement = None
    if rivals:
        found, expected = np.asarray(ours.call()), rivals[0].call().cpu().numpy()
        agreement = protocol.agreement(found, expected)
    return protocol.row(f"batch {batch}", ours, [], rivals, batch=batch, agreement=agreement)


def torch_sides(images: np.ndarray, settings: Settings) -> list[Side]:
    device = workload.torch_device(settings)
    if device is None:
        return []
    import torch

    from benchmarks.peers import torch_gatys as peer
    from benchmarks.peers.torch_models import SqueezeNet

    def side(name, layout, compiled=False):
        network = SqueezeNet(device=device, memory_format=layout)
        network = torch.compile(network, dynamic=False) if compiled else network
        placed = peer.tensor(images, device, layout)

        def call():
            x = placed.detach().requires_grad_()
            score = network(x)["logits"][:, workload.LABEL].sum()
            heat = torch.autograd.grad(score, x)[0].abs().amax(1)
            peer.synchronize(device)
            return heat

        return Side(f"torch {name}", call)

    sides = [side(f"eager, {name}", layout) for name, layout in peer.LAYOUTS.items()]
    if device == "cuda":
        chosen = protocol.fastest(
            {name: eager.timed for name, eager in zip(peer.LAYOUTS, sides, strict=True)}
        )
        sides += protocol.surviving([side(f"compiled, {chosen}", peer.LAYOUTS[chosen], True)])
    return sides
