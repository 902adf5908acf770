"""A scene in a style from many sides: how alike its views are, painted as a field and frame by frame.

    python -m benchmarks.radiance.consistency --scene lego/ --style painting.jpg --out DIR
    python -m benchmarks.radiance.consistency --field lego.npz --styled styled.npz --style painting.jpg --out DIR

Frames along a path are drawn in four ways: as the field itself shows them, which is the least that warping costs;
as the field that was stylized shows them; each by itself in one pass of a trained network; and each by itself by
optimization. Frames that are neighbors, and such that are far apart, are warped into each other by the depth of the
field and compared where both see the same. Of all the distance from the nearest features of the style is told, and
how long each stage took. A table, `consistency.json`, a sheet and, with --film, films.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxviz
from jaxviz import images, radiance, stylization, video
from jaxviz.checkpoints import perceptual_weights
from jaxviz.checkpoints.perceptual import LAYERS
from jaxviz.drawing import sheets
from jaxviz.networks import compiled_features
from jaxviz.objectives import match_nearest
from jaxviz.techniques.measuring import perceptual_distance

NETWORK = "vgg16"
SHOWN = 4


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.radiance.consistency",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scene", help="folder of posed pictures, to which a field is fitted")
    parser.add_argument("--field", type=Path, help="a field that is fitted already")
    parser.add_argument("--styled", type=Path, help="a field that is stylized already")
    parser.add_argument("--style", required=True, help="picture")
    parser.add_argument("--out", required=True, type=Path, help="folder")
    parser.add_argument("--downscale", type=float, default=1, help="of the scene's pictures")
    parser.add_argument("--fit-steps", type=int, default=radiance.Settings.steps)
    parser.add_argument("--fit-nodes", type=int, default=radiance.Settings.nodes)
    parser.add_argument("--preset", default="default", help="of the stylization")
    parser.add_argument("--steps", type=int, help="of the stylization")
    parser.add_argument("--color-steps", type=int, help="of the colors before")
    parser.add_argument(
        "--model", default="starry_night", help="network that draws in one pass; empty for none"
    )
    parser.add_argument(
        "--model-style", help="one of its styles; default: the first, or --style where it is any"
    )
    parser.add_argument(
        "--evaluations", type=int, default=100, help="of each frame's optimization; 0 for none"
    )
    parser.add_argument("--path", help="spiral, circle or a file; default: what suits the scene")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--size", type=int, help="longer side of a frame; default: the photographs'")
    parser.add_argument("--apart", default="1,6", help="how many frames lie between those compared")
    parser.add_argument("--lpips", help="weights of LPIPS for VGG-16; without them all channels count alike")
    parser.add_argument("--film", action="store_true", help="write a film of each way")
    parser.add_argument("--precision", default="float32")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, Any] = {}
    network = jaxviz.load(NETWORK, precision=given.precision)
    model = fitted(given, seconds)
    side = max(model.cameras.size)
    painting = images.fit_longer(images.read(given.style), side)
    styled = painted(given, model, network, painting, seconds)
    cameras = along(given, model)
    frames, seen = rendered(model, cameras, seconds, "render a frame")
    ways = {
        "the field itself": frames,
        "painted field": rendered(styled, cameras, seconds, "render styled")[0],
    }
    if given.model:
        ways["each frame, one pass"] = one_pass(given, frames, painting, seconds)
    if given.evaluations:
        ways["each frame, optimized"] = optimized(given, network, frames, painting, seconds)
    judge, distance = nearness(network, painting), perceived(given, network)
    rows = [row(name, made, seen, cameras, given, judge, distance) for name, made in ways.items()]
    record = {
        "device": jax.local_devices()[0].device_kind,
        "settings": {name: str(value) for name, value in vars(given).items()},
        "size": list(cameras.size),
        "distance": "LPIPS" if given.lpips else "directions of features, all channels alike",
        "seconds": seconds,
        "rows": rows,
    }
    (given.out / "consistency.json").write_text(json.dumps(record, indent=2) + "\n")
    shown = np.linspace(0, len(frames) - 1, min(SHOWN, len(frames))).round().astype(int)
    lines = [[(name, made[k]) for name, made in ways.items()] for k in shown]
    images.write(given.out / "consistency.png", sheets.scenes(lines))
    if given.film:
        for name, made in ways.items():
            video.write(given.out / f"{name.replace(', ', '_').replace(' ', '_')}.mp4", map(even, made), 24)
    print(table(rows, record["distance"]))
    print("\n".join(f"{name}: {_told(value)}" for name, value in seconds.items()))


def fitted(given: Any, seconds: dict[str, Any]) -> radiance.Model:
    if given.field is not None:
        return radiance.load(given.field)
    if given.scene is None:
        raise SystemExit("give --field or --scene")
    scene = radiance.read(given.scene, downscale=given.downscale)
    nodes = given.fit_nodes
    settings = radiance.Settings.of(
        scene, steps=given.fit_steps, nodes=nodes, first_nodes=min(radiance.Settings.first_nodes, nodes)
    )
    began = time.perf_counter()
    made = radiance.fit_into(given.out / "field.npz", scene, settings)
    seconds["fit"] = {"all": time.perf_counter() - began, **made.seconds}
    return made.model


def painted(
    given: Any, model: radiance.Model, network: jaxviz.Network, painting: np.ndarray, seconds: dict[str, Any]
) -> radiance.Model:
    if given.styled is not None:
        return radiance.load(given.styled)
    chosen = {"steps": given.steps, "color_steps": given.color_steps}
    began = time.perf_counter()
    made = radiance.stylize_into(
        given.out / "styled.npz",
        model,
        network,
        [painting],
        preset=given.preset,
        **{name: value for name, value in chosen.items() if value is not None},
    )
    seconds["stylize"] = {"all": time.perf_counter() - began, **made.seconds}
    return made.model


def along(given: Any, model: radiance.Model) -> radiance.Cameras:
    h, w = model.cameras.size
    scale = 1.0 if given.size is None else given.size / max(h, w)
    # Networks that draw halve a picture twice.
    size = max(16, round(h * scale / 4) * 4), max(16, round(w * scale / 4) * 4)
    way = given.path or radiance.usual(model.space)
    return radiance.path(way, model.cameras, model.space, frames=given.frames, size=size)


def rendered(
    model: radiance.Model, cameras: radiance.Cameras, seconds: dict[str, Any], what: str
) -> tuple[list[np.ndarray], list[radiance.Seen]]:
    began = time.perf_counter()
    seen = list(radiance.see(model, cameras))
    seconds[what] = (time.perf_counter() - began) / cameras.count
    return [np.asarray(view.color) for view in seen], seen


def one_pass(
    given: Any, frames: Sequence[np.ndarray], painting: np.ndarray, seconds: dict[str, Any]
) -> list[np.ndarray]:
    model = stylization.load(given.model, precision=given.precision)
    style: Any = given.model_style
    if style is None:
        style = model.styles[0] if isinstance(model, stylization.Bank) else painting
    codes = model.codes([style])
    draw = jax.jit(stylization.stylize)
    first = np.asarray(draw(model, jnp.asarray(frames[0]), codes))
    began = time.perf_counter()
    drawn = [first, *(np.asarray(draw(model, jnp.asarray(frame), codes)) for frame in frames[1:])]
    seconds["one pass"] = (time.perf_counter() - began) / max(1, len(frames) - 1)
    return drawn


def optimized(
    given: Any,
    network: jaxviz.Network,
    frames: Sequence[np.ndarray],
    painting: np.ndarray,
    seconds: dict[str, Any],
) -> list[np.ndarray]:
    began = time.perf_counter()
    drawn = [
        np.asarray(jaxviz.style.transfer(network, frame, [painting], steps=given.evaluations).value)
        for frame in frames
    ]
    seconds["optimize a frame"] = (time.perf_counter() - began) / len(frames)
    return drawn


def nearness(network: jaxviz.Network, painting: np.ndarray) -> Callable[[np.ndarray], float]:
    layers = tuple(radiance.STYLIZING["default"].values["layers"])
    taps = compiled_features(network, jnp.asarray(painting), layers)
    objective = match_nearest(taps, weights=dict.fromkeys(layers, 1 / 3), precision=network.precision)
    judged = jax.jit(lambda objective, network, x: objective(network.features(x, layers)))
    return lambda picture: float(judged(objective, network, jnp.asarray(picture)))


def perceived(given: Any, network: jaxviz.Network) -> Callable[[Any, Any], float]:
    if given.lpips:
        weights: dict[str, Any] = perceptual_weights(given.lpips, NETWORK)
    else:
        shapes = network.shapes
        weights = {layer: np.full(shapes[layer][-1], 1.0, np.float32) for layer in LAYERS[NETWORK]}
    return lambda a, b: perceptual_distance(network, jnp.asarray(a), jnp.asarray(b), weights)


def row(
    name: str,
    pictures: Sequence[np.ndarray],
    seen: Sequence[radiance.Seen],
    cameras: radiance.Cameras,
    given: Any,
    judge: Callable[[np.ndarray], float],
    distance: Callable[[Any, Any], float],
) -> dict[str, Any]:
    found: dict[str, Any] = {"way": name, "nearest": float(np.mean([judge(p) for p in pictures[::3]]))}
    for apart in map(int, given.apart.split(",")):
        found[f"{apart} apart"] = radiance.consistency(pictures, seen, cameras, apart, distance=distance)
    return found


def table(rows: Sequence[dict[str, Any]], distance: str) -> str:
    apart = [name for name in rows[0] if name.endswith("apart")]
    head = ["way", *(f"{name}: {what}" for name in apart for what in ("RMSE", "distance")), "nearest"]
    lines = [head, ["---"] * len(head)]
    for found in rows:
        numbers = [f"{found[name][what]:.4f}" for name in apart for what in ("rmse", "distance")]
        lines.append([found["way"], *numbers, f"{found['nearest']:.4f}"])
    known = ", ".join(f"{name} {rows[0][name]['known']:.0%}" for name in apart)
    told = f"distance: {distance}; of all pixels are known: {known}"
    return "\n".join([*("| " + " | ".join(line) + " |" for line in lines), "", told])


def even(picture: np.ndarray) -> np.ndarray:
    return picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {part:.1f} s" for name, part in value.items())
    return f"{value:.3g} s"


if __name__ == "__main__":
    main()
