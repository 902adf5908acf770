"""What generate_contrast.py and the tests of its values share: seeded weights, pictures, a queue. NumPy alone."""

import numpy as np

from tests.golden import stylizing

BATCH, SIDE = 2, 32
LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_1")
DEEPER = ("relu1_2", "relu2_2", "relu3_2", "relu4_2")
"""What the projector of the published code reads, in a network of its own."""
WIDTHS, DEPTHS = (64, 128, 256, 512), (2, 2, 3, 2)
CODE, ROOM, PLACE, TEMPERATURE = 8, 6, 5, 0.07
NUMBERS, OWNERS = (4, 7), (7, 4, 4, 1, 0, 2)
"""Paintings of the batch, and of the codes that are in the queue."""
WIDTH = 4
SCALES = dict.fromkeys(("relu1_2", "relu2_2", "relu3_3", "relu4_1"), 500.0)
WEIGHTS = {"adversarial": 0.1, "discriminator": 1.0, "contrast": 0.05, "projector": 1.0, "cycle": 4.0}
RATE, MOMENTUM = 1e-4, 0.5

Weights = dict[str, dict[str, np.ndarray]]


def weights(shapes: dict[str, tuple[int, ...]], seed: int) -> Weights:
    """Returns a kernel and a bias of each layer, given the kernels' shapes."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, shape in shapes.items():
        kernel = rng.standard_normal(shape) * (2 / np.prod(shape[:-1])) ** 0.5
        bias = 0.1 * rng.standard_normal(shape[-1])
        found[name] = {"kernel": kernel.astype(np.float32), "bias": bias.astype(np.float32)}
    return found


def decoder(seed: int) -> Weights:
    """Returns the weights of a decoder of VGG-16, slimmed."""
    kernels, _ = stylizing.decoder()
    return weights({name: kernel.shape for name, kernel in kernels.items()}, seed)


def projector(layers: tuple[str, ...]) -> Weights:
    """Returns the weights of the projector: of each layer four."""
    shapes = {}
    for layer in layers:
        c = WIDTHS[int(layer[4]) - 1]
        for k, (before, after) in enumerate(((2 * c, c), (c, CODE // 2), (CODE // 2, CODE), (CODE, CODE))):
            shapes[f"{layer}_{k}"] = (before, after)
    return weights(shapes, 11)


def discriminator(seed: int) -> Weights:
    """Returns the weights of a discriminator."""
    chain = (3, WIDTH, 2 * WIDTH, 4 * WIDTH, 8 * WIDTH, 1)
    names = ("conv1", "conv2", "conv3", "conv4", "out")
    return weights({name: (4, 4, *chain[k : k + 2]) for k, name in enumerate(names)}, seed)


def encoder(last: str, seed: int) -> Weights:
    """Returns the weights of a VGG-16 that ends with a layer."""
    stage, depth = int(last[4]), int(last[6])
    shapes, before = {}, 3
    for s, (count, width) in enumerate(zip(DEPTHS, WIDTHS, strict=True), 1):
        for k in range(1, (depth if s == stage else count) + 1):
            shapes[f"conv{s}_{k}"], before = (3, 3, before, width), width
    found = weights(shapes, seed)
    # Bytes become numbers of the size of pictures, as kernels of deviation 0.02 make them.
    found["conv1_1"]["kernel"] /= np.float32(100)
    return found


def queue() -> dict[str, np.ndarray]:
    """Returns the codes in the queue, layer → [room, code], before they are of unit length."""
    rng = np.random.default_rng(12)
    return {
        layer: rng.standard_normal((ROOM, CODE)).astype(np.float32) for layer in sorted({*LAYERS, *DEEPER})
    }


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Returns photographs and paintings, bytes."""
    made = (stylizing.pictures(seed, BATCH, SIDE, SIDE) for seed in (13, 14))
    photographs, paintings = (np.round(255 * one).astype(np.uint8) for one in made)
    return photographs, paintings
