"""How much a stylized film flickers, frame by frame and with `Steady`: a table, a sheet of frames, and JSON.

python -m benchmarks.flicker MODEL FRAMES --styles great_wave --out folder

MODEL is a name or file of `jaxviz.stylization.load`, or "noise": the frames themselves under noise of low
frequency, drawn anew for each, of which it is known what should be left. FRAMES is a folder of pictures, in their
order, or a film.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from jaxviz import images, stylization, video
from jaxviz.cli.filming import even, is_film
from jaxviz.drawing import sheets

STEADINESS = (0.0, 0.5, 0.7, 0.8, 0.9)
NOISE = 0.08
SHOWN = 0.8


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flicker", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("frames")
    parser.add_argument(
        "--styles", default="", help="names of a bank's styles, or pictures, separated by commas"
    )
    parser.add_argument("--size", type=int, help="longer side")
    parser.add_argument("--most", type=int, default=50, help="frames")
    parser.add_argument("--steadiness", default=",".join(map(str, STEADINESS)))
    parser.add_argument("--out", type=Path, required=True, help="folder")
    given = parser.parse_args(arguments)
    frames = read(given.frames, given.size, given.most)
    styled, drawing = drawn(given.model, [s for s in given.styles.split(",") if s], frames)
    rows, kept = [], {0.0: styled}
    for steadiness in map(float, given.steadiness.split(",")):
        made, seconds = steadied(frames, styled, steadiness)
        kept[steadiness] = made
        rows.append(
            {
                "steadiness": steadiness,
                "flicker": stylization.flicker(frames, made),
                "contrast": sharpness(made) / sharpness(styled),
                "seconds": seconds,
            }
        )
        if given.model == "noise":
            rows[-1]["error"] = float(np.sqrt(np.mean(np.square(np.stack(made[10:]) - frames[10:]))))
    given.out.mkdir(parents=True, exist_ok=True)
    record = {
        "model": given.model,
        "styles": given.styles,
        "frames": len(frames),
        "size": list(frames[0].shape[:2]),
        "flicker of the frames": stylization.flicker(frames, frames),
        "seconds to draw a frame": drawing,
        "device": str(jax.devices()[0].device_kind),
        "rows": rows,
    }
    (given.out / "flicker.json").write_text(json.dumps(record, indent=2) + "\n")
    shown = SHOWN if SHOWN in kept else max(kept)
    images.write(given.out / "flicker.png", sheet(frames, styled, kept[shown], shown))
    print(table(record))


def read(source: str, size: int | None, most: int) -> list[np.ndarray]:
    """Returns the first frames of a folder or a film."""
    if is_film(source):
        with video.read(source) as film:
            found = [images.to_floats(frame) for frame, _ in zip(film, range(most), strict=False)]
    else:
        paths = sorted(p for p in Path(source).iterdir() if p.suffix.lower() in images.PICTURE_SUFFIXES)
        found = [images.read(path) for path in paths[:most]]
    if len(found) < 2:
        raise SystemExit(f"{source} has {len(found)} frames; expected two or more")
    return found if size is None else [images.resize(x, *even(x.shape[:2], size)) for x in found]


def drawn(name: str, styles: list[str], frames: list[np.ndarray]) -> tuple[list[np.ndarray], float]:
    """Returns stylized frames, and the seconds that one takes, compiling left out."""
    if name == "noise":
        rng = np.random.default_rng(0)
        return [np.clip(x + NOISE * waves(rng, x.shape[:2]), 0, 1) for x in frames], 0.0
    model: Any = stylization.load(name)
    given = styles if isinstance(model, stylization.Bank) else [images.read(style) for style in styles]
    codes = model.codes(given)

    def film() -> Iterator[np.ndarray]:
        return stylization.film(model, frames, codes)

    list(film())
    began = time.perf_counter()
    made = list(film())
    return made, (time.perf_counter() - began) / len(frames)


def waves(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Returns noise of about sixteen pixels' length, of deviation 1 where it was drawn."""
    small = rng.normal(size=(3, max(2, size[0] // 16), max(2, size[1] // 16))).astype(np.float32)
    large = [Image.fromarray(c).resize(size[::-1], Image.Resampling.BICUBIC) for c in small]
    return np.stack([np.asarray(c) for c in large], -1)


def steadied(
    frames: list[np.ndarray], styled: list[np.ndarray], steadiness: float
) -> tuple[list[np.ndarray], float]:
    """Returns frames that were blended, and the seconds that one takes, compiling left out."""
    for count in (2, len(frames)):
        steady, began = stylization.Steady(steadiness), time.perf_counter()
        made = [np.asarray(steady(*pair)) for pair in zip(frames[:count], styled[:count], strict=True)]
    return made, (time.perf_counter() - began) / len(frames)


def sharpness(frames: list[np.ndarray]) -> float:
    """Returns the mean difference of neighboring pixels, after the first frames."""
    return float(np.mean([np.abs(np.diff(frame, axis=1)).mean() for frame in frames[len(frames) // 4 :]]))


def sheet(
    frames: list[np.ndarray], styled: list[np.ndarray], made: list[np.ndarray], steadiness: float
) -> np.ndarray:
    """Returns three frames in a row, as they are, stylized and steadied, and ten times what changes to the next."""

    def change(film: list[np.ndarray], k: int) -> np.ndarray:
        return np.clip(10 * np.abs(film[k + 1] - film[k]), 0, 1)

    rows = []
    for k in np.linspace(len(frames) // 4, len(frames) - 2, 3).astype(int):
        rows.append(
            [
                (f"frame {k + 1}", frames[k]),
                ("frame by frame", styled[k]),
                ("change, 10 times", change(styled, k)),
                (f"steadiness {steadiness:g}", made[k]),
                ("change, 10 times", change(made, k)),
            ]
        )
    return sheets.scenes(rows)


def table(record: dict[str, Any]) -> str:
    """Returns the rows as Markdown."""
    first = record["rows"][0]["flicker"]
    error = "error" in record["rows"][0]
    lines = [
        f"{record['model']} {record['styles']}, {record['frames']} frames of "
        f"{record['size'][1]}×{record['size'][0]}, {record['device']}; flicker of the frames themselves "
        f"{record['flicker of the frames']:.4f}; {record['seconds to draw a frame']:.3f} s to draw one",
        "",
        "| β | flicker | of β = 0 | contrast of neighbors | s a frame |" + (" error |" if error else ""),
        "| --- | --- | --- | --- | --- |" + (" --- |" if error else ""),
    ]
    for row in record["rows"]:
        cells = [
            f"{row['steadiness']:g}",
            f"{row['flicker']:.4f}",
            f"{row['flicker'] / first:.2f}",
            f"{row['contrast']:.2f}",
            f"{row['seconds']:.3f}",
        ]
        lines.append("| " + " | ".join(cells + ([f"{row['error']:.4f}"] if error else [])) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
