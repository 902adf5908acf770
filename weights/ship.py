"""Makes a trained model one of those that are shipped, and records it in stylizers.toml.

    python weights/ship.py RUN/model.safetensors --name NAME --about "What it is."

Numbers are rounded to float16. The record has the command, steps and losses that the run wrote into the file, and
the mean color of what the model draws, to which tests hold it.
"""

import argparse
import tomllib
from pathlib import Path

import numpy as np
import tomli_w

from jaxviz import images, samples, stylization
from jaxviz.checkpoints import store
from jaxviz.stylization.files import MANIFEST

HERE = Path(__file__).parent


def colors(model: stylization.Bank | stylization.Adaptive) -> dict[str, list[float]]:
    """Returns the mean color of scikit-image's `chelsea`, 64×64, in each style, or in that of a drawn painting."""
    photo = images.fit_square(samples.photograph("chelsea"), 64)
    styles = model.styles if isinstance(model, stylization.Bank) else ("samples.painting(64, seed=0)",)
    given = styles if isinstance(model, stylization.Bank) else [samples.painting(64, seed=0)]
    drawn = (stylization.stylize(model, photo, model.codes([style])) for style in given)
    means = [np.asarray(picture).mean((0, 1)) for picture in drawn]
    return {style: [round(float(v), 4) for v in mean] for style, mean in zip(styles, means, strict=True)}


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
        "colors": colors(stylization.load(path)),
    }
    manifest_path.write_text(tomli_w.dumps(dict(sorted(manifest.items()))))
    print(f"{path.name}: {path.stat().st_size:,} bytes, sha256 {store.sha256(path)}")


if __name__ == "__main__":
    main()
