"""Do the statistics that instance normalization takes away know the style? How codes of paintings cluster.

Squares are cut from each painting, so that they share its style and not what they show. The code of a square is
mean and deviation of each channel of VGG-16 at a layer: what adaptive instance normalization exchanges. How often
is the nearest other square one of the same painting, against Gram matrices and features without statistics?

    python -m benchmarks.stylization.codes --style paintings/ --out DIR
"""

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxviz
from jaxviz import embedding, images, jobs, objectives

SIDE = 12
LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")


def squares(source: jobs.Source, paintings: int, each: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns squares at random places, [n, size, size, 3], and the number of each one's painting."""
    random, found, owners = np.random.default_rng(0), [], []
    for k in range(min(paintings, len(source))):
        picture = images.to_floats(source[k].read(images.MAX_PIXELS))
        scale = 2 * size / min(picture.shape[:2])
        picture = images.resize(picture, *(max(size, round(side * scale)) for side in picture.shape[:2]))
        for _ in range(each):
            top, left = (random.integers(0, side - size + 1) for side in picture.shape[:2])
            found.append(picture[top : top + size, left : left + size])
            owners.append(k)
    return np.stack(found), np.asarray(owners)


@jax.jit
def codes(network: jaxviz.Network, image: jax.Array) -> dict[str, jax.Array]:
    """Returns what a square is known by, name → vector."""
    taps = network.features(image, list(LAYERS))
    known = {}
    for layer in LAYERS:
        tap = taps[layer]
        mean, deviation = tap.mean((0, 1)), jnp.sqrt(tap.var((0, 1)) + 1e-5)
        known[f"{layer}: mean and deviation"] = jnp.concatenate([mean, deviation])
        rest = (tap - mean) / deviation
        # Sixteen means over parts of the square: what is left of the features once they are normalized.
        h, w, c = tap.shape
        known[f"{layer}: normalized"] = rest.reshape(4, h // 4, 4, w // 4, c).mean((1, 3)).reshape(-1)
        if layer in ("relu1_1", "relu2_1", "relu3_1"):
            gram = objectives.gram_matrix(tap)
            known[f"{layer}: Gram matrix"] = gram[jnp.triu_indices(c)]
    return known


def accuracy(vectors: np.ndarray, owners: np.ndarray) -> float:
    """Returns how often the nearest other square, by the cosine, is of the same painting."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -np.inf)
    return float((owners[likeness.argmax(1)] == owners).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--style", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--paintings", type=int, default=64)
    parser.add_argument("--each", type=int, default=4)
    parser.add_argument("--size", type=int, default=128)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    network = jaxviz.load("vgg16")
    pictures, owners = squares(jobs.open_source(given.style), given.paintings, given.each, given.size)
    found = [jax.tree.map(np.asarray, codes(network, picture)) for picture in pictures]
    vectors = {name: np.stack([one[name] for one in found]) for name in found[0]}
    table = {name: accuracy(values, owners) for name, values in vectors.items()}
    for name, share in table.items():
        print(f"{name}: {share:.3f}")
    chosen, blank = owners < 12, np.ones((64, 64, 3), np.float32)
    for what in ("mean and deviation", "normalized"):
        values = vectors[f"relu3_1: {what}"][chosen]
        places, _ = embedding.pca(values / np.linalg.norm(values, axis=1, keepdims=True))
        cells = embedding.on_grid(places, SIDE)
        tiles = [[blank if k < 0 else images.resize(pictures[k], 64, 64) for k in row] for row in cells]
        sheet = np.concatenate([np.concatenate(row, 1) for row in tiles])
        images.write(given.out / f"codes-{what.replace(' ', '-')}.png", sheet)
    record = {
        "nearest is of the same painting": table,
        "paintings": int(owners.max()) + 1,
        "each": given.each,
    }
    (given.out / "codes.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
