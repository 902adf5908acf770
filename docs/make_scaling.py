"""Writes the tables of docs/scaling.md: `python -m docs.make_scaling`, some ten minutes on two cores.

Work and memory traffic are read off each technique's program, lowered for an accelerator; exchanges of rows off a
program compiled for four virtual devices; measured points are those of benchmarks/results/.
"""

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"

import jax
import numpy as np
from jax import lax
from PIL import Image

import jaxviz
from jaxviz import costs, images, jobs, optimization, optimizers, placing
from jaxviz.costs.communication import collectives
from jaxviz.costs.explaining import Explanation
from jaxviz.jobs.reading import Reader

PAGE = Path(__file__).with_name("scaling.md")
RESULTS = PAGE.parents[1] / "benchmarks" / "results"
CHIPS = {
    "H100, TF32": (495e12, 3.35e12, 450e9),
    "H200, TF32": (495e12, 4.8e12, 450e9),
    "H200, bfloat16": (989e12, 4.8e12, 450e9),
    "TPU v5e, bfloat16": (197e12, 0.819e12, 200e9),
    "TPU v5p, bfloat16": (459e12, 2.765e12, 600e9),
}
"""Operations, bytes of memory and bytes to neighbors per second, as their makers state them; one direction."""
EVALUATIONS = {"inversion": 200, "texture": 300, "style": 300, "robust": 256}
SHOWN = (
    *("gradient", "guided", "smoothgrad", "integrated-gradients", "occlusion", "rise", "grad-cam"),
    *("fgsm", "pgd", "robust", "inversion", "texture", "style"),
)
JPEG, MAP = 110e3, 224 * 224 * 4
"""Bytes of a picture of ImageNet's, and of a map in float32."""
NETWORK = 12.5e9
"""Bytes per second of a host with 100 Gb/s."""
CHIPS_OF_A_HOST, CORES_OF_A_HOST = 8, 192
PODS, COUNTS = (1, 8, 64, 512, 4096), (1e6, 1e9)
LATENCY = 5e-6
"""Seconds of one exchange, whatever its size."""
GRADIENT, STYLE = 0.12, 0.37
"""Shares of the floor's pace that were measured: SqueezeNet's small layers, VGG-16's large ones."""


def floor(found: Explanation, chip: str) -> tuple[float, str]:
    """Returns the seconds that a program takes at least, and what they go into."""
    peak, memory, _ = CHIPS[chip]
    # Features of bfloat16 are half as many bytes as those of the float32 program that was read.
    moved = found.bytes * (0.5 if "bfloat16" in chip else 1.0)
    return max((found.flops / peak, "compute"), (moved / memory, "memory"))


def work(found: dict[str, Explanation]) -> list[tuple[str, ...]]:
    """Returns what a picture of 224² takes."""
    rows = [("technique", "evaluations", "GFLOP", "GB moved by products", "FLOP/byte", *CHIPS)]
    for name, each in found.items():
        times = EVALUATIONS.get(name, 1)
        floors = []
        for chip in CHIPS:
            seconds, bound = floor(each, chip)
            floors.append(f"{shown(seconds * times)} ({bound})")
        rows.append(
            (
                name,
                str(times),
                f"{each.flops * times / 1e9:,.1f}",
                f"{each.bytes * times / 1e9:,.2f}",
                f"{each.intensity:.0f}",
                *floors,
            )
        )
    return rows


def measured(found: dict[str, Explanation]) -> list[tuple[str, ...]]:
    """Returns floors beside what was measured on an H200."""
    of_maps = json.loads((RESULTS / "attribution64-gpu-tf32.json").read_text())["rows"]
    names = ("gradient", "guided", "smoothgrad", "integrated-gradients", "", "grad-cam")
    points = [
        (f"{name}, 224², batch 64", found[name], "H200, TF32", row["sides"]["jaxviz"]["median_s"])
        for name, row in zip(names, of_maps, strict=True)
        if name  # occlusion was measured with fewer windows than it has by itself
    ]
    large = costs.explain("style", platform="cuda", size=512)
    for precision in ("TF32", "bfloat16"):
        path = RESULTS / f"evaluations-gpu-{precision.lower()}.json"
        points += [
            (f"style, {row['work']}", large, f"H200, {precision}", row["sides"]["jaxviz"]["median_s"])
            for row in json.loads(path.read_text())["rows"]
        ]
    rows = [("what", "on", "floor", "bound by", "measured", "share of the floor's pace")]
    for what, each, chip, seconds in points:
        least, bound = floor(each, chip)
        rows.append((what, chip, shown(least), bound, shown(seconds), f"{least / seconds:.2f}"))
    return rows


