"""The commands of radiance fields: fitted to posed pictures, rendered, flown through. `jaxviz field --help`."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import rich.progress
import typer

import jaxviz
from jaxviz import images, radiance, video
from jaxviz.cli import options
from jaxviz.cli.command import command, register
from jaxviz.cli.filming import even
from jaxviz.cli.options import HOW, OUTPUT, WHAT, option
from jaxviz.cli.session import Failure, Session, Stopped
from jaxviz.drawing import films

app = typer.Typer(
    no_args_is_help=True,
    help="Scenes from posed pictures: fit a field, stylize it, render it, fly through it.",
)

SceneFolder = Annotated[
    Path,
    typer.Argument(
        help="Folder of posed pictures, with transforms_train.json, poses_bounds.npy, or COLMAP's files."
    ),
]
FieldFile = Annotated[Path, typer.Argument(help="A field that `jaxviz field fit`, or stylize, wrote.")]
Downscale = Annotated[float, option("--downscale", WHAT, "Makes pictures smaller by this factor.", min=1)]
Hold = Annotated[
    int,
    option(
        "--hold", WHAT, "Holds back every so many-th picture, where the scene names none; 0 for none.", min=0
    ),
]
Way = Annotated[
    str,
    option(
        "--space",
        WHAT,
        "forward for cameras that look the same way, box for those around something, or auto.",
    ),
]
Background = Annotated[
    str | None, option("--background", WHAT, "white, or none; default: white for transforms_train.json.")
]


@command(
    name="field fit",
    example="jaxviz field fit lego/ --out lego.npz",
    reads=True,
)
def fit(
    session: Session,
    scene: SceneFolder,
    out: Annotated[Path, option("--out", OUTPUT, "The field, .npz.")] = Path("field.npz"),
    steps: Annotated[int, option("--steps", HOW, "Steps in all.", min=1)] = radiance.Settings.steps,
    nodes: Annotated[
        int, option("--nodes", HOW, "Nodes of the field, along the side of a cube.", min=4)
    ] = radiance.Settings.nodes,
    samples: Annotated[
        int, option("--samples", HOW, "Samples of a step, in space that is not empty.", min=1)
    ] = radiance.Settings.samples,
    learning_rate: Annotated[
        float, option("--learning-rate", HOW, "Of Adam, at the beginning.", min=0.0)
    ] = radiance.Settings.learning_rate,
    downscale: Downscale = 1,
    hold: Hold = 8,
    space: Way = "auto",
    background: Background = None,
    test_views: Annotated[
        int, option("--test-views", OUTPUT, "Measures at most so many views that were held back.", min=0)
    ] = 25,
    seed: Annotated[int, option("--seed", HOW, "Seeds everything that is drawn.", min=0, max=2**32 - 1)] = 0,
    devices: options.Devices = "1",
    keep_every: Annotated[
        int, option("--keep-every", OUTPUT, "Steps after which the run is kept.", min=1)
    ] = 500,
    resume: Annotated[bool, option("--resume", OUTPUT, "Go on from what a stopped run has kept.")] = False,
) -> None:
    """Fit a radiance field to posed pictures."""
    if out.suffix.lower() != ".npz":
        raise ValueError(f"{out} cannot be written as a field; expected .npz")
    session.opens([out])
    given = session.given
    found = radiance.read(
        scene,
        downscale=downscale,
        hold=hold,
        space=space,
        background=background,
        max_pixels=given["max_pixels"],
    )
    session.record["scene"] = radiance.described(found)
    first = min(radiance.Settings.first_nodes, nodes)
    settings = radiance.Settings.of(
        found, steps=steps, nodes=nodes, first_nodes=first, samples=samples, learning_rate=learning_rate
    )
    mesh = None if devices == "1" else jaxviz.mesh(devices)
    text = rich.progress.TextColumn
    columns = (
        text("{task.completed:.0f}/{task.total:.0f} steps"),
        rich.progress.BarColumn(),
        text("{task.fields[told]}"),
        rich.progress.TimeRemainingColumn(),
    )
    cut = 0.0
    with session.bar(*columns) as bar:
        shown = bar.add_task("", total=steps, told="compiling")

        def on_step(at: radiance.Step) -> None:
            nonlocal cut
            cut = at.cut
            told = f"{at.psnr:.1f} dB, {at.rays} rays, {'×'.join(map(str, at.resolution))}"
            bar.update(shown, completed=at.step, told=told)

        try:
            fitted = radiance.fit_into(
                out,
                found,
                settings,
                seed=seed,
                mesh=mesh,
                keep_every=keep_every,
                resume=resume,
                record={"command": "field fit", "scene": str(scene)},
                on_step=on_step,
            )
        except radiance.FitError as error:
            raise Failure(str(error)) from error
    session.written.append(out)
    session.record |= {
        "steps": fitted.step,
        "losses": fitted.losses.tolist(),
        "seconds": dict(fitted.seconds),
        "cut": cut,
    }
    if fitted.interrupted:
        raise Stopped(f"interrupted at step {fitted.step}; the same command with --resume goes on")
    views = radiance.spread(found.test, test_views)
    if views.count:
        began = time.perf_counter()
        session.record["views"] = radiance.measured(fitted.model, views)
        session.record["seconds"]["test"] = time.perf_counter() - began
        session.record |= radiance.means(session.record["views"])
        session.say(f"{out}: {_told(session.record)} on {views.count} views that were held back")


@command(
    name="field render",
    example="jaxviz field render lego.npz --scene lego/ --depth --out renders",
    reads=True,
)
def render(
    session: Session,
    field: FieldFile,
    out: Annotated[Path, option("--out", OUTPUT, "Folder of the pictures.")] = Path("renders"),
    scene: Annotated[
        Path | None,
        option(
            "--scene",
            WHAT,
            "A scene whose held-back views are seen, and measured; default: the field's cameras.",
        ),
    ] = None,
    views: Annotated[str, option("--views", WHAT, "Which, by number, as 0,5,9; default: all.")] = "",
    depth: Annotated[
        bool, option("--depth", OUTPUT, "Write depth, near bright, as pictures and .npy too.")
    ] = False,
    downscale: Downscale = 1,
    hold: Hold = 8,
    space: Way = "auto",
    background: Background = None,
) -> None:
    """Render the views of a radiance field, and measure those of a scene."""
    model = radiance.load(field)
    if scene is None:
        h, w = (max(1, round(side / downscale)) for side in model.cameras.size)
        cameras, names = (
            radiance.resized(model.cameras, (h, w)),
            [f"{k:04}" for k in range(model.cameras.count)],
        )
        held = None
    else:
        found = radiance.read(
            scene,
            downscale=downscale,
            hold=hold,
            space=space,
            background=background,
            max_pixels=session.given["max_pixels"],
        )
        held = found.test
        cameras, names = held.cameras, [Path(name).stem for name in held.names]
        if not held.count:
            raise ValueError(f"{scene} holds back no view; take another --hold")
    which = _chosen(views, cameras.count)
    out.mkdir(parents=True, exist_ok=True)
    session.opens([out / "0.png"])
    columns = (
        rich.progress.TextColumn("{task.completed:.0f}/{task.total:.0f} views"),
        rich.progress.BarColumn(),
    )
    began = time.perf_counter()
    with session.bar(*columns) as bar:
        shown = bar.add_task("", total=len(which))
        rows: list[dict[str, Any]] = []
        for k in which:
            (seen,) = radiance.see(model, cameras[k : k + 1])
            if held is not None:
                rows.append(radiance.compared(names[k], seen, np.asarray(held.colors)[k]))
            session.write(out / f"{names[k]}.png", np.asarray(seen.color))
            if depth:
                session.write(out / f"{names[k]}_depth.png", drawn_depth(seen))
                session.write(out / f"{names[k]}_depth.npy", np.asarray(seen.depth))
            bar.advance(shown)
    session.record["seconds"] = {"all": time.perf_counter() - began}
    session.record["pictures"] = [names[k] for k in which]
    if rows:
        session.record["views"] = rows
        session.record |= radiance.means(rows)
        session.say(f"{out}: {_told(session.record)} on {len(rows)} views")


@command(name="field fly", example="jaxviz field fly lego.npz --path circle --out fly.mp4")
def fly(
    session: Session,
    field: FieldFile,
    out: Annotated[Path, option("--out", OUTPUT, "The film: .mp4, .gif or .webp.")] = Path("fly.mp4"),
    path: Annotated[
        str | None,
        option("--path", HOW, "spiral, circle, or a .json with frames; default: what suits the scene."),
    ] = None,
    frames: Annotated[int, option("--frames", HOW, "Frames of a spiral or a circle.", min=1)] = 60,
    fps: Annotated[float, option("--fps", HOW, "Frames per second.", min=1, max=120)] = 24,
    size: Annotated[
        int | None, option("--size", HOW, "Longer side in pixels; default: the photographs'.", min=1)
    ] = None,
    depth: Annotated[
        bool, option("--depth", OUTPUT, "Show the depth, near bright, beside the colors.")
    ] = False,
) -> None:
    """Fly through a radiance field: a film along a path."""
    films.checked(out)
    session.opens([out])
    model = radiance.load(field)
    shape = model.cameras.size
    if size is not None:
        shape = even(shape, size)
    way = path or radiance.usual(model.space)
    session.settle(path=way)
    cameras = radiance.path(way, model.cameras, model.space, frames=frames, size=shape)
    began = time.perf_counter()
    pictures = _flown(session, model, cameras, depth)
    if out.suffix.lower() == ".mp4":
        video.write(out, pictures, fps)
    else:
        films.write(out, [images.to_bytes(picture) for picture in pictures], fps=fps)
    session.written.append(out)
    seconds = time.perf_counter() - began
    session.record |= {"frames": cameras.count, "seconds": {"all": seconds, "frame": seconds / cameras.count}}


def _flown(
    session: Session, model: radiance.Model, cameras: radiance.Cameras, depth: bool
) -> Iterator[np.ndarray]:
    columns = (
        rich.progress.TextColumn("{task.completed:.0f}/{task.total:.0f} frames"),
        rich.progress.BarColumn(),
    )
    with session.bar(*columns) as bar:
        shown = bar.add_task("", total=cameras.count)
        for seen in radiance.see(model, cameras):
            color = np.asarray(seen.color)
            yield np.concatenate([color, drawn_depth(seen)], 1) if depth else color
            bar.advance(shown)


def drawn_depth(seen: radiance.Seen) -> np.ndarray:
    """Returns depth as a grey picture, near bright, black where there is nothing."""
    there = np.asarray(seen.opacity) > 0.5
    depth = np.asarray(seen.depth)
    if not there.any():
        return np.zeros((*depth.shape, 3), np.float32)
    near, far = np.percentile(depth[there], [1, 99])
    bright = np.clip(1 - 0.9 * (depth - near) / max(far - near, 1e-6), 0.1, 1) * there
    return np.repeat(bright[..., None], 3, 2).astype(np.float32)


def _chosen(text: str, count: int) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")] if text else list(range(count))
    except ValueError:
        raise ValueError(f"--views is {text!r}; expected numbers with commas between, as 0,5,9") from None
    if bad := [k for k in found if not 0 <= k < count]:
        raise ValueError(f"--views has {bad[0]}; there are views 0 to {count - 1}")
    return found


def _told(record: dict[str, Any]) -> str:
    alike = f", SSIM {record['ssim']:.3f}" if "ssim" in record else ""
    return f"PSNR {record['psnr']:.2f} dB{alike}"


for each in (fit, render, fly):
    register(app, each)
