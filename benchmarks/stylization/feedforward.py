"""One pass against optimization: what loss a trained network reaches, and after how many evaluations L-BFGS has it.

Both have the same loss, that with which the network was trained, on photographs that it has not seen.

    python -m benchmarks.stylization.feedforward --model FILE --style painting.jpg --content photos/ --out DIR
"""

import argparse
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxviz
from jaxviz import constraints, images, jobs, objectives, parameterizations, priors, stylization, training
from jaxviz.drawing import sheets
from jaxviz.problem import Problem

AFTER = (50, 100, 300)


def problem(network: jaxviz.Network, content: np.ndarray, painting: np.ndarray, values: dict) -> Problem:
    """Returns the problem whose loss is that of training."""
    like = network.features(jnp.asarray(content), list(values["content_layers"]))
    paint = network.features(jnp.asarray(painting), list(values["style_layers"]))
    objective = objectives.weighted_sum(
        (values["content_weight"], objectives.match_features(like, weights=values["content_layers"])),
        (values["style_weight"], objectives.match_gram(paint, weights=values["style_layers"])),
        names=("content", "style"),
    )
    return Problem(
        network=network,
        objective=objective,
        parameterization=parameterizations.pixels(),
        prior=priors.total_variation(weight=values["tv_weight"]),
        constraint=constraints.box(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--style", required=True)
    parser.add_argument("--content", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--pictures", type=int, default=5)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--evaluations", type=int, default=max(AFTER))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    model, network = stylization.load(given.model), jaxviz.load("vgg16")
    settings = stylization.record(given.model).get("settings", {})
    values = training.FAST["default"].values | {
        name: settings[name] for name in training.FAST["default"].values if name in settings
    }
    painting = images.fit_longer(images.read(given.style), 256)
    draw = jax.jit(stylization.stylize)
    codes = (
        model.codes([Path(given.style).stem])
        if isinstance(model, stylization.Bank)
        else model.codes([painting])
    )
    judged = jax.jit(lambda posed, z: posed.loss(z, jax.random.key(0)))
    source, rows, lines = jobs.open_source(given.content), [], []
    for k in range(min(given.pictures, len(source))):
        content = images.fit_square(images.to_floats(source[k].read(images.MAX_PIXELS)), given.size)
        posed = problem(network, content, painting, values)
        drawn = jax.block_until_ready(draw(model, content, codes))
        began = time.perf_counter()
        jax.block_until_ready(draw(model, content, codes))
        row = {"picture": source[k].name, "one pass": float(judged(posed, drawn))}
        row["seconds of one pass"] = time.perf_counter() - began
        row["content itself"] = float(judged(posed, jnp.asarray(content)))
        began = time.perf_counter()
        solution = jaxviz.minimize(posed, jnp.asarray(content), steps=given.evaluations)
        row["seconds of optimization"] = time.perf_counter() - began - solution.compile_seconds
        lowest = np.fmin.accumulate(np.asarray(solution.losses))
        row |= {f"after {n}": float(lowest[n - 1]) for n in AFTER if n <= len(lowest)}
        beaten = np.flatnonzero(lowest <= row["one pass"])
        row["evaluations to one pass"] = int(beaten[0]) + 1 if len(beaten) else None
        rows.append(row)
        print(json.dumps(row), flush=True)
        lines.append(
            [("content", content), ("one pass", np.asarray(drawn)), ("optimized", np.asarray(solution.value))]
        )
    images.write(given.out / "feedforward.png", sheets.scenes(lines))
    record = {"rows": rows, "model": Path(given.model).name, "device": jax.local_devices()[0].device_kind}
    (given.out / "feedforward.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