def pods(found: dict[str, Explanation], per_core: float) -> list[tuple[str, ...]]:
    """Returns what limits runs over many pictures, and how long they take."""
    titles = ("run", "chips", "pictures a second", "cores to decode, a host", "read, a host")
    rows: list[tuple[str, ...]] = [(*titles, "10⁶ take", "10⁹ take", "bound by")]
    for name, share in (("gradient", GRADIENT), ("smoothgrad", GRADIENT), ("style", STYLE)):
        seconds = floor(found[name], "H200, TF32")[0] * EVALUATIONS.get(name, 1) / share
        for chips in PODS:
            hosts = -(-chips // CHIPS_OF_A_HOST)
            wanted = chips / seconds
            limits = {
                "compute": wanted,
                "decoding": hosts * CORES_OF_A_HOST * per_core,
                "network": hosts * NETWORK / (JPEG + MAP),
            }
            bound = min(limits, key=lambda limit: limits[limit])
            pace = limits[bound]
            row = (name, f"{chips:,}", whole(pace), whole(wanted / hosts / per_core))
            row += (f"{whole(pace / hosts * JPEG / 1e6)} MB/s", *(duration(count / pace) for count in COUNTS))
            rows.append((*row, bound))
    return rows


def whole(number: float) -> str:
    """Returns a number without what nobody knows of it."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"


def duration(seconds: float) -> str:
    """Returns seconds as a person tells them."""
    for unit, size in (("years", 3.156e7), ("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{whole(seconds / size)} {unit}"
    return f"{whole(seconds)} s"


def shared() -> tuple[dict[int, dict[str, float]], int]:
    """Returns what a device sends in an evaluation of style transfer by rows, by the picture's side; exchanges."""
    platform_dependent = lax.platform_dependent

    def rules_of_gpus(*arguments: Any, default: Any = None, cuda: Any = None, **branches: Any) -> Any:
        return (cuda or default)(*arguments)

    lax.platform_dependent = rules_of_gpus
    mesh, key, made, exchanges = jaxviz.mesh(4, rows=4), jax.random.key(0), {}, 0
    for side in (64, 128):
        picture = costs.programs.drawn(side)
        problem, z = jaxviz.style.problem(jaxviz.load("vgg16"), picture, [picture[::-1]])
        place = placing.layout(problem, z, key, None, mesh)
        posed, z, placed = place.spread(problem, z, key)
        start, run = optimization.programs(None, False, mesh)
        state = start(posed, z, optimizers.lbfgs(), placed)
        found = collectives(run.lower(posed, state, np.int32(1)).compile().as_text())
        made[side] = {
            kind: sum(each.sent(4) * n for each, n in found.items() if (each.kind == "all-reduce") == reduces)
            for kind, reduces in (("rows", False), ("sums", True))
        }
        exchanges = sum(found.values())
    lax.platform_dependent = platform_dependent
    return made, exchanges


def rows_of_one(sent: dict[int, dict[str, float]], exchanges: int) -> list[tuple[str, ...]]:
    """Returns how an evaluation of one large picture scales over chips."""
    large = costs.explain("style", platform="cuda", size=512)
    table = [("picture", "chips", "rows of each", "compute", "exchange", "all", "of the ideal")]
    for side in (1024, 4096, 16384):
        chip = "H200, TF32"
        _, _, link = CHIPS[chip]
        alone = floor(large, chip)[0] * (side / 512) ** 2 / STYLE
        for chips in (1, 4, 16, 64):
            talk = 0.0
            if chips > 1:
                # A sum over more devices goes round a longer ring.
                sums = sent[128]["sums"] * (1 - 1 / chips) / (1 - 1 / 4)
                talk = (sent[128]["rows"] * side / 128 + sums) / link + exchanges * LATENCY
            total = alone / chips + talk
            table.append(
                (
                    f"{side}²",
                    str(chips),
                    str(side // chips),
                    shown(alone / chips),
                    shown(talk),
                    shown(total),
                    f"{alone / chips / total:.2f}",
                )
            )
    return table


def decoding() -> float:
    """Returns how many JPEG files of a usual size a core reads in a second, as jobs do."""
    noise = costs.programs.drawn(500)[:375]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"
        Image.fromarray(np.uint8(noise * 255)).save(path, quality=90)
        reader = Reader(jobs.open_source(folder), jobs.Square(224), images.MAX_PIXELS)
        times = []
        for _ in range(50):
            began = time.process_time()
            reader(0)
            times.append(time.process_time() - began)
    return 1 / min(times)  # what else the machine does only makes it slower


def shown(seconds: float) -> str:
    """Returns seconds with their unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return "0" if seconds == 0 else f"{seconds * 1e6:.2g} µs"


def drawn(rows: list[tuple[str, ...]]) -> str:
    """Returns rows as a table; the first are its titles."""
    lines = [rows[0], ("---",) * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def written(text: str, tables: dict[str, str]) -> str:
    """Returns the page's text with tables between their marks."""
    for name, table in tables.items():
        opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, rest = text.split(opening, 1)
        text = f"{before}{opening}\n{table}\n{closing}{rest.split(closing, 1)[1]}"
    return text


if __name__ == "__main__":
    explained = {name: costs.explain(name, platform="cuda") for name in SHOWN}
    core = decoding()
    sent, exchanges = shared()
    halves = {kind: sent[128][kind] / sent[64][kind] for kind in sent[128]}
    said = (
        f"One evaluation of style transfer at 128², on four devices: {exchanges} exchanges, "
        f"{sent[128]['rows'] / 1e6:.2f} MB of rows and {sent[128]['sums'] / 1e6:.2f} MB of sums sent by each; "
        f"{halves['rows']:.2f} and {halves['sums']:.2f} times those at 64². One core read, decoded and cut "
        f"{core:.0f} JPEG files of 500×375 a second."
    )
    tables = {
        "work": drawn(work(explained)),
        "measured": drawn(measured(explained)),
        "pods": drawn(pods(explained, core)),
        "rows": drawn(rows_of_one(sent, exchanges)),
        "counted": said,
    }
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), tables), encoding="utf-8")
