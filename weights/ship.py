"""Makes a trained model one of those that are shipped, and records it in stylizers.toml.

    python weights/ship.py RUN/model.safetensors --name NAME --about "What it is."

Numbers are rounded to float16. The record has the command, steps and losses that the run wrote into the file;
`stylization.load(NAME)` holds the file to its SHA-256.
"""

import argparse
import tomllib
from pathlib import Path

import tomli_w

from jaxviz import stylization
from jaxviz.checkpoints import store
from jaxviz.stylization.files import MANIFEST

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--about", required=True)
    parser.add_argument("--data", required=True, help="what the content was, in words")
    parser.add_argument("--device", required=True, help="what it was trained on, in words")
    parser.add_argument("--folder", type=Path, default=HERE, help="where file and manifest are written")
    options = parser.parse_args()

    record = dict(stylization.record(options.model))
    path = options.folder / f"{options.name}.safetensors"
    stylization.save(path, stylization.load(options.model), **record)
    manifest_path = options.folder / MANIFEST
    manifest = tomllib.loads(manifest_path.read_text()) if manifest_path.exists() else {}
    manifest[options.name] = {
        "file": path.name,
        "sha256": store.sha256(path),
        "about": options.about,
        "command": record["command"],
        "data": options.data,
        "steps": record["steps"],
        "device": options.device,
        "losses": {name: float(f"{value:.4g}") for name, value in record["losses"].items()},
    }
    manifest_path.write_text(tomli_w.dumps(dict(sorted(manifest.items()))))
    print(f"{path.name}: {path.stat().st_size:,} bytes, sha256 {store.sha256(path)}")


if __name__ == "__main__":
    main()
