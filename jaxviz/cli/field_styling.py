"""The commands that give a radiance field the style of pictures. `jaxviz field stylize --help`."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import rich.progress
import typer

import jaxviz
from jaxviz import images, radiance
from jaxviz._checks import known
from jaxviz.cli import runs
from jaxviz.cli.command import command, register
from jaxviz.cli.fields import FieldFile, app
from jaxviz.cli.options import HOW, OUTPUT, numbers, option
from jaxviz.cli.session import Failure, Session, Stopped


@command(
    name="field stylize",
    example="jaxviz field stylize lego.npz painting.jpg --out styled.npz",
    network=None,
    reads=True,
)
def stylize(
    session: Session,
    field: FieldFile,
    styles: Annotated[list[Path], typer.Argument(help="One or more pictures whose style is taken.")],
    out: Annotated[Path, option("--out", OUTPUT, "The styled field, .npz.")] = Path("styled.npz"),
    preset: Annotated[
        str, option("--preset", HOW, "Numbers that belong together: `jaxviz field presets`.")
    ] = "default",
    steps: Annotated[
        int | None,
        option("--steps", HOW, "Steps of the style, each of one view; default: the preset's.", min=1),
    ] = None,
    color_steps: Annotated[
        int | None,
        option("--color-steps", HOW, "Steps of the colors before; default: the preset's.", min=0),
    ] = None,
    style_weights: Annotated[
        str | None,
        option("--style-weights", HOW, "How much of each style, as 0.7,0.3; default: equal."),
    ] = None,
    blend: Annotated[
        str,
        option(
            "--blend",
            HOW,
            "Several styles: weights for all from everywhere, views for each in turn from side to side.",
        ),
    ] = "weights",
    colors: Annotated[
        str,
        option(
            "--colors",
            HOW,
            "style for the styles' colors, keep for the scene's, only for new colors and nothing else.",
        ),
    ] = "style",
    style_scale: Annotated[
        float,
        option(
            "--style-scale",
            HOW,
            "Longer side of the styles in that of the views: larger for larger strokes.",
            min=0.01,
        ),
    ] = 1,
    content_weight: Annotated[
        float | None, option("--content-weight", HOW, "α; default: the preset's.", min=0.0)
    ] = None,
    style_weight: Annotated[
        float | None, option("--style-weight", HOW, "β; default: the preset's.", min=0.0)
    ] = None,
    tv_weight: Annotated[
        float | None,
        option("--tv-weight", HOW, "λ of the total variation; default: the preset's.", min=0.0),
    ] = None,
    learning_rate: Annotated[
        float | None,
        option("--learning-rate", HOW, "Of RMSprop, at the beginning; default: the preset's.", min=0.0),
    ] = None,
    view_scale: Annotated[
        float | None,
        option(
            "--view-scale",
            HOW,
            "Size of the views in that of the photographs, at most 1; default: the preset's.",
            min=0.01,
            max=1,
        ),
    ] = None,
    seed: Annotated[int, option("--seed", HOW, "Seeds the order of views.", min=0, max=2**32 - 1)] = 0,
    keep_every: Annotated[
        int, option("--keep-every", OUTPUT, "Steps after which the run is kept.", min=1)
    ] = 100,
    resume: Annotated[bool, option("--resume", OUTPUT, "Go on from what a stopped run has kept.")] = False,
) -> None:
    """Give a radiance field the style of pictures."""
    if out.suffix.lower() != ".npz":
        raise ValueError(f"{out} cannot be written as a field; expected .npz")
    session.opens([out])
    usual = radiance.STYLIZING[known(preset, radiance.STYLIZING, "preset of stylization")].values
    known(colors, radiance.COLORS, "way of colors")
    known(blend, radiance.BLENDS, "way to blend styles")
    shares = None if style_weights is None else numbers(style_weights, "--style-weights")
    model = radiance.load(field)
    downscale = usual["downscale"] if view_scale is None else 1 / view_scale
    side = max(1, round(max(model.cameras.size) / downscale * style_scale))
    paintings = [runs.fitted(session, path, lambda image: images.fit_longer(image, side)) for path in styles]
    network = _network(session, usual["network"])
    given: dict[str, Any] = {
        "steps": steps,
        "color_steps": color_steps,
        "content_weight": content_weight,
        "style_weight": style_weight,
        "tv_weight": tv_weight,
        "learning_rate": learning_rate,
        "downscale": downscale,
    }
    if learning_rate is not None:
        given["last_rate"] = learning_rate * usual["last_rate"] / usual["learning_rate"]
    chosen = {name: value for name, value in given.items() if value is not None}
    made = _stylized(session, out, model, network, paintings, chosen, shares, resume)
    session.written.append(out)
    session.record |= {
        "steps": made.step,
        "losses": _columns(made.losses),
        "nearest": {"before": made.nearest[0], "after": made.nearest[1]},
        "seconds": dict(made.seconds),
        "values": {**usual, **chosen, "network": network.name},
    }
    if made.interrupted:
        raise Stopped(
            f"interrupted at step {made.step}, whose field was written; the same command with --resume goes on"
        )
    before, after = made.nearest
    session.say(f"{out}: distance from the nearest features of the style {before:.4f}, then {after:.4f}")


def _stylized(
    session: Session,
    out: Path,
    model: radiance.Model,
    network: jaxviz.Network,
    paintings: list[np.ndarray],
    chosen: dict[str, Any],
    shares: tuple[float, ...] | None,
    resume: bool,
) -> radiance.Stylized:
    given = session.given
    text = rich.progress.TextColumn
    columns = (
        text("{task.completed:.0f}/{task.total:.0f} steps"),
        rich.progress.BarColumn(),
        text("{task.fields[told]}"),
        rich.progress.TimeRemainingColumn(),
    )
    with session.bar(*columns) as bar:
        shown = bar.add_task("", total=None, told="rendering the views")

        def on_step(at: radiance.Stroke) -> None:
            told = ", ".join(f"{name} {value:.4f}" for name, value in at.losses.items())
            bar.update(shown, total=at.steps, completed=at.step, told=told)

        try:
            return radiance.stylize_into(
                out,
                model,
                network,
                paintings,
                preset=given["preset"],
                shares=shares,
                blend=given["blend"],
                colors=given["colors"],
                seed=given["seed"],
                keep_every=given["keep_every"],
                resume=resume,
                record={
                    "command": "field stylize",
                    "field": str(given["field"]),
                    "styles": list(map(str, given["styles"])),
                },
                on_step=on_step,
                **chosen,
            )
        except radiance.FitError as error:
            raise Failure(str(error)) from error


def _network(session: Session, usual: str) -> jaxviz.Network:
    given = session.given
    name = given["network"] or usual
    session.settle(network=name)
    return jaxviz.load(name, weights=given["weights"], precision=given["precision"], classifier=False)


def _columns(losses: list[Any]) -> dict[str, list[float]]:
    """Returns for each part of a loss its values at all steps that had it."""
    names = dict.fromkeys(name for told in losses for name in told)
    return {name: [told[name] for told in losses if name in told] for name in names}


@command(name="field presets", example="jaxviz field presets", computes=False)
def presets(session: Session) -> None:
    """Tell what each preset of stylization fixes."""
    session.record["presets"] = {
        name: {**preset.values, "paper": preset.paper, "departures": preset.departures}
        for name, preset in radiance.STYLIZING.items()
    }
    if session.json_path == "-":
        return
    for name, preset in radiance.STYLIZING.items():
        typer.echo(f"field stylize --preset {name}: {preset.paper or 'of this library'}")
        if preset.departures:
            typer.echo(f"  departs: {preset.departures}")
        for key, value in preset.values.items():
            typer.echo(f"  {key}: {value}")


for each in (stylize, presets):
    register(app, each)
