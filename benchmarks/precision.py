"""What results cost in another precision: `python -m benchmarks.precision --out DIR`.

Techniques that minimize run in float32 and in the other precision, and the loss of float32 judges both results.
Saliency maps are compared by their correlation. Beside both stands what a change does that nobody would see, in
float32: colors moved by at most half of 1/255, as by rounding to bytes, of the start or of the picture.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxviz
from benchmarks import system
from jaxviz import images, samples
from jaxviz.optimization import minimize
from jaxviz.techniques import FAMILIES

PAIRS: dict[str, Callable[[], np.ndarray]] = {
    "astronaut": lambda: samples.painting(256),
    "chelsea": lambda: samples.photograph("immunohistochemistry"),
    "coffee": lambda: samples.painting(256, seed=1),
    "rocket": lambda: samples.photograph("hubble_deep_field"),
    "retina": lambda: samples.photograph("grass"),
}
"""Content, a photograph of scikit-image → style and texture."""
MINIMIZED = ("style", "texture", "inversion")
MAPS = ("gradient", "smoothgrad", "integrated-gradients", "grad-cam")


def moved(picture: np.ndarray) -> np.ndarray:
    """Returns a picture with colors moved by at most half of 1/255."""
    noise = np.random.default_rng(0).uniform(-0.5 / 255, 0.5 / 255, picture.shape)
    return np.clip(picture + noise, 0, 1).astype(np.float32)


def minimized(technique: str, content: Any, style: Any, steps: int, precision: str) -> dict[str, float]:
    """Returns the final loss of each run, in float32."""
    family = FAMILIES[technique]
    method: Any = family.methods[family.usual]
    inputs, options = (content,), {}
    if technique == "style":
        inputs = (content, [style])
    elif technique == "texture":
        inputs = (style,)
    else:
        options = {"layer": "relu3_3"}
    exact, start = method.problem(jaxviz.load(family.network), *inputs, **options)
    rough, _ = method.problem(jaxviz.load(family.network, precision=precision), *inputs, **options)
    steps, optimizer = method.schedule(start, steps=steps)
    judged = jax.jit(lambda problem, z: problem.loss(z, jax.random.key(0)))
    found = {"start": float(judged(exact, start))}
    runs = {"float32": (exact, start), precision: (rough, start), "moved": (exact, moved(np.asarray(start)))}
    for name, (problem, z) in runs.items():
        solution = minimize(problem, z, steps=steps, optimizer=optimizer)
        found[name] = float(judged(exact, solution.value))
        found[f"{name}_told"] = float(np.nanmin(solution.losses))
    found["change"] = found[precision] / found["float32"] - 1
    found["change_moved"] = found["moved"] / found["float32"] - 1
    return found


def correlated(method: str, picture: Any, precision: str) -> dict[str, float]:
    """Returns how the map of the best class correlates with that in float32, and so that of the moved picture."""
    family = FAMILIES["saliency"]
    exact = jaxviz.load(family.network)
    rough = jaxviz.load(family.network, precision=precision)
    label = int(exact.features(picture, ["logits"])["logits"].argmax())
    computed = family.methods[method].function
    maps = [
        np.asarray(computed(network, seen, label), np.float64).ravel()
        for network, seen in ((exact, picture), (rough, picture), (exact, moved(picture)))
    ]
    return {
        "correlation": float(np.corrcoef(maps[0], maps[1])[0, 1]),
        "correlation_moved": float(np.corrcoef(maps[0], maps[2])[0, 1]),
    }


def rows(record: dict[str, Any]) -> list[list[str]]:
    """Returns the record as rows of a table: its head, then a technique each, by pair."""
    precision = record["precision"]
    found = [["result", *PAIRS, "mean", "worst", "worst where only colors moved by up to 1/510"]]
    for technique, pairs in record["minimized"].items():
        changes = [pair["change"] for pair in pairs.values()]
        apart = max(pair["change_moved"] for pair in pairs.values())
        cells = [f"{100 * change:+.1f} %" for change in (*changes, np.mean(changes), max(changes))]
        found.append([f"{technique}, loss of {precision}", *cells, f"{100 * apart:+.1f} %"])
    for method, pairs in record["maps"].items():
        values = [pair["correlation"] for pair in pairs.values()]
        least = min(pair["correlation_moved"] for pair in pairs.values())
        cells = [f"{value:.4f}" for value in (*values, np.mean(values), min(values), least)]
        found.append([f"{method}, correlation", *cells])
    return found


def table(record: dict[str, Any]) -> str:
    """Returns the record as a table in Markdown."""
    head, *others = rows(record)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *others))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision", description="What results cost.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the JSON file")
    parser.add_argument("--precision", default="bfloat16", help="bfloat16 or tf32")
    parser.add_argument("--size", type=int, default=96, help="side in pixels of what is minimized for")
    parser.add_argument("--steps", type=int, default=50, help="evaluations of value and gradient")
    parser.add_argument("--maps-size", type=int, default=224, help="side in pixels of what maps are of")
    parser.add_argument("--only", choices=(*MINIMIZED, *MAPS), action="append", help="this; may be repeated")
    parser.add_argument("--commit", default="", help="recorded where the checkout has no git")
    given = parser.parse_args()
    began = time.perf_counter()
    pictures = {
        name: (samples.photograph(name), images.fit_square(style(), given.size))
        for name, style in PAIRS.items()
    }
    contents = {name: images.fit_square(content, given.size) for name, (content, _) in pictures.items()}
    record: dict[str, Any] = {
        "command": " ".join(["python -m benchmarks.precision", *sys.argv[1:]]),
        "precision": given.precision,
        "size": given.size,
        "steps": given.steps,
        "maps_size": given.maps_size,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "environment": system.facts(system.environment(False), given.commit),
        "minimized": {},
        "maps": {},
    }
    chosen = given.only or (*MINIMIZED, *MAPS)
    for technique in (each for each in MINIMIZED if each in chosen):
        print(technique, flush=True)
        record["minimized"][technique] = {
            name: minimized(technique, contents[name], style, given.steps, given.precision)
            for name, (_, style) in pictures.items()
        }
    for method in (each for each in MAPS if each in chosen):
        print(method, flush=True)
        record["maps"][method] = {
            name: correlated(method, images.fit_square(content, given.maps_size), given.precision)
            for name, (content, _) in pictures.items()
        }
    record["seconds"] = round(time.perf_counter() - began)
    given.out.mkdir(parents=True, exist_ok=True)
    parts = [jax.devices()[0].platform, given.precision, *(given.only or ()), f"{given.steps}-evaluations"]
    path = given.out / f"{'-'.join(parts)}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\n{table(record)}\n\n{path.name} after {record['seconds']} s")


if __name__ == "__main__":
    main()
