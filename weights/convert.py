"""Converts a NumPy archive of Keras-style weights to safetensors and records it in manifest.toml.

    python weights/convert.py SOURCE.npz --network vgg16 --layout OIHW --dtype float16

SOURCE holds `<layer>_W` and `<layer>_b`. VGG's `blockI_convJ` becomes `convI_J`; SqueezeNet's names stay.
The activation checksum is the Euclidean norm of a few taps on scikit-image's `chelsea`, whose 224×224 centre
is scaled to [0, 1]; tests hold the shipped file to it within 1e-3.
"""

import argparse
import re
from pathlib import Path

import numpy as np
import skimage.data
import tomli_w
from flax.traverse_util import unflatten_dict

from jaxviz.networks import checkpoints, load
from jaxviz.networks.preprocessing import CAFFE

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


def module_path(layer: str) -> str:
    layer = re.sub(r"^block(\d)_conv(\d)$", r"conv\1_\2", layer)
    return re.sub(r"^(fire\d)[._]", r"\1/", layer)


def convert(source: Path, layout: str, dtype: str) -> dict:
    flat = {}
    with np.load(source) as archive:
        for name in archive.files:
            layer, kind = name.rsplit("_", 1)
            value = archive[name]
            if kind == "W" and layout == "OIHW":
                value = value.transpose(2, 3, 1, 0)
            flat[f"{module_path(layer)}/{'kernel' if kind == 'W' else 'bias'}"] = np.ascontiguousarray(
                value.astype(dtype)
            )
    return unflatten_dict(flat, sep="/")


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
    parser.add_argument("--layout", default="HWIO", choices=["HWIO", "OIHW"])
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16"])
    options = parser.parse_args()

    manifest_path = HERE / "manifest.toml"
    manifest_path.touch()
    record = dict(RECORDS[options.network])
    layers = record.pop("checksum_layers")
    path = HERE / f"{options.network}.safetensors"
    params = convert(options.source, options.layout, options.dtype)
    checkpoints.write(path, params, options.network, CAFFE)
    network = load(options.network, weights=path)
    taps = network.features(sample(), layers)
    manifest = checkpoints.manifest()
    manifest[options.network] = {
        "file": path.name,
        "sha256": checkpoints.sha256(path),
        "dtype": options.dtype,
        "layout": "HWIO",
        **record,
        "preprocessing": {
            "channels": CAFFE.channels,
            "scale": CAFFE.scale,
            "mean": CAFFE.mean,
            "std": CAFFE.std,
        },
        "checksum": {
            "picture": "skimage.data.chelsea(), 224x224 centre",
            "norms": {layer: round(float(np.linalg.norm(taps[layer])), 4) for layer in layers},
        },
        "shapes": {
            name: list(np.shape(value)) for name, value in checkpoints.flatten_dict(params, sep="/").items()
        },
    }
    manifest_path.write_text(tomli_w.dumps(dict(sorted(manifest.items()))))
    print(f"{path.name}: {path.stat().st_size:,} bytes, sha256 {checkpoints.sha256(path)}")


if __name__ == "__main__":
    main()
