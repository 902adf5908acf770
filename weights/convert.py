"""Converts published weights to a file of ours and records it in manifest.toml.

    python weights/convert.py SOURCE.npz --network vgg16 --dtype float16

SOURCE is any file that `jaxviz weights convert` reads; names, layout and order are found out as there. The
activation checksum is the Euclidean norm of a few taps on scikit-image's `chelsea`, whose 224×224 centre is
scaled to [0, 1]; tests hold the shipped file to it within 1e-3.
"""

import argparse
import dataclasses
import tomllib
from pathlib import Path

import numpy as np
import skimage.data
import tomli_w

from jaxviz.checkpoints import rewriting, store
from jaxviz.checkpoints.formats import open_file
from jaxviz.zoo import load

HERE = Path(__file__).parent
RECORDS = {
    "vgg16": {
        "source": "The convolutions of Keras Applications' VGG-16, itself the Oxford VGG 16-layer Caffe model",
        "authors": "K. Simonyan, A. Zisserman; Visual Geometry Group, University of Oxford",
        "license": "CC-BY-4.0",
        "license_file": "LICENSE-vgg16",
        "changes": "Layout HWIO, rounded to float16, fully connected layers left away",
        "checksum_layers": ["relu1_1", "pool1", "relu3_3", "pool5"],
    },
    "squeezenet1_1": {
        "source": "SqueezeNet 1.1 as released for Caffe, in Keras layout",
        "authors": "F. Iandola, S. Han, M. Moskewicz, K. Ashraf, W. Dally, K. Keutzer",
        "license": "BSD-2-Clause",
        "license_file": "LICENSE-squeezenet1_1",
        "changes": "None",
        "checksum_layers": ["relu1", "pool1", "fire5", "logits"],
    },
}


def sample() -> np.ndarray:
    picture = skimage.data.chelsea()
    top, left = (picture.shape[0] - 224) // 2, (picture.shape[1] - 224) // 2
    return (picture[top : top + 224, left : left + 224] / 255).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("--network", required=True, choices=RECORDS)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16"])
    parser.add_argument("--folder", type=Path, default=HERE, help="where file and manifest are written")
    options = parser.parse_args()

    record = dict(RECORDS[options.network])
    layers = record.pop("checksum_layers")
    path = options.folder / f"{options.network}.safetensors"
    rewriting.rewrite(options.source, options.network, path, dtype=options.dtype)
    network = load(options.network, weights=path)
    taps = network.features(sample(), layers)
    manifest_path = options.folder / "manifest.toml"
    manifest = tomllib.loads(manifest_path.read_text()) if manifest_path.exists() else {}
    manifest[options.network] = {
        "file": path.name,
        "sha256": store.sha256(path),
        "dtype": options.dtype,
        "layout": "HWIO",
        **record,
        "preprocessing": dataclasses.asdict(network.preprocessing),
        "checksum": {
            "picture": "skimage.data.chelsea(), 224x224 centre",
            "norms": {layer: round(float(np.linalg.norm(taps[layer])), 4) for layer in layers},
        },
        "shapes": {name: list(tensor.shape) for name, tensor in open_file(path).tensors.items()},
    }
    manifest_path.write_text(tomli_w.dumps(dict(sorted(manifest.items()))))
    print(f"{path.name}: {path.stat().st_size:,} bytes, sha256 {store.sha256(path)}")


if __name__ == "__main__":
    main()
