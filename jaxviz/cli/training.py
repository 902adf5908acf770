"""The commands that train networks for stylization. `jaxviz train --help`."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import rich.progress
import typer

import jaxviz
from jaxviz import images, jobs, stylization, training, zoo
from jaxviz._checks import known, nearest
from jaxviz.cli import options
from jaxviz.cli.command import command, register
from jaxviz.cli.options import HOW, MACHINE, OUTPUT, WHAT, option, parameter
from jaxviz.cli.session import Failure, Session, Stopped

app = typer.Typer(no_args_is_help=True, help="Train a network that draws pictures in a style, in one pass.")

Content = Annotated[
    str, option("--content", WHAT, "Photographs: a folder, a glob in quotes, a .txt list, tfds:NAME[:SPLIT].")
]
Style = Annotated[str, option("--style", WHAT, "A painting; where there may be several, a folder or a glob.")]
Out = Annotated[Path, option("--out", OUTPUT, "Folder of the run.")]

SHARED: dict[str, Any] = {
    "preset": (str, "default", HOW, "Numbers that belong together: `jaxviz train presets`.", {}),
    "steps": (int | None, None, HOW, "Steps in all; default: the preset's.", {"min": 1}),
    "batch_size": (int | None, None, HOW, "Pictures of a step; default: the preset's.", {"min": 1}),
    "size": (
        int | None,
        None,
        HOW,
        "Side of what is cut from photographs; default: the preset's.",
        {},
    ),
    "learning_rate": (float | None, None, HOW, "Of Adam; default: the preset's.", {"min": 0.0}),
    "seed": (int, 0, HOW, "Seeds weights, order, cuts and styles.", {"min": 0, "max": 2**32 - 2}),
    "network": (str | None, None, WHAT, "Whose features are compared; default: the preset's.", {}),
    "weights": (Path | None, None, WHAT, "A weight file instead of the shipped or fetched one.", {}),
    "precision": (
        str,
        "float32",
        MACHINE,
        "float32, tf32 or bfloat16: of products; weights stay float32.",
        {},
    ),
    "devices": (
        str,
        "1",
        MACHINE,
        "Many pictures, a grid or a batch: how many devices share them, or all.",
        {},
    ),
    "workers": (int | None, None, MACHINE, "Threads that read pictures; default: one a core.", {"min": 1}),
    "checkpoint_every": (int, 500, OUTPUT, "Steps between checkpoints.", {"min": 1}),
    "sheet_every": (int, 500, OUTPUT, "Steps between sheets of samples.", {"min": 1}),
    "tell_every": (int, 10, OUTPUT, "Steps between rows of log.csv.", {"min": 1}),
    "resume": (bool, False, OUTPUT, "Go on with the run in --out, from its last checkpoint.", {}),
}


def _of_preset(kind: Any, text: str, **limits: Any) -> Any:
    return (kind | None, None, HOW, f"{text}; default: the preset's.", limits)


OWN: dict[str, Any] = {
    "content_weight": _of_preset(float, "α", min=0.0),
    "style_weight": _of_preset(float, "β", min=0.0),
    "tv_weight": _of_preset(float, "λ of the total variation", min=0.0),
    "adversarial_weight": _of_preset(float, "λ of what discriminators say of drawn pictures", min=0.0),
    "contrast_weight": _of_preset(float, "λ of the style codes of drawn pictures", min=0.0),
    "cycle_weight": _of_preset(float, "λ of the way there and back", min=0.0),
    "identity_weight": _of_preset(float, "ι of what comes back of a picture that is not stylized", min=0.0),
    "norm": _of_preset(str, "batch, instance or conditional-instance"),
    "width": _of_preset(int, "Channels of the first layer", min=1),
    "solved_from": _of_preset(
        int, "Photographs for which first weights are solved; 0 for random ones", min=0
    ),
    "slimness": _of_preset(int, "Divides the widths of a decoder's hidden layers", min=1),
    "discriminator_width": _of_preset(int, "Channels of the discriminators' first layer", min=1),
    "code_size": _of_preset(int, "Numbers of a style code of one layer", min=1),
    "queue": _of_preset(int, "How many codes of paintings are kept, to tell the next ones from", min=1),
    "decay_from": _of_preset(int, "Step from which the learning rate falls", min=0),
    "decay_over": _of_preset(int, "Steps over which it falls to zero", min=1),
    "start": (str | None, None, HOW, "A model of `train adain`, as whose decoder decoders begin.", {}),
}
"""Of those methods whose presets have them."""
TARGETS: dict[str, Any] = {
    "style_size": (
        str,
        "256",
        HOW,
        "Longer side of the paintings, which sets the size of strokes; several, as 128,384, mix them.",
        {},
    ),
    "start": (
        str | None,
        None,
        HOW,
        "A trained model to begin from: a name or a file; default: random weights.",
        {},
    ),
}
"""Of those methods whose paintings are no data, but what is to be matched."""


def _flags(declared: dict[str, Any]) -> list[Any]:
    return [
        parameter(
            name, Annotated[kind, option(f"--{name.replace('_', '-')}", panel, text, **limits)], default
        )
        for name, (kind, default, panel, text, limits) in declared.items()
    ]


def _declared(name: str) -> Callable[..., None]:
    method = training.METHODS[name]
    fixed = next(iter(method.presets.values())).values
    own = {key: said for key, said in OWN.items() if key in fixed}
    own |= {} if method.styles == "stream" else TARGETS

    def run(session: Session, content: Content, style: Style, out: Out = Path("run")) -> None:
        _train(session, name, content, style, out)

    run.__name__, run.__doc__ = name, f"Train {method.title}. {method.paper}."
    paintings = "painting.jpg" if method.styles == "one" else "paintings/"
    line = f"jaxviz train {name} --content photos/ --style {paintings} --out run"
    return command(example=line, name=f"train {name}", more=_flags(SHARED | own))(run)


def _train(session: Session, name: str, content: str, style: str, out: Path) -> None:
    given, method = session.given, training.METHODS[name]
    preset = method.presets[known(given["preset"], method.presets, f"preset of train {name}")]
    given = given | {"batch": given["batch_size"]}
    chosen = {key: given[key] for key in preset.values if given.get(key) is not None}
    photographs = jobs.open_source(content)
    paintings = jobs.open_source(style)
    if method.styles == "one" and len(paintings) > 1:
        others = " and ".join(other for other, said in training.METHODS.items() if said.styles != "one")
        raise ValueError(f"--style names {len(paintings)} paintings; {name} takes one, {others} several")
    if len(paintings) < method.least_styles:
        raise ValueError(
            f"--style names {len(paintings)} painting; {name} takes {method.least_styles} or more"
        )
    wanted = given["network"] or preset.values["network"]
    network = _network(session, wanted, given)
    values = preset.merged(chosen) | {"network": network.name}
    recipe = _recipe(method, network, photographs, paintings, values, given)
    mesh = None if given["devices"] == "1" else jaxviz.mesh(given["devices"])
    session.settle(**{key: value for key, value in values.items() if key in given})
    text = rich.progress.TextColumn
    columns = (
        text("{task.completed:.0f}/{task.total:.0f} steps"),
        rich.progress.BarColumn(),
        text("{task.fields[told]}"),
        rich.progress.TimeRemainingColumn(),
    )
    with session.bar(*columns) as bar:
        shown = bar.add_task("", total=values["steps"], told="compiling")

        def on_step(at: training.Step) -> None:
            told = f"loss {at.losses['loss']:.4g}, {at.per_second:.1f} pictures/s"
            bar.update(shown, completed=at.step, told=told)

        try:
            trained = training.train(
                recipe,
                photographs,
                out,
                styles=paintings if recipe.least_styles else None,
                **{key: values[key] for key in ("steps", "batch", "size")},
                **{key: given[key] for key in ("seed", "workers", "resume")},
                **{key: given[key] for key in ("checkpoint_every", "sheet_every", "tell_every")},
                mesh=mesh,
                record={"command": _line(name, session)},
                on_step=on_step,
            )
        except training.TrainingError as error:
            raise Failure(str(error)) from error
    session.record |= {
        "losses": dict(trained.losses),
        "steps": trained.step,
        "seconds": {"run": trained.seconds},
    }
    session.record["pictures_per_second"] = trained.per_second
    session.record["failures"] = dict(trained.failures)
    if trained.failures:
        first, why = next(iter(trained.failures.items()))
        session.note(
            f"{len(trained.failures)} pictures could not be read, and others took their place; {first}: {why}"
        )
    if trained.interrupted:
        raise Stopped(f"interrupted at step {trained.step}; the same command with --resume goes on")
    session.say(f"{out}: {trained.step} steps, {trained.per_second:.1f} pictures/s, {out}/model.safetensors")


def _network(session: Session, wanted: str, given: dict[str, Any]) -> jaxviz.Network:
    name = wanted
    if given["network"] is None and given["weights"] is None and not zoo.available(wanted):
        name = "vgg16"
        session.note(f"the preset is meant for {wanted}, whose weights are not here; it ran on {name}")
    return jaxviz.load(name, weights=given["weights"], precision=given["precision"], classifier=False)


def _recipe(
    method: training.Method,
    network: jaxviz.Network,
    photographs: jobs.Source,
    paintings: jobs.Source,
    values: dict[str, Any],
    given: dict[str, Any],
) -> training.Recipe:
    if method.styles == "stream":
        more = {}
        if "solved_from" in values:
            count = min(values["solved_from"], len(photographs))
            values = values | {"solved_from": count}
            more["pictures"] = training.first_squares(photographs, count)
        return method.function(network, values, precision=given["precision"], **more)
    pictures: dict[str, list[images.Picture]] = {}
    sides = options.sides(given["style_size"], "--style-size")
    for k in range(len(paintings)):
        item = paintings[k]
        stem = Path(item.name).stem
        if stem in pictures:
            raise ValueError(f"two paintings are named {stem!r}; styles go by the names of their files")
        pixels = images.to_floats(item.read(images.MAX_PIXELS))
        pictures[stem] = [images.fit_longer(pixels, side) for side in sides]
    start = stylization.load(given["start"]) if given["start"] else None
    if start is not None and not isinstance(start, stylization.Bank):
        raise ValueError(f"--start {given['start']} is a model of any style; give one of named styles")
    return method.function(network, pictures, values, precision=given["precision"], start=start)


def _line(name: str, session: Session) -> str:
    """Returns the command as it could be typed again."""
    usual = {key: default for key, (_, default, *_) in {**SHARED, **OWN, **TARGETS}.items()}
    skipped = ("json", "quiet", "debug", "no_cache", "resume")
    given = {k: v for k, v in session.given.items() if k not in skipped and v != usual.get(k)}
    flags = [f"--{key.replace('_', '-')} {shlex.quote(str(value))}" for key, value in given.items()]
    return " ".join([f"jaxviz train {name}", *flags])


@command(name="train presets", example="jaxviz train presets", computes=False)
def presets(
    session: Session, method: Annotated[str, typer.Argument(help="Of which; all if none.")] = ""
) -> None:
    """Tell what each preset of training fixes."""
    if method and method not in training.METHODS:
        raise KeyError(f"no training is named {method!r}; {nearest(method, training.METHODS)}")
    chosen = {method: training.METHODS[method]} if method else training.METHODS
    session.record["presets"] = {
        name: {key: {**preset.values, "paper": preset.paper} for key, preset in one.presets.items()}
        for name, one in chosen.items()
    }
    if session.json_path == "-":
        return
    for name, one in chosen.items():
        for key, preset in one.presets.items():
            typer.echo(f"{name} --preset {key}: {preset.paper or 'of this library'}")
            if preset.departures:
                typer.echo(f"  departs: {preset.departures}")
            for option_name, value in preset.values.items():
                typer.echo(f"  {option_name}: {value}")


for name in training.METHODS:
    register(app, _declared(name))
register(app, presets)
