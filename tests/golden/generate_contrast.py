"""Writes contrast.npz: what PyTorch computes of a step of contrastive training, of seeded weights and pictures.

Nothing of jaxviz is imported. Normalizations, padding, cross-entropy and Adam are torch's own. The encoder is the
shipped VGG-16 with mirrored borders, or, as in the published code, a random one that is trained. Parts of pictures,
which cannot be cut out at random alike, are whole pictures, mirrored. Computed in float64.

Made with Python 3.11, torch 2.13.0 on a CPU, numpy 2.4.6. From the root:

    python -m tests.golden.generate_contrast
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from tests.golden import contrasting as given
from tests.golden.generate_stylization import MEAN_BGR, convolved, deviation, double, planes

HERE = Path(__file__).parent
SHIPPED = HERE.parents[1] / "weights" / "vgg16.safetensors"
DOMAINS = ("photographs", "paintings")


def leaves(weights):
    """Returns weights as tensors that have derivatives."""
    return {
        name: {leaf: double(value).requires_grad_() for leaf, value in layer.items()}
        for name, layer in weights.items()
    }


def every(*trees):
    return [value for tree in trees for layer in tree.values() for value in layer.values()]


def features(x, weights, layers):
    """Returns taps of a VGG with mirrored borders, as far as the last of some layers."""
    x, found = x.flip(1) * 255 - double(MEAN_BGR).view(3, 1, 1), {}
    for stage in range(1, 5):
        for k in range(1, given.DEPTHS[stage - 1] + 1):
            layer = weights.get(f"conv{stage}_{k}")
            if layer is None or set(layers) <= set(found):
                return found
            x = found[f"relu{stage}_{k}"] = F.relu(convolved(x, layer["kernel"], bias=layer["bias"]))
        x = F.max_pool2d(x, 2)
    return found


def adapted(content, style):
    normal = (content - content.mean((2, 3), keepdim=True)) / deviation(content)
    return normal * deviation(style) + style.mean((2, 3), keepdim=True)


def decoded(x, weights):
    names = list(weights)
    for name in names:
        x = convolved(x, weights[name]["kernel"], bias=weights[name]["bias"])
        x = F.relu(x) if name != names[-1] else x
        x = F.interpolate(x, scale_factor=2) if name in ("conv4_1", "conv3_1", "conv2_1") else x
    return x + 0.5


def codes(taps, weights, layers, scales):
    found = {}
    for layer in layers:
        tap = taps[layer] / scales.get(layer, 1)
        x = torch.cat([F.adaptive_avg_pool2d(tap, 1), F.adaptive_max_pool2d(tap, 1)], 1).flatten(1)
        for k in range(4):
            one = weights[f"{layer}_{k}"]
            x = x @ one["kernel"] + one["bias"]
            x = F.relu(x) if k < 3 else F.normalize(x)
        found[layer] = x
    return found


def score(x, weights, blurred):
    x, stride = 2 * x - 1, 1 if blurred else 2
    kernel = double([1, 2, 1]) / 4
    for k in range(1, 5):
        layer = weights[f"conv{k}"]
        x = F.conv2d(x, layer["kernel"].permute(3, 2, 0, 1), layer["bias"], stride if k < 4 else 1, 1)
        x = F.leaky_relu(x if k == 1 else F.instance_norm(x), 0.2)
        if blurred and k < 4:
            c = x.shape[1]
            blur = torch.outer(kernel, kernel).expand(c, 1, 3, 3)
            x = F.conv2d(F.pad(x, [1] * 4, mode="reflect"), blur, stride=2, groups=c)
    return F.conv2d(x, weights["out"]["kernel"].permute(3, 2, 0, 1), weights["out"]["bias"], padding=1)[:, 0]


def hinge(scores, real=True):
    return F.relu(1 - scores if real else 1 + scores).mean()


def contrast(queries, positives, ring, counted):
    """Returns the sum over layers of the mean cross-entropy of the positives; counted is [n, room]."""
    total = 0
    for layer, query in queries.items():
        like = (query * positives[layer]).sum(1, keepdim=True)
        unlike = (query @ ring[layer].T).masked_fill(~counted, -torch.inf)
        logits = torch.cat([like, unlike], 1) / given.TEMPERATURE
        total = total + F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long))
    return total


def enqueued(ring, owners, fresh):
    """Returns queue and owners after the codes of the paintings of the batch."""
    ring, owners = {layer: kept.clone() for layer, kept in ring.items()}, owners.clone()
    for k, number in enumerate(given.NUMBERS):
        place = (given.PLACE + k) % given.ROOM
        owners[place] = number
        for layer in ring:
            ring[layer][place] = fresh[layer][k].detach()
    return ring, owners


def stepped(losses, trees):
    trees = list(trees)
    optimizer = torch.optim.Adam(every(*trees), given.RATE, (given.MOMENTUM, 0.999))
    losses.backward()
    found = [{name: one["kernel"].grad.clone() for name, one in tree.items()} for tree in trees]
    optimizer.step()
    return found


def step(kind, found):
    """Adds the losses of a step, what the queue became, and derivatives by some kernels."""
    paper = kind == "paper"
    layers, w = (given.LAYERS if paper else given.DEEPER), given.WEIGHTS
    x, a = (planes(one / np.float32(255)) for one in given.pictures())
    decoders = {domain: leaves(given.decoder(seed)) for domain, seed in zip(DOMAINS, (21, 22), strict=True)}
    judges = {
        domain: leaves(given.discriminator(seed)) for domain, seed in zip(DOMAINS, (23, 24), strict=True)
    }
    projector = leaves(given.projector(layers))
    shipped = load_file(SHIPPED)
    kept = {
        name: {leaf: shipped[f"{name}/{leaf}"].double() for leaf in ("kernel", "bias")}
        for name in given.encoder("relu4_1", 0)
    }
    encoder = kept if paper else leaves(given.encoder("relu4_1", 25))
    before = kept if paper else leaves(given.encoder("relu4_2", 26))
    scales = given.SCALES if paper else {}
    scale = scales.get("relu4_1", 1)
    everything = torch.ones(given.BATCH, given.ROOM, dtype=torch.bool)

    taps = {
        domain: features(one, encoder, ("relu4_1",))["relu4_1"]
        for domain, one in zip(DOMAINS, (x, a), strict=True)
    }
    y = {  # what has the style of a domain has the content of the other
        "photographs": decoded(
            adapted(taps["paintings"], taps["photographs"]) / scale, decoders["photographs"]
        ),
        "paintings": decoded(adapted(taps["photographs"], taps["paintings"]) / scale, decoders["paintings"]),
    }
    again = {domain: features(one, encoder, ("relu4_1",))["relu4_1"] for domain, one in y.items()}
    back = {
        "photographs": decoded(
            adapted(again["paintings"], taps["photographs"]) / scale, decoders["photographs"]
        ),
        "paintings": decoded(adapted(again["photographs"], taps["paintings"]) / scale, decoders["paintings"]),
    }

    def code(pictures, cut=not paper):
        """Returns codes of pictures, in the published code always of parts of them."""
        pictures = pictures.flip(3) if cut else pictures
        return codes(features(pictures, before, layers), projector, layers, scales)

    real = dict(zip(DOMAINS, (x, a), strict=True))
    judged = sum(
        hinge(score(real[d], judges[d], paper)) + hinge(score(y[d].detach(), judges[d], paper), False)
        for d in DOMAINS
    )
    found[f"{kind}/discriminators"] = w["discriminator"] * judged / 4
    slopes = {"discriminators": stepped(found[f"{kind}/discriminators"], judges.values())[0]}

    ring = {layer: F.normalize(double(kept)) for layer, kept in given.queue().items() if layer in layers}
    owners = torch.tensor(given.OWNERS)
    of_x, of_a = code(x), code(a)
    after, owners_after = enqueued(ring, owners, of_a)
    others = owners[None] != torch.tensor(given.NUMBERS)[:, None]
    if paper:  # both directions; no painting is its own negative
        told = contrast(of_a, code(a, True), ring, others) + contrast(of_x, code(x, True), ring, everything)
    else:  # paintings alone, and each is in the queue already
        told = contrast(of_a, of_a, after, everything)
    found[f"{kind}/projector"] = w["projector"] * told / 2
    trees = [projector] if paper else [projector, before]
    slopes["projector"] = stepped(found[f"{kind}/projector"], trees)[0]

    for tree in (*judges.values(), projector, *([] if paper else [before])):
        for value in every(tree):
            value.requires_grad_(False)
    others = owners_after[None] != torch.tensor(given.NUMBERS)[:, None]
    drawn = {domain: code(one) for domain, one in y.items()}
    wanted = contrast(drawn["paintings"], code(a), after, others if paper else everything)
    if paper:
        wanted = wanted + contrast(drawn["photographs"], code(x), after, everything)
    losses = {
        "adversarial": sum(hinge(score(y[d], judges[d], paper)) for d in DOMAINS) / 2,
        "contrast": wanted / 2,
        # L1 of colors from -1 to 1, half of each direction.
        "cycle": sum((2 * back[d] - 2 * real[d]).abs().mean() for d in DOMAINS) / 2,
    }
    found |= {f"{kind}/{name}": w[name] * value for name, value in losses.items()}
    found[f"{kind}/loss"] = sum(found[f"{kind}/{name}"] for name in losses)
    trees = [*decoders.values(), *([] if paper else [encoder])]
    slopes["photographs"], slopes["paintings"], *more = stepped(found[f"{kind}/loss"], trees)
    if not paper:
        slopes["encoder"] = more[0]
    for part, name in (
        ("discriminators", "conv2"),
        ("projector", "relu2_2_1"),
        ("photographs", "conv2_2"),
        ("paintings", "conv3_1"),
        ("encoder", "conv1_1"),
    ):
        if part in slopes:
            found[f"{kind} slope/{part}"] = slopes[part][name]
    for layer in layers:
        found[f"{kind} queue/{layer}"] = after[layer]
    found[f"{kind} owners"] = owners_after
    if paper:
        found["drawn"] = torch.stack([y[d] for d in DOMAINS]).movedim(2, -1)
        found["back"] = torch.stack([back[d] for d in DOMAINS]).movedim(2, -1)
        found |= {f"codes/{layer}": one for layer, one in of_a.items()}


def scores(found):
    """Adds scores of photographs by the first discriminator, blurred and not."""
    x = planes(given.pictures()[0] / np.float32(255))
    weights = leaves(given.discriminator(23))
    for blurred in (True, False):
        found[f"scores {blurred}"] = score(x, weights, blurred)


def main() -> None:
    found: dict = {}
    scores(found)
    for kind in ("paper", "code"):
        step(kind, found)
    plain = {name: np.asarray(value.detach().numpy()) for name, value in found.items()}
    kinds = {
        name: np.float32 if value.ndim else np.float64
        for name, value in plain.items()
        if value.dtype.kind == "f"
    }
    np.savez_compressed(
        HERE / "contrast.npz",
        **{name: value.astype(kinds.get(name, np.int32)) for name, value in plain.items()},
    )


if __name__ == "__main__":
    main()
