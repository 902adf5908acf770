"""Instance against batch normalization: training curves under one budget, on three kinds of content.

Huang and Belongie (ICCV 2017, figure 1) find that instance normalization learns faster than batch normalization on
photographs, still does where all have the same contrast, and hardly does where all have the same style: so it is
style that it normalizes. Contrast is made the same by equalizing the histogram of the luminance, style by a network
that draws the photographs in the style that is to be learned.

    python -m benchmarks.stylization.normalization --content photos/ --style painting.jpg --out DIR
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np

import jaxviz
from jaxviz import colors, images, jobs, stylization, training
from jaxviz.drawing import plots

KINDS = ("original", "same contrast", "same style")
NORMS = ("instance", "batch")


def equalized(picture: np.ndarray) -> np.ndarray:
    """Returns a picture whose luminance has every value equally often."""
    light = picture @ np.float32([0.299, 0.587, 0.114])
    ranks = np.argsort(np.argsort(light.ravel(), kind="stable"), kind="stable")
    flat = (ranks / max(1, ranks.size - 1)).reshape(light.shape).astype(np.float32)
    return np.asarray(colors.after("luminance", picture, np.repeat(flat[..., None], 3, -1)))


def made(kind: str, content: jobs.Source, folder: Path, model: stylization.Bank | None, count: int) -> Path:
    """Returns the folder of the photographs of a kind, written where it is not there yet."""
    place = folder / kind.replace(" ", "-")
    place.mkdir(parents=True, exist_ok=True)
    draw = jax.jit(stylization.stylize)
    for k in range(min(count, len(content))):
        path = place / f"{k:05d}.png"
        if path.exists():
            continue
        picture = images.fit_square(images.to_floats(content[k].read(images.MAX_PIXELS)), 192)
        if kind == "same contrast":
            picture = equalized(picture)
        elif model is not None and kind == "same style":
            picture = np.asarray(draw(model, picture, model.codes()))
        images.write(path, picture)
    return place


def smoothed(values: list[float], share: float = 0.05) -> np.ndarray:
    """Returns the running mean of a curve over a share of its length."""
    width = max(1, round(len(values) * share))
    padded = np.pad(values, (width // 2, width - 1 - width // 2), "edge")
    return np.convolve(padded, np.ones(width) / width, "valid")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--content", required=True)
    parser.add_argument("--style", required=True)
    parser.add_argument("--model", help="what makes one style of all; default: the first network of this run")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--precision", default="float32")
    given = parser.parse_args()
    network = jaxviz.load("vgg16", precision=given.precision)
    painting = images.fit_longer(images.read(given.style), 256)
    content = jobs.open_source(given.content)
    model = stylization.load(given.model) if given.model else None
    curves, table = {}, []
    for kind in KINDS:
        if kind == "same style" and model is None:
            model = stylization.load(given.out / "runs" / "original-instance" / "model.safetensors")
        folder = made(kind, content, given.out / "content", model, given.pictures)
        for norm in NORMS:
            values = training.FAST["default"].merged({"norm": norm, "width": given.width})
            recipe = training.perceptual(network, {"style": painting}, values, precision=given.precision)
            run = given.out / "runs" / f"{kind.replace(' ', '-')}-{norm}"
            training.train(
                recipe,
                jobs.open_source(folder),
                run,
                steps=given.steps,
                batch=given.batch,
                size=given.size,
                sheet_every=given.steps,
                checkpoint_every=max(1, given.steps // 4),
                tell_every=5,
                resume=(run / "run.json").exists(),
            )
            rows = training.read_log(run / "log.csv")
            style = smoothed([row["style"] for row in rows])
            curves[f"{norm}, {kind}"] = ([row["step"] for row in rows], style.tolist())
            half = len(rows) // 2
            table.append(
                {
                    "content": kind,
                    "norm": norm,
                    "style loss at half": float(style[half]),
                    "style loss at the end": float(style[-1]),
                    "content loss at the end": float(smoothed([row["content"] for row in rows])[-1]),
                }
            )
            print(table[-1], flush=True)
    for kind in KINDS:
        chosen = {norm: curves[f"{norm}, {kind}"] for norm in NORMS}
        drawn = plots.curves_plot(chosen, across="step", up="style loss", title=kind)
        images.write(given.out / f"normalization-{kind.replace(' ', '-')}.png", drawn)
    record = {"table": table, "curves": curves, "settings": {k: str(v) for k, v in vars(given).items()}}
    record["device"] = jax.local_devices()[0].device_kind
    (given.out / "normalization.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
