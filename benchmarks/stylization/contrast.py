"""Is a style that is learned by contrast worth it? CAST beside AdaIN, a bank of styles, and optimization.

Ten photographs are drawn in the styles of ten paintings, and judged by VGG-16: how far the content went (relu4_2),
how near the style came (Gram matrices, means and deviations, relative to the painting's), and by the cosine of the
projector's codes. Then squares are cut from paintings: how often is the nearest other square, by these codes, by
Gram matrices, by means and deviations, one of the same painting?

    python -m benchmarks.stylization.contrast --cast FILE --adain FILE --bank FILE --content photos/ \\
        --style paintings/ --out DIR

A bank knows its own paintings alone: where one is given, the pairs have those, by the names of their files.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxviz
from benchmarks.stylization.codes import accuracy, codes, squares
from jaxviz import images, jobs, objectives, stylization
from jaxviz.drawing import sheets

CONTENT = "relu4_2"
STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
EACH = 2
"""Squares from each painting."""


@jax.jit
def judged(
    network: jaxviz.Network, coder: Any, drawn: Any, content: Any, painting: Any
) -> dict[str, jax.Array]:
    """Returns how far a picture is from its content and from its style; 0 is at it, of the cosine 1."""
    ours, theirs = (network.features(one, [*STYLE, CONTENT]) for one in (drawn, painting))
    kept = network.features(content, [CONTENT])
    like = objectives.match_features(kept, weights={CONTENT: 1.0}, reduction="relative")
    found: dict[str, list[jax.Array]] = {"Gram": [], "moments": []}
    for layer in STYLE:
        grams = [objectives.gram_matrix(taps[layer]) for taps in (ours, theirs)]
        moments = [
            jnp.concatenate([tap.mean((0, 1)), jnp.sqrt(tap.var((0, 1)) + 1e-5)])
            for tap in (ours[layer], theirs[layer])
        ]
        for name, (a, b) in (("Gram", grams), ("moments", moments)):
            found[name].append(jnp.sum((a - b) ** 2) / jnp.sum(b**2))
    cosine = jnp.vdot(coder.code(drawn), coder.code(painting))
    return {"content": like(ours), **{k: jnp.mean(jnp.stack(v)) for k, v in found.items()}, "cosine": cosine}


def one_pass(model: Any, style: Any) -> Callable[[np.ndarray], tuple[Any, float]]:
    """Returns what draws a photograph in a style, and tells the seconds that it took once compiled."""
    draw = jax.jit(stylization.stylize)

    def drawn(content: np.ndarray) -> tuple[Any, float]:
        seen = model.codes([style])
        jax.block_until_ready(draw(model, content, seen))
        began = time.perf_counter()
        # The code of a painting belongs to what is drawn once.
        picture = jax.block_until_ready(draw(model, content, model.codes([style])))
        return picture, time.perf_counter() - began

    return drawn


def optimized(network: Any, painting: np.ndarray, steps: int) -> Callable[[np.ndarray], tuple[Any, float]]:
    """Returns what draws a photograph by optimization."""

    def drawn(content: np.ndarray) -> tuple[Any, float]:
        began = time.perf_counter()
        solution = jaxviz.style.transfer(network, content, [painting], steps=steps)
        return solution.value, time.perf_counter() - began - solution.compile_seconds

    return drawn


def pairs(given: argparse.Namespace, bank: Any) -> list[tuple[str, np.ndarray, str, np.ndarray]]:
    """Returns name and picture of photographs and of paintings."""
    photographs, paintings = jobs.open_source(given.content), jobs.open_source(given.style)
    stems = {Path(paintings[k].name).stem: k for k in range(len(paintings))}
    chosen = [stem for stem in stems if bank is None or stem in bank.styles]
    if not chosen:
        raise SystemExit(f"{given.style} has no painting that the bank knows: {', '.join(bank.styles)}")
    found = []
    for k in range(min(given.pairs, len(photographs))):
        stem = chosen[k % len(chosen)]
        content = images.fit_square(images.to_floats(photographs[k].read(images.MAX_PIXELS)), given.size)
        painting = images.to_floats(paintings[stems[stem]].read(images.MAX_PIXELS))
        found.append((photographs[k].name, content, stem, images.fit_longer(painting, given.size)))
    return found


def compared(
    given: argparse.Namespace, network: Any, models: dict[str, Any]
) -> tuple[list[dict], list[list]]:
    """Returns a row of numbers for each pair and method, and a line of pictures for each pair."""
    rows, lines = [], []
    for name, content, stem, painting in pairs(given, models.get("bank")):
        methods: dict[str, Any] = {"nothing": lambda content: (content, 0.0)}
        for kind, model in models.items():
            methods[kind] = one_pass(model, stem if kind == "bank" else painting)
        if given.evaluations:
            methods[f"{given.evaluations} evaluations"] = optimized(network, painting, given.evaluations)
        line = [("photograph", content), (stem, images.fit_square(painting, given.size))]
        for method, draw in methods.items():
            drawn, seconds = draw(content)
            told = judged(network, models["cast"].projector, jnp.asarray(drawn), content, painting)
            rows.append({"content of": name, "style of": stem, "method": method, "seconds": seconds})
            rows[-1] |= {key: float(value) for key, value in told.items()}
            print(json.dumps(rows[-1]), flush=True)
            if method != "nothing":
                line.append((method, np.asarray(drawn)))
        lines.append(line)
    return rows, lines


def told_apart(given: argparse.Namespace, network: Any, coder: Any) -> dict[str, float]:
    """Returns how often the nearest other square is of the same painting, by what a square is known by."""
    pictures, owners = squares(jobs.open_source(given.style), given.paintings, EACH, given.square)
    code = jax.jit(type(coder).code)
    found = [
        {"CAST: all layers": np.asarray(code(coder, picture))}
        | {k: np.asarray(v) for k, v in codes(network, picture).items() if "normalized" not in k}
        for picture in pictures
    ]
    return {name: accuracy(np.stack([one[name] for one in found]), owners) for name in found[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cast", required=True, help="a name that `jaxviz models` lists, or a file")
    parser.add_argument("--adain", help="likewise")
    parser.add_argument("--bank", help="likewise")
    parser.add_argument("--content", required=True)
    parser.add_argument("--style", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--evaluations", type=int, default=300, help="of the optimization; 0 for none")
    parser.add_argument("--paintings", type=int, default=64, help="that are to be told apart")
    parser.add_argument("--square", type=int, default=128, help="side of what is cut from them")
    parser.add_argument("--precision", default="float32")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    network = jaxviz.load("vgg16", precision=given.precision)
    models = {
        kind: stylization.load(name, precision=given.precision)
        for kind in ("adain", "bank", "cast")
        if (name := getattr(given, kind))
    }
    if getattr(models["cast"], "projector", None) is None:
        raise SystemExit(f"{given.cast} has no projector; take a model that `jaxviz train cast` made")
    rows, lines = compared(given, network, models)
    keys = ("content", "Gram", "moments", "cosine", "seconds")
    table = {
        method: {key: float(np.mean([row[key] for row in rows if row["method"] == method])) for key in keys}
        for method in dict.fromkeys(row["method"] for row in rows)
    }
    shares = told_apart(given, network, models["cast"].projector)
    print("\n| method |", " | ".join(keys), "|\n|", " --- |" * (len(keys) + 1))
    for method, means in table.items():
        print(f"| {method} |", " | ".join(f"{means[key]:.3g}" for key in keys), "|")
    print("\n| known by | nearest is of the same painting |\n| --- | --- |")
    for name, share in shares.items():
        print(f"| {name} | {share:.3f} |")
    images.write(given.out / "contrast.png", sheets.scenes(lines))
    record = {"means": table, "nearest is of the same painting": shares, "rows": rows}
    record |= {"settings": {key: str(value) for key, value in vars(given).items()}}
    record["device"] = jax.local_devices()[0].device_kind
    (given.out / "contrast.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
